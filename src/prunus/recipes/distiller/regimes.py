"""What a regularizer takes of each parameter, as files write it: a strength, or a strength and groups."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from prunus.errors import SettingError, require_known, require_number
from prunus.recipes.distiller.structures import CHARGED
from prunus.recipes.distiller.thresholds import CRITERIA
from prunus.recipes.faults import Report
from prunus.recipes.nodes import LOST, Node, Pair


class Regime(NamedTuple):
    """What a parameter pays: a strength for the groups of these names, whose charges add up; none for single weights.

    >>> Regime(0.1).groups
    ()
    """

    strength: float
    groups: tuple[str, ...] = ()


def regimes_of(written: Mapping[str, tuple[float, str]]) -> dict[str, Regime]:
    """Return what files say as [strength, groups].

    >>> regimes_of({"fc.weight": (0.1, "Rows+Cols")})
    {'fc.weight': Regime(strength=0.1, groups=('Rows', 'Cols'))}
    """
    return {name: Regime(strength, tuple(groups.split("+"))) for name, (strength, groups) in written.items()}


def require_strength(name: str, strength: object) -> None:
    """Raise SettingError unless a strength is finite and at least 0.

    >>> require_strength("fc.weight", -1)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: fc.weight is -1, expected a number of at least 0.0 and at most 1.7976931348623157e+308
    """
    require_number(name, strength, 0.0, sys.float_info.max)


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


def require_criterion(criterion: str | None) -> None:
    """Raise SettingError unless a threshold goes by something known, or there is none.

    >>> require_criterion("Mean")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: threshold_criteria is 'Mean', which is unknown. Did you mean 'Mean_Abs'?
    """
    if criterion is not None:
        require_known("threshold_criteria", criterion, CRITERIA)


def refer(pairs: Mapping[str, Pair], wrong: type | tuple[type, ...], hint: str, report: Report) -> dict[str, Pair]:
    """Report each regime that is written as another class takes it, and leave the others to be read.

    >>> from prunus.recipes.nodes import from_plain
    >>> report = Report()
    >>> pairs = from_plain({"reg_regims": {"fc.weight": [0.1, "Rows"]}}, report).value
    >>> left = refer(pairs, list, "groups are for GroupLassoRegularizer", report)
    >>> report.found[0].message
    'the regime of fc.weight is a list; groups are for GroupLassoRegularizer'
    """
    if "reg_regims" not in pairs or not isinstance(pairs["reg_regims"].value.value, dict):
        return dict(pairs)
    key, node = pairs["reg_regims"]
    found = dict(node.value)
    for name, pair in node.value.items():
        if isinstance(pair.value.value, wrong) and not isinstance(pair.value.value, bool):
            report.add(pair.value.place, f"the regime of {name} is {pair.value.found}; {hint}", code="wrong-type")
            found[name] = Pair(pair.key, Node(LOST, pair.value.place))
    return {**pairs, "reg_regims": Pair(key, replace(node, value=found))}
