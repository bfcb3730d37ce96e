"""Options that name code or a member: ``module:factory``, ``block:rows=2,cols=8``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from prunus.errors import SettingError, require_known

if TYPE_CHECKING:
    from torch import nn


def named(text: str, option: str) -> Any:
    """Return what ``module:name`` names, found as Python finds modules, the current folder first.

    Raises:
        SettingError: it leads nowhere; the nearest name of the module is offered.

    >>> named("math:sqrt", "--metric")(9.0)
    3.0
    >>> named("math:sqr", "--metric")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: --metric math:sqr: math has no 'sqr'. Did you mean 'sqrt'?
    """
    from prunus._instantiate import locate

    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise SettingError(f"{option} is {text!r}, expected module:name, such as experiment:model")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return locate(f"{module}.{name}")
    except SettingError as fault:
        raise SettingError(f"{option} {text}: {fault}") from fault


def model(text: str, option: str = "--model") -> nn.Module:
    """Return the model that ``module:factory`` makes, or that ``module:name`` is.

    Raises:
        SettingError: there is no such name, the factory fails, or it makes something else.

    >>> model("torch.nn:Identity")
    Identity()
    """
    from torch import nn

    found = named(text, option)
    try:
        made = found if isinstance(found, nn.Module) else function(text, option)()
    except TypeError as fault:
        raise SettingError(f"{option} {text} was called without arguments: {fault}") from fault
    if not isinstance(made, nn.Module):
        raise SettingError(f"{option} {text} makes {made!r}, expected a torch.nn.Module")
    return made


def function(text: str, option: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names; SettingError when that cannot be called.

    >>> function("math:pi", "--metric")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: --metric math:pi is 3.141592653589793, which cannot be called
    """
    found = named(text, option)
    if not callable(found):
        raise SettingError(f"{option} {text} is {found!r}, which cannot be called")
    return found  # type: ignore[no-any-return]


def member(text: str, registry: Mapping[str, Callable[..., Any]], option: str) -> Any:
    """Return a member of a family from its name and settings, ``name`` or ``name:key=value,key=value``.

    Raises:
        SettingError: an unknown name or setting (the nearest one is offered), or a value that the member refuses.

    >>> from prunus.structures import STRUCTURES
    >>> member("block:rows=2,cols=8", STRUCTURES, "--structure")
    Block(rows=2, cols=8)
    """
    from prunus._instantiate import instantiate

    name, _, settings = text.partition(":")
    require_known(option, name, registry)
    pairs = [pair.partition("=") for pair in settings.split(",") if pair]
    try:
        return instantiate({"_target_": registry[name], **{key: _value(value) for key, _, value in pairs}})
    except SettingError as fault:
        raise SettingError(f"{option} {text}: {fault}") from fault


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Return the numbers of a list with commas.

    >>> numbers("0.5,0.9", "--levels")
    (0.5, 0.9)
    """
    values = [_value(part) for part in text.split(",")]
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        raise SettingError(f"{option} is {text!r}, expected numbers with commas between them, such as 0.5,0.9")
    return tuple(map(float, values))


def _value(text: str) -> Any:
    """Read a value as Python's number or truth value where it is one."""
    truth = {"true": True, "false": False}
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return truth.get(text.strip().lower(), text)
