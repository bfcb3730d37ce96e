"""Epochs at which a learning rate changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunus.errors import SettingError, require_count
from prunus.recipes.distiller.contract import Remark


def require_milestones(milestones: Sequence[int]) -> None:
    """Raise SettingError unless there are milestones, each an epoch.

    >>> require_milestones([])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: milestones is empty, expected at least one epoch
    """
    if not milestones:
        raise SettingError("milestones is empty, expected at least one epoch")
    for milestone in milestones:
        require_count("milestones", milestone, 0)


def fit_milestones(milestones: Sequence[int], last: int) -> Iterator[Remark]:
    """Yield which milestones come after the last epoch whose rate the policy sets.

    >>> [remark.message for remark in fit_milestones([30, 60], 50)]
    ['the rate does not change at 60: the policy sets those of epochs to 50']
    """
    late = ", ".join(str(milestone) for milestone in milestones if milestone > last)
    if late:
        yield Remark(
            f"the rate does not change at {late}: the policy sets those of epochs to {last}", severity="notice"
        )
