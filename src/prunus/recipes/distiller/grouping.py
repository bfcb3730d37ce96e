"""Strengths with groups, as files write them."""

from __future__ import annotations

from collections.abc import Mapping

from prunus.errors import SettingError, require_known
from prunus.recipes.distiller.charging import Regime, require_strength
from prunus.recipes.distiller.structures import CHARGED


def require_regime(name: str, regime: tuple[float, str]) -> None:
    """Raise SettingError unless a regime is a strength and known groups, one or several joined by ``+``, each once.

    >>> require_regime("reg_regims of fc.weight", (0.1, "Rows+Colls"))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: reg_regims of fc.weight is 'Colls', which is unknown. Did you mean 'Cols'?
    """
    if not isinstance(regime, (list, tuple)) or len(regime) != 2 or not isinstance(regime[1], str):
        raise SettingError(f"{name} is {regime!r}, expected a strength and a group, such as (0.1, '3D')")
    require_strength(name, regime[0])
    groups = regime[1].split("+")
    for group in groups:
        require_known(name, group, CHARGED)
    if len({CHARGED[group] for group in groups}) < len(groups):
        raise SettingError(f"{name} is {regime[1]!r}, expected each group once")


def regimes_of(written: Mapping[str, tuple[float, str]]) -> dict[str, Regime]:
    """Return what files say as [strength, groups].

    >>> regimes_of({"fc.weight": (0.1, "Rows+Cols")})
    {'fc.weight': Regime(strength=0.1, groups=('Rows', 'Cols'))}
    """
    return {name: Regime(strength, tuple(groups.split("+"))) for name, (strength, groups) in written.items()}
