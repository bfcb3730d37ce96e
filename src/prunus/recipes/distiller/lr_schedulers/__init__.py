"""The classes of the section ``lr_schedulers``, by the names of the files."""

from prunus.recipes.distiller.contract import LRScheduler

LR_SCHEDULERS: dict[str, type[LRScheduler]] = {}

__all__ = ["LR_SCHEDULERS"]
