"""Distiller's schedules to native recipes: ``prunus convert``."""

from prunus.recipes.distiller.converting.conversion import Conversion, convert
from prunus.recipes.distiller.converting.members import CONVERTERS
from prunus.recipes.distiller.converting.reasons import REASONS

__all__ = ["CONVERTERS", "REASONS", "Conversion", "convert"]
