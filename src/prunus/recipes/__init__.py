"""Recipes: policies written down in YAML, read with every fault in one error, and written back.

>>> print(dump(load({"version": 1, "policies": [{"prune": {"schedule": {"cubic": {"final": 0.9}}}}]})).strip())
version: 1
policies:
- prune:
    schedule:
      cubic: {final: 0.9}
"""

from prunus.recipes.faults import Fault, Place, Rename
from prunus.recipes.languages import language_of
from prunus.recipes.levels import per_target, suggest
from prunus.recipes.opening import Opened, opened
from prunus.recipes.reading import check, load
from prunus.recipes.recipe import Recipe
from prunus.recipes.schema import json_schema
from prunus.recipes.writing import dump

__all__ = [
    "Fault",
    "Opened",
    "Place",
    "Recipe",
    "Rename",
    "check",
    "dump",
    "json_schema",
    "language_of",
    "load",
    "opened",
    "per_target",
    "suggest",
]
