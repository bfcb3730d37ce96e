"""Settings by parameter name, where ``*`` means every other parameter of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from prunus.errors import SettingError
from prunus.recipes.distiller.contract import Chosen, Remark

Value = TypeVar("Value")
ALL = "*"


def require_values(argument: str, values: Mapping[str, Value], check: Callable[[str, Value], None]) -> None:
    """Raise SettingError unless there is a value and each passes the check, which is told what it is called.

    >>> from prunus.errors import require_fraction
    >>> require_values("levels", {"fc.weight": 1.5}, require_fraction)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: levels of fc.weight is 1.5, expected a fraction between 0 and 1 (for 1.5 % write 0.015)
    """
    if not values:
        raise SettingError(f"{argument} is empty, expected at least one parameter name")
    for name, value in values.items():
        check(f"{argument} of {name}", value)


def named_in(values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the names without ``*``.

    >>> named_in({"fc.weight": 1, "*": 2})
    ('fc.weight',)
    """
    return tuple(name for name in values if name != ALL)


def by_target(values: Mapping[str, Value], chosen: Chosen) -> dict[str, Value]:
    """Return the values by the parameters' names in the model.

    >>> by_target({"*": 0.5}, Chosen({}))
    {}
    """
    found = {target.name: values[name] for name, target in chosen.named.items()}
    return found | {target.name: values[ALL] for target in chosen.rest}


def fit_all(values: Mapping[str, Value], chosen: Chosen) -> Iterator[Remark]:
    """Yield a notice of what ``*`` means in this model.

    >>> list(fit_all({"fc.weight": 0.5}, Chosen({})))
    []
    """
    if ALL in values:
        thin = sum(target.parameter.dim() < 2 for target in chosen.rest)
        text = f"'*' means {len(chosen.rest)} more parameters here, {thin} of them biases and norms, as in Distiller"
        yield Remark(text, ALL, "notice")
