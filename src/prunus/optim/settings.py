"""The settings a parameter group may carry, and the check of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from prunus.errors import SettingError, did_you_mean, require_known, require_number
from prunus.regularizers import Regularizer

IMPLEMENTATIONS = ("foreach", "loop")

# What torch itself, its learning rate schedulers and its averaging write into a group.
FOREIGN = ("params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


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


def require_implementation(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` names an implementation.

    >>> require_implementation("implementation", "foreach")
    """
    require_known(name, value if isinstance(value, str) else repr(value), IMPLEMENTATIONS)


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "betas": require_betas,
    "delta": partial(require_number, low=0.0, open_low=True),
    "eps": partial(require_number, low=0.0),
    "implementation": require_implementation,
    "lambda_scale": partial(require_number, low=0.0),
    "lr": partial(require_number, low=0.0),
    "momentum": require_decay,
    "reg": require_reg,
}


def require_settings(settings: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
    """Raise SettingError for a value out of range or a name that the optimizer does not know.

    Args:
        settings: A parameter group, or the optimizer's defaults.
        known: The names this optimizer understands; anything else would be ignored without a word.
        where: Put before the message, such as "group 1: ".

    >>> require_settings({"lr": 0.1, "dleta": 2.0}, ["lr", "delta"], "group 1: ")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: group 1: dleta is no setting of this optimizer. Did you mean 'delta'?
    """
    known = list(known)
    for name, value in settings.items():
        if name not in known and name not in FOREIGN:
            raise SettingError(f"{where}{name} is no setting of this optimizer. {did_you_mean(name, known)}")
        if name in CHECKS:
            CHECKS[name](where + name, value)
