"""Scopes: how one sparsity is shared among many tensors.

>>> SCOPES["global"]()
Global()
"""

from __future__ import annotations

from prunus.scopes.base import Pool, Scope
from prunus.scopes.erdos_renyi import ErdosRenyi
from prunus.scopes.global_ import Global
from prunus.scopes.per_layer import PerLayer

__all__ = ["SCOPES", "ErdosRenyi", "Global", "PerLayer", "Pool", "Scope"]

SCOPES: dict[str, type[Scope]] = {
    "erdos_renyi": ErdosRenyi,
    "global": Global,
    "per_layer": PerLayer,
}
