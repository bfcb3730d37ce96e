"""Policies of Distiller's files at work: the moments inside an epoch, beside those of every action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prunus.actions import Bound


class Batch(NamedTuple):
    """A mini-batch: its epoch, its place in the epoch, and how many the epoch has (None: not known).

    >>> Batch(2, 3, 10).in_run, Batch(2, 3, None).in_run
    (23, None)
    """

    epoch: int
    number: int
    total: int | None

    @property
    def in_run(self) -> int | None:
        """How many mini-batches the run has had before, if that is known."""
        if self.epoch == 0:
            return self.number
        return None if self.total is None else self.epoch * self.total + self.number


class PolicyBound(Bound):
    """An action at work that is also told of mini-batches, in the epochs in which its policy fires.

    >>> PolicyBound([]).needs_minibatches
    False
    """

    needs_minibatches: bool = False
    """Whether :meth:`before_forward` has to be called before the forward pass."""

    @property
    def awaits_update(self) -> bool:
        """Whether :meth:`before_update` has something to do in this mini-batch."""
        return False

    def attach(self) -> None:
        """Put hooks on the model: once before training, and once after a resume in a new process."""

    def minibatch_begin(self, batch: Batch) -> None:
        """Decide what is due at the begin of a mini-batch."""

    def before_forward(self) -> None:
        """Put masks on that only the forward pass shall see."""

    def before_update(self) -> None:
        """Take them off again, once the gradients are there."""

    def minibatch_end(self, batch: Batch) -> None:
        """Act after the update."""

    def close_epoch(self, epoch: int) -> None:
        """Act at the end of an epoch in which the policy fires, before the epoch's figures are taken."""

    def epoch_over(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Prepare for the next epoch, when the figures of this one are known."""

    def close(self) -> None:
        """Take hooks off the model."""
