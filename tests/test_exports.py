"""Every family is complete: what a member file defines is registered, exported, sorted and shown by an example."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import prunus

FAMILIES = {
    "actions": "ACTIONS",
    "criteria": "CRITERIA",
    "optim": "OPTIMIZERS",
    "regularizers": "REGULARIZERS",
    "schedules": "SCHEDULES",
    "scopes": "SCOPES",
    "steering": "STEERING",
    "structures": "STRUCTURES",
}
FAMILIES_AT_LEAST = 8


def is_written(family: str) -> bool:
    """Say whether the family's package assigns its registry; read as text, so that one broken family fails alone."""
    source = Path(prunus.__file__).parent / family / "__init__.py"
    return source.exists() and re.search(rf"^{FAMILIES[family]}\b.*=", source.read_text(), re.MULTILINE) is not None


WRITTEN = [family for family in FAMILIES if is_written(family)]


@pytest.fixture(params=WRITTEN)
def package(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"prunus.{request.param}")


def registry(package: ModuleType) -> dict[str, type]:
    return vars(package)[FAMILIES[package.__name__.split(".")[1]]]


def own_classes(module: ModuleType) -> set[type]:
    """Return the public classes that a module defines."""
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return {v for v in values.values() if inspect.isclass(v) and v.__module__ == module.__name__}


def member_classes(package: ModuleType) -> set[type]:
    """Return the classes of the member files that derive from the family's base and that no other file derives from."""
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_") and m.name != "base"]
    bases = own_classes(importlib.import_module(f"{package.__name__}.base"))
    files = [own_classes(importlib.import_module(f"{package.__name__}.{name}")) for name in names]
    members = {value for classes in files for value in classes if bases & set(value.__mro__)}
    return {value for value in members if not members & set(value.__subclasses__())}


def exported(package: ModuleType) -> set[str]:
    """Return the public classes, functions and constants that come from the package itself."""

    def is_own(name: str, value: object) -> bool:
        return name.isupper() or (getattr(value, "__module__", None) or "").startswith(package.__name__)

    return {name for name, value in vars(package).items() if not name.startswith("_") and is_own(name, value)}


def isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts ``__all__``."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_enough_families_are_written() -> None:
    assert len(WRITTEN) >= FAMILIES_AT_LEAST, WRITTEN


def test_every_member_is_registered(package: ModuleType) -> None:
    registered = set(registry(package).values())
    assert member_classes(package) - registered == set()
    assert len(registered) == len(registry(package)), "one class under two names"


def test_the_check_notices_a_forgotten_member(package: ModuleType) -> None:
    name, last = list(registry(package).items())[-1]
    if last.__subclasses__():
        pytest.skip(f"{name} is a base of another member")
    assert last in member_classes(package)


def test_the_registry_is_sorted(package: ModuleType) -> None:
    assert list(registry(package)) == sorted(registry(package))


def test_all_is_sorted_and_says_what_is_exported(package: ModuleType) -> None:
    assert package.__all__ == sorted(exported(package), key=isort_key)


def test_every_member_is_exported(package: ModuleType) -> None:
    assert {member.__name__ for member in registry(package).values()} <= set(package.__all__)


def test_every_member_shows_an_example(package: ModuleType) -> None:
    assert [m.__name__ for m in registry(package).values() if ">>>" not in (m.__doc__ or "")] == []


def test_every_export_of_the_top_level_exists() -> None:
    names = getattr(prunus, "__all__", [])
    assert names == sorted(names, key=isort_key)
    assert [name for name in names if name not in vars(prunus)] == []
