"""The settings a parameter group may carry, and the check of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from prunus.errors import SettingError, did_you_mean, require_known, require_number
from prunus.optim.lambda_change import LAMBDA_CHANGES
from prunus.optim.nonfinite import NONFINITE
from prunus.regularizers import Regularizer

IMPLEMENTATIONS = ("auto", "compiled", "foreach", "fused", "loop")

# What torch itself, its learning rate schedulers and its averaging write into a group.
FOREIGN = ("params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


def require_amount(name: str, value: object, *, open_low: bool = False) -> None:
    """Raise SettingError unless ``value`` is a finite number of at least 0, or above 0 with ``open_low``.

    >>> require_amount("lr", float("inf"))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: lr is inf, expected a finite number
    """
    require_number(name, value, 0.0, open_low=open_low)
    if value == math.inf:
        raise SettingError(f"{name} is {value!r}, expected a finite number")


def require_decay(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` is a number in [0, 1).

    >>> require_decay("momentum", 1.0)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: momentum is 1.0, expected a number of at least 0 and below 1
    """
    try:
        require_number(name, value, 0.0, 1.0)
        fits = value != 1.0
    except SettingError:
        fits = False
    if not fits:
        raise SettingError(f"{name} is {value!r}, expected a number of at least 0 and below 1")


def require_betas(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` is a pair of numbers in [0, 1).

    >>> require_betas("betas", (0.9, 0.999))
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise SettingError(f"{name} is {value!r}, expected a pair such as (0.9, 0.999)")
    for index, beta in enumerate(value):
        require_decay(f"{name}[{index}]", beta)


def require_reg(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` is a regularizer object.

    >>> require_reg("reg", "l1")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: reg is 'l1', expected a regularizer such as RegL1(0.1) or get_regularizer("l1")
    """
    if not isinstance(value, Regularizer):
        raise SettingError(f'{name} is {value!r}, expected a regularizer such as RegL1(0.1) or get_regularizer("l1")')


def require_one_of(name: str, value: object, known: Iterable[str]) -> None:
    """Raise SettingError unless ``value`` is one of the known words.

    >>> require_one_of("nonfinite", "skp", ["skip", "raise"])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: nonfinite is 'skp', which is unknown. Did you mean 'skip'?
    """
    require_known(name, value if isinstance(value, str) else repr(value), known)


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "betas": require_betas,
    "delta": partial(require_amount, open_low=True),
    "eps": require_amount,
    "implementation": partial(require_one_of, known=IMPLEMENTATIONS),
    "lambda_change": partial(require_one_of, known=LAMBDA_CHANGES),
    "lambda_scale": require_amount,
    "lr": require_amount,
    "momentum": require_decay,
    "nonfinite": partial(require_one_of, known=NONFINITE),
    "reg": require_reg,
    "weight_decay": require_amount,
}


def setting_faults(settings: Mapping[str, Any], known: Iterable[str], where: str = "") -> list[str]:
    """Return what is wrong with the settings: values out of range, and names that the optimizer does not know.

    Args:
        settings: A parameter group, or the optimizer's defaults.
        known: The names this optimizer understands; anything else would be ignored without a word.
        where: Put before each message, such as "group 1: ".

    >>> setting_faults({"lr": -0.1, "dleta": 2.0}, ["lr", "delta"], "group 1: ")[1]
    "group 1: dleta is no setting of this optimizer. Did you mean 'delta'?"
    """
    known = list(known)
    faults = [
        f"{where}{name} is no setting of this optimizer. {did_you_mean(name, known)}"
        for name in settings
        if name not in known and name not in FOREIGN
    ]
    values = [(name, value) for name, value in settings.items() if name in known and name in CHECKS]
    return [fault for name, value in values for fault in _fault(name, value, where)] + faults


def _fault(name: str, value: object, where: str) -> list[str]:
    """Return the fault of one value, or nothing."""
    try:
        CHECKS[name](where + name, value)
    except SettingError as fault:
        return [str(fault)]
    return []
