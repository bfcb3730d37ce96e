"""Damaged recipes load or are refused with a reason; nothing else ever comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunus import recipes
from prunus.errors import RecipeError
from tests.recipes.mutations import SCRAPS, mutants, outcome

MANY = int(os.environ.get("PRUNUS_MUTANTS", "300"))
"""How many mutants; benchmarks/recipes.py takes 10,000 and also limits the time of each."""


@settings(max_examples=MANY)
@given(mutants())
def test_a_mutated_recipe_loads_or_says_why(tmp_path: Path, content: bytes) -> None:
    assert outcome(content, tmp_path / "recipe.yaml") in ("loads", "refused")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | SCRAPS | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCRAPS | st.integers(0, 2), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.fixed_dictionaries({}, optional={"schedule": VALUES, "criterion": VALUES, "select": VALUES, "seed": VALUES})
PLANS = st.fixed_dictionaries({}, optional={"prune": PARTS, "steer": VALUES, "window": VALUES, "set_lr": VALUES})


@given(st.one_of(VALUES, st.lists(PLANS | VALUES, max_size=3)))
def test_any_policies_load_or_say_why(policies: Any) -> None:
    with pytest.raises(RecipeError):
        recipes.load({"version": 1, "policies": policies})
