"""Recipes with random damage, and what becomes of them: the tests take some, benchmarks/recipes.py ten thousand."""

from __future__ import annotations

import warnings
from pathlib import Path

from hypothesis import strategies as st

from prunus import recipes
from prunus.errors import NoEffect, RecipeError
from tests.recipes.test_load import TEXT
from tests.recipes.test_parts import TEXT as PARTS

MARKS = [
    "\n",
    " ",
    "  ",
    "\t",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    "'",
    '"',
    "&a ",
    "*a",
    "!!int ",
    "? ",
    "| ",
    "%",
]
PLAIN = [
    "~",
    ".nan",
    ".inf",
    "1e999",
    "-1",
    "0",
    "0.5",
    "true",
    "99999999999999999999",
    "\x00",
    "é",
    "\u2028",
    "\\x",
    "'1'",
]
NAMES = ["prune", "steer", "window", "schedule", "cubic", "magnitude", "final", "version", "policies", "<<", "---\n"]
NAMES += [
    "$",
    "$$",
    "$ramp",
    "${early}",
    "$thin",
    "include: x\n",
    "replace: [ramp]\n",
    "variables: {a: 1}\n",
    "actions:",
]
SCRAPS = st.sampled_from([*MARKS, *PLAIN, *NAMES])
ENCODINGS = ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp500"]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Return a recipe with a few pieces cut out, put in, doubled or moved, at times in an encoding that is none."""
    text = draw(st.sampled_from([TEXT, PARTS]))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        place = draw(st.sampled_from([start, 0, len(text), text.find("\n", start) + 1]))
        copied = st.just(text[place : place + draw(st.integers(0, 40))])
        many = st.just(text[start:end] * draw(st.sampled_from([2, 2, 2, 1000, 20_000])))
        piece = draw(st.one_of(SCRAPS, st.text(max_size=3), copied, many, st.just("")))
        text = text[:start] + piece + text[end:]
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 19)) == 0:
        content = text.encode(draw(st.sampled_from(ENCODINGS)), "replace")
    if draw(st.integers(0, 19)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + 1 :]
    return content


def outcome(content: bytes, path: Path) -> str:
    """Write and load a mutant; return "loads", or "refused" for RecipeError: anything else is a bug and is raised."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        try:
            recipe = recipes.load(path)
        except RecipeError as error:
            assert str(error) and error.faults
            return "refused"
        assert repr(recipes.load(recipe.to_yaml())) == repr(recipe)
    return "loads"
