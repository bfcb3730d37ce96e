"""The classes of the section ``regularizers``, by the names of the files."""

from prunus.recipes.distiller.contract import Regularizer

REGULARIZERS: dict[str, type[Regularizer]] = {}

__all__ = ["REGULARIZERS"]
