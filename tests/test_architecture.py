"""The table of docs/architecture.md names every module, in the order of the layers, and tests that are there."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "prunus"
WAY = re.compile(r"^- `(?P<folder>[\w/]+)`: (?P<way>.+?)(?=^- |^$)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(?P<module>\w+)` \| (?P<purpose>.+) \| (?P<tests>.+) \|$", re.MULTILINE)


def modules() -> list[str]:
    """Return the modules and packages at the top of prunus."""
    packages = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    return sorted([path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"] + packages)


def ranks() -> dict[str, int]:
    """Return the layer of each module, the highest first; read as text, as Python 3.10 has no reader of TOML."""
    layers = re.search(
        r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert layers is not None
    return {name: rank for rank, line in enumerate(layers[1].splitlines()) for name in re.findall(r"\w+", line)}


def faults(page: str) -> list[str]:
    """Return what is wrong with the table of a page."""
    rows = [row.groupdict() for row in ROW.finditer(page)]
    named = [row["module"] for row in rows]
    found = [f"{name} is missing" for name in modules() if name not in named]
    found += [f"{name} does not exist" for name in named if name not in modules()]
    found += [f"{name} comes twice" for name in set(named) if named.count(name) > 1]
    order = [name for name in named if name in ranks()]
    found += [f"{b} comes after {a}" for a, b in pairwise(order) if ranks()[b] < ranks()[a]]
    tests = [(row["module"], test) for row in rows for test in re.findall(r"`([\w./]+)`", row["tests"])]
    return found + [f"{name}: no tests/{test}" for name, test in tests if not (ROOT / "tests" / test).exists()]


def test_the_table_is_true() -> None:
    assert faults(PAGE) == []


def strangers(page: str) -> list[str]:
    """Return the files named in the ways through large folders that are not there."""
    ways = [(found["folder"], re.findall(r"`(\w+)`", found["way"])) for found in WAY.finditer(page)]
    assert len(ways) >= 4
    return [
        f"{folder}/{name}" for folder, names in ways for name in names if not (PACKAGE / folder / f"{name}.py").exists()
    ]


def test_the_ways_through_large_folders_exist() -> None:
    assert strangers(PAGE) == []
    assert strangers(PAGE.replace("`mirror`", "`mirrors`")) == ["optim/mirrors"]


def test_every_module_has_tests() -> None:
    assert [row["module"] for row in ROW.finditer(PAGE) if "`" not in row["tests"]] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("| `keep` |", "| keep |", "keep is missing"),
        ("| `keep` |", "| `kept` |", "kept does not exist"),
        ("| `masks` |", "| `keep` |", "keep comes twice"),
        ("| `test_keep.py`, `broken` |", "| `test_kept.py` |", "keep: no tests/test_kept.py"),
        ("| `errors` |", "| `scheduler` |", "scheduler comes after window"),
    ],
    ids=["missing", "unknown", "twice", "no such test", "order"],
)
def test_the_check_can_fail(old: str, new: str, said: str) -> None:
    assert PAGE.count(old) == 1
    assert said in faults(PAGE.replace(old, new))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_newcomers_find_it(page: str) -> None:
    assert "docs/architecture.md" in (ROOT / page).read_text(encoding="utf-8")
