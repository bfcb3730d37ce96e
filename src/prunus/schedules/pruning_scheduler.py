"""A schedule told in epochs, with its state: a thin shell over the members of the family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prunus.errors import CheckpointError, SettingError, require_count, require_fraction, require_known
from prunus.schedules.base import Schedule
from prunus.schedules.constant_rate import ConstantRate
from prunus.schedules.cubic import Cubic
from prunus.schedules.exponential import Exponential
from prunus.schedules.linear import Linear

SCHEDULE_TYPES: dict[str, type[ConstantRate | Cubic | Exponential | Linear]] = {
    "constant": ConstantRate,
    "constant_rate": ConstantRate,
    "cubic": Cubic,
    "exponential": Exponential,
    "linear": Linear,
}
ROUNDING = 1e-6  # a map written by another implementation may have rounded otherwise


@dataclass
class PruningScheduler:
    r"""Say the sparsity of every epoch of a ramp: the first epoch already prunes, the last one reaches the goal.

    .. math:: s_e = \mathrm{schedule}\left(\min\left(1, \frac{e + 1}{N}\right)\right), \qquad e = 0, 1, \dots

    Args:
        schedule_type: "linear"; "constant" (or "constant_rate"): the same share of what remains in every epoch;
            "cubic" (Zhu and Gupta); "exponential", which needs an initial sparsity above 0.
        final_sparsity: sparsity from epoch N - 1 on, a fraction.
        epochs_to_ramp: N, at least 0; 0 counts as 1.
        initial_sparsity: where the ramp comes from, at most the final sparsity. No epoch has it, unless it is the goal.

    Errors: SettingError for other values; CheckpointError for a state that is damaged.
    Use it where epochs are counted from outside; a policy takes a member of the family and a window.
    Source: the scheduler of sparse speaker-verification training; "cubic" is Zhu and Gupta 2017 (arXiv:1710.01878).

    >>> scheduler = PruningScheduler("linear", final_sparsity=0.8, epochs_to_ramp=4)
    >>> [scheduler(epoch) for epoch in range(6)]
    [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    """

    schedule_type: str
    final_sparsity: float
    epochs_to_ramp: int
    initial_sparsity: float = 0.0
    _schedule: Schedule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a ramp that falls, for masks only tighten."""
        require_known("schedule_type", self.schedule_type, SCHEDULE_TYPES)
        require_count("epochs_to_ramp", self.epochs_to_ramp, 0)
        require_fraction("final_sparsity", self.final_sparsity)
        require_fraction("initial_sparsity", self.initial_sparsity)
        if self.initial_sparsity > self.final_sparsity:
            raise SettingError(
                f"initial_sparsity is {self.initial_sparsity}, which is above final_sparsity {self.final_sparsity}; "
                "masks only tighten"
            )
        self._schedule = SCHEDULE_TYPES[self.schedule_type](self.final_sparsity, self.initial_sparsity)

    def __call__(self, epoch: int) -> float:
        """Return the sparsity of ``epoch``, counted from 0."""
        require_count("epoch", epoch, 0)
        return self._schedule(min(1.0, (epoch + 1) / self.length))

    @property
    def length(self) -> int:
        """Epochs until the goal is reached, at least 1."""
        return max(1, self.epochs_to_ramp)

    @property
    def schedule_map(self) -> dict[int, float]:
        """The sparsity of every epoch of the ramp."""
        return {epoch: self(epoch) for epoch in range(self.length)}

    def verify_schedule_feasibility(self, max_epochs: int | None) -> None:
        """Raise SettingError when a run of ``max_epochs`` ends before the ramp; None or -1 is a run without an end."""
        if max_epochs is not None and 0 <= max_epochs < self.length:
            raise SettingError(
                f"epochs_to_ramp is {self.epochs_to_ramp}, but the run has only {max_epochs} epochs, so sparsity "
                f"{self.final_sparsity} would not be reached; train longer or ramp faster"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the settings and the map of epochs to sparsities."""
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return {**settings, "schedule_map": self.schedule_map}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the settings of a saved scheduler, all or nothing; its map must be the one that they give."""
        try:
            loaded = PruningScheduler(**{name: state[name] for name in _SETTINGS})
            saved = {int(epoch): float(level) for epoch, level in state.get("schedule_map", {}).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            raise CheckpointError(f"the state of the pruning schedule is damaged: {fault}") from fault
        for epoch, level in saved.items():
            if not math.isclose(level, loaded(epoch), abs_tol=ROUNDING):
                raise CheckpointError(
                    f"the saved schedule says {level} for epoch {epoch}, its settings say {loaded(epoch)}"
                )
        vars(self).update(vars(loaded))


_SETTINGS = ("schedule_type", "final_sparsity", "epochs_to_ramp", "initial_sparsity")
