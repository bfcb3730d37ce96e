"""Regularizers: what a weight costs, and the proximal map that makes it sparse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from prunus.errors import SettingError, did_you_mean, require_known
from prunus.regularizers.base import Regularizer
from prunus.regularizers.group_lasso import GroupLasso
from prunus.regularizers.l1 import RegL1
from prunus.regularizers.l1_l2 import RegL1L2
from prunus.regularizers.l1_l2_conv import RegL1L2Conv
from prunus.regularizers.l1_pos import RegL1Pos
from prunus.regularizers.none import RegNone
from prunus.regularizers.soft_bernoulli import RegSoftBernoulli

REGULARIZERS: dict[str, type[Regularizer]] = {
    "group_lasso": GroupLasso,
    "l1": RegL1,
    "l1_l2": RegL1L2,
    "l1_l2_conv": RegL1L2Conv,
    "l1_pos": RegL1Pos,
    "none": RegNone,
    "soft_bernoulli": RegSoftBernoulli,
}


def get_regularizer(name: str, **settings: Any) -> Regularizer:
    """Build a regularizer from its name, in any case, and its settings; the inverse of ``Regularizer.settings``.

    Raises:
        SettingError: an unknown name (the nearest one is offered) or an unknown or wrong setting.

    >>> get_regularizer("L1", lamda=0.1)
    RegL1(lamda=0.1)
    >>> get_regularizer("l1", lambda_=0.1)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: regularizer 'l1' does not take lambda_. Did you mean 'lamda'?
    """
    known = name.lower() if isinstance(name, str) else name
    require_known("regularizer", known, REGULARIZERS)
    member = REGULARIZERS[known]
    takes = [field.name for field in fields(member) if field.init]
    for key in settings:
        if key not in takes:
            raise SettingError(f"regularizer {known!r} does not take {key}. {did_you_mean(key, takes)}")
    return member(**settings)


__all__ = [
    "REGULARIZERS",
    "GroupLasso",
    "RegL1",
    "RegL1L2",
    "RegL1L2Conv",
    "RegL1Pos",
    "RegNone",
    "RegSoftBernoulli",
    "Regularizer",
    "get_regularizer",
]
