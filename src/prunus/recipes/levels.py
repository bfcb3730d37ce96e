"""Policies for sparsities that differ from parameter to parameter, such as a sensitivity scan suggests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from prunus.actions import Prune
from prunus.criteria import Criterion, Magnitude
from prunus.errors import SettingError
from prunus.measure import Sensitivity, allocate
from prunus.measure.allocation import Mode
from prunus.policy import Policy
from prunus.schedules import Cubic, Schedule
from prunus.scopes import PerLayer
from prunus.select import Select
from prunus.structures import Element, Structure
from prunus.window import Window

Shape = Callable[[float], Schedule]
"""Makes the schedule that ends at a sparsity: ``Cubic``, ``Linear``, ``OneShot``, …"""


def per_target(
    levels: Mapping[str, float],
    *,
    schedule: Shape = Cubic,
    window: Window | None = None,
    structure: Structure = Element(),
    criterion: Criterion = Magnitude(),
) -> list[Policy]:
    """Return policies that prune each named parameter to its own sparsity: one policy a level, level 0 left out.

    Args:
        levels: sparsity by parameter name; every parameter loses ⌊level · n⌋ of its n members.
        schedule: shape of the ramp that ends there. Default: ``Cubic``.
        window: when. Default: the whole run.
        structure: what is pruned together. Default: single weights.
        criterion: what makes a weight worth keeping. Default: absolute value.

    Raises:
        SettingError: a level outside [0, 1], or none above 0.

    Use it for sparsities found by hand or by search; ``dump`` writes the policies as a recipe.

    >>> for policy in per_target({"fc1.weight": 0.9, "fc2.weight": 0.5, "fc3.weight": 0.9, "fc4.weight": 0.0}):
    ...     print(policy.action.schedule.final, policy.action.select.include)
    0.5 ('fc2.weight',)
    0.9 ('fc1.weight', 'fc3.weight')
    """
    if not any(levels.values()):
        raise SettingError(f"levels is {dict(levels)!r}, expected a sparsity above 0 for at least one parameter")
    names = {level: [name for name in levels if levels[name] == level] for level in sorted(set(levels.values()))}
    chosen = {level: Select(include=tuple(map(literal, found))) for level, found in names.items() if level}
    scope = PerLayer()
    return [
        Policy(Prune(schedule(level), criterion, structure, scope, select), window) for level, select in chosen.items()
    ]


def suggest(
    scan: Sensitivity,
    sparsity: float,
    *,
    metric: str | None = None,
    mode: Mode = "max",
    schedule: Shape = Cubic,
    window: Window | None = None,
) -> list[Policy]:
    """Return policies that reach ``sparsity`` over all targets of a scan, each target as sparse as it stands best.

    The levels are those of :func:`prunus.measure.allocate`, with the structure and criterion of the scan; the counts
    add up exactly. Arguments and errors are those of ``allocate`` and :func:`per_target`.

    >>> import torch
    >>> from prunus.measure import sensitivity
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False))
    >>> scan = sensitivity(model, lambda model: model[0].weight.square().sum(), levels=(0.5, 1.0))
    >>> [policy.action.select.include for policy in suggest(scan, 0.5)]
    [('1.weight',)]
    """
    levels = {share.target: share.level for share in allocate(scan, sparsity, metric=metric, mode=mode)}
    return per_target(levels, schedule=schedule, window=window, structure=scan.structure, criterion=scan.criterion)


def literal(name: str) -> str:
    """Return the pattern that matches just this name.

    >>> literal("fc.weight"), literal("odd[0]")
    ('fc.weight', 'odd[[]0]')
    """
    return re.sub(r"([*?[])", r"[\1]", name)
