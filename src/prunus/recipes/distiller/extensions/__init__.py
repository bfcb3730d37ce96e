"""The classes of the section ``extensions``, by the names of the files."""

from prunus.recipes.distiller.contract import Extension

EXTENSIONS: dict[str, type[Extension]] = {}

__all__ = ["EXTENSIONS"]
