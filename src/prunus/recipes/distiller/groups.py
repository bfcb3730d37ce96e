"""Numbers of an optimizer's parameter groups: settings with one for each, and how they are set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from prunus.errors import SettingError, require_number
from prunus.recipes.distiller.contract import Remark

Value = float | tuple[float, ...]
"""One number for all groups of the optimizer, or one for each."""


def put(group: dict[str, Any], key: str, value: float) -> None:
    """Set a number of a group; a tensor, which a compiled step may hold, is filled.

    >>> group = {"lr": torch.tensor(0.5)}
    >>> put(group, "lr", 0.25)
    >>> group
    {'lr': tensor(0.2500)}
    """
    if isinstance(group[key], Tensor):
        group[key].fill_(value)
    else:
        group[key] = value


def put_momentum(group: dict[str, Any], value: float | None) -> None:
    """Set a group's momentum, which Adam and its kin call the first of their betas; None leaves it.

    >>> group = {"betas": (0.9, 0.999)}
    >>> put_momentum(group, 0.85)
    >>> group
    {'betas': (0.85, 0.999)}
    """
    if value is not None and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    elif value is not None:
        put(group, "momentum", value)


def of_group(value: float | Sequence[float], group: int) -> float:
    """Return a group's own number.

    >>> of_group(0.1, 1), of_group((0.1, 0.2), 1)
    (0.1, 0.2)
    """
    return value[group] if isinstance(value, Sequence) else value


def require_numbers(name: str, value: float | Sequence[float], low: float, high: float = float("inf")) -> None:
    """Raise SettingError unless the number, or each of several, lies between ``low`` and ``high``.

    >>> require_numbers("max_lr", (0.1, -0.2), 0.0)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: max_lr is -0.2, expected a number of at least 0.0
    """
    numbers = value if isinstance(value, Sequence) else (value,)
    if not numbers:
        raise SettingError(f"{name} is empty, expected one number, or one for each parameter group")
    for one in numbers:
        require_number(name, one, low, high)


def fit_groups(settings: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> Iterator[Remark]:
    """Yield which settings, by name, have an entry for each group, but not as many as there are groups.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> [remark.message for remark in fit_groups({"max_lr": (0.1, 0.2), "base_lr": 0.1}, optimizer)]
    ['max_lr has 2 entries, the optimizer has 1 parameter groups']
    """
    groups = len(optimizer.param_groups)
    for name, value in settings.items():
        if isinstance(value, Sequence) and len(value) != groups:
            yield Remark(f"{name} has {len(value)} entries, the optimizer has {groups} parameter groups", name)


def fit_momentum(optimizer: torch.optim.Optimizer) -> Iterator[Remark]:
    """Yield that an optimizer has no momentum, if so, for schedulers with ``cycle_momentum``.

    >>> [remark.name for remark in fit_momentum(torch.optim.Adagrad([torch.zeros(1)], lr=0.1))]
    ['cycle_momentum']
    """
    if not {"momentum", "betas"} & set(optimizer.defaults):
        kind = type(optimizer).__name__
        yield Remark(f"cycle_momentum needs momentum or betas, which {kind} has not; say false", "cycle_momentum")
