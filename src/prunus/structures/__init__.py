"""Structures: which entries of a weight live or die together. Criteria, regularizers and scopes all read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunus.errors import SettingError, require_known
from prunus.structures.base import Structure
from prunus.structures.block import Block
from prunus.structures.channel import Channel
from prunus.structures.column import Column
from prunus.structures.element import Element
from prunus.structures.filter import Filter
from prunus.structures.kernel import Kernel
from prunus.structures.layer import Layer
from prunus.structures.n_m import NM
from prunus.structures.row import Row

STRUCTURES: dict[str, type[Structure]] = {
    "block": Block,
    "channel": Channel,
    "column": Column,
    "element": Element,
    "filter": Filter,
    "kernel": Kernel,
    "layer": Layer,
    "n_m": NM,
    "row": Row,
}


def get_structure(wanted: str | Mapping[str, Any] | Structure) -> Structure:
    """Build a structure from its name, from a mapping with a ``name``, or pass a ready one through.

    Raises:
        SettingError: an unknown name (the nearest one is offered) or an unknown or wrong setting.

    >>> get_structure("filter")
    Filter()
    >>> get_structure({"name": "block", "rows": 2, "cols": 8})
    Block(rows=2, cols=8)
    """
    if isinstance(wanted, Structure):
        return wanted
    settings = dict(wanted) if isinstance(wanted, Mapping) else {"name": wanted}
    name = str(settings.pop("name", None))
    require_known("structure", name, STRUCTURES)
    member = STRUCTURES[name]
    try:
        return member(**settings)
    except TypeError as fault:
        raise SettingError(f"structure {name!r} does not take these settings {sorted(settings)}: {fault}") from None


__all__ = [
    "NM",
    "STRUCTURES",
    "Block",
    "Channel",
    "Column",
    "Element",
    "Filter",
    "Kernel",
    "Layer",
    "Row",
    "Structure",
    "get_structure",
]
