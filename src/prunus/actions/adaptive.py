"""Follow a schedule only while a metric of the validation stays within a budget."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from prunus.actions._pace import MODES, Mode, Pace
from prunus.actions._wrapping import Wrapping
from prunus.actions.base import Action, Bound, Moment, Site
from prunus.errors import NoEffect, SettingError, did_you_mean, require_count, require_known, require_number


@dataclass(frozen=True)
class Adaptive(Wrapping):
    r"""Move another action along its schedule only while a metric stays within a budget; else hold, then go slower.

    At every firing of the window, with m the metric that the last ``epoch_end`` brought and r its reference:

    .. math:: p \leftarrow \begin{cases} \min(1, p + \Delta) & \text{if } m \ge r - b \\ p & \text{otherwise}
              \end{cases}, \qquad \Delta \leftarrow \beta\,\Delta \text{ once, after more than } k
              \text{ firings out of the budget in a row}

    The first firing acts at p = 0; then the action acts at progress p of its schedule, whatever the window's own
    progress. Masks never regrow: backing off means holding the level until training has recovered.

    Args:
        action: what follows a schedule, such as ``Prune(Linear(0.95))``.
        metric: the name under which ``scheduler.epoch_end({...})`` is told it; in Lightning, a logged name.
        budget: b, how much worse than the reference the metric may be, in its own units, at least 0.
        mode: "max" when more of it is better (accuracy), "min" when less is (loss).
        step: Δ at the start, the share of the schedule that one firing moves on, in (0, 1].
        back_off: β in [0, 1], what the step is multiplied by; 1 only holds, 0 stops for good.
        patience: k, firings out of the budget that are waited through before the step is cut.
        reference: r. None is the best metric so far, that of epochs before the window included.

    Errors: SettingError for other values, or an action without a schedule. A firing without a new metric holds, so
    validate at least as often as the window fires. NaN is out of the budget.
    Warns NoEffect at the end of a run that never saw the metric or did not come to the end of the schedule.
    Use it to find how sparse a model may become at a bearable loss; where the sparsity is given, prune on a schedule.
    Source: the stop-and-recover loop of iterative pruning, Han et al. 2015 (arXiv:1506.02626), section 3, with the
    multiplicative decrease of congestion control, Jacobson 1988.

    >>> import torch
    >>> from prunus.actions import Prune
    >>> from prunus.scheduler import CompressionScheduler
    >>> from prunus.schedules import Linear
    >>> prune = Adaptive(Prune(Linear(0.9)), metric="accuracy", budget=0.02, step=0.5)
    >>> scheduler = CompressionScheduler(torch.nn.Linear(10, 10), [prune])
    >>> accuracies, sparsities = [0.9, 0.8, 0.89, 0.9, 0.9], []
    >>> for epoch in scheduler.epochs(5):
    ...     sparsities.append(round(scheduler.sparsity(), 2))
    ...     scheduler.epoch_end({"accuracy": accuracies[epoch]})
    >>> sparsities
    [0.0, 0.45, 0.45, 0.67, 0.9]
    """

    ramps: ClassVar[bool] = False
    needs_progress = False

    metric: str
    budget: float
    mode: Mode = "max"
    step: float = 0.1
    back_off: float = 0.5
    patience: int = 0
    reference: float | None = None

    def __post_init__(self) -> None:
        """Refuse an action that has no schedule to follow, and settings out of range."""
        fires = isinstance(self.action, Action) and set(self.action.moments) <= {Moment.BEFORE, Moment.AFTER}
        if not fires or self.action.every_step or not (self.action.needs_progress and self.action.ramps):
            raise SettingError(f"action is {self.action!r}, expected one that follows a schedule, such as Prune(…)")
        if not isinstance(self.metric, str) or not self.metric:
            raise SettingError(f"metric is {self.metric!r}, expected a name such as 'accuracy'")
        require_number("budget", self.budget, 0.0)
        require_known("mode", self.mode, MODES)
        require_number("step", self.step, 0.0, 1.0, open_low=True)
        require_number("back_off", self.back_off, 0.0, 1.0)
        require_count("patience", self.patience, 0)
        if self.reference is not None:
            require_number("reference", self.reference, -math.inf)

    def bind(self, site: Site) -> Bound:
        """Bind the action."""
        return _Adaptive(self, self.action.bind(site))


@dataclass(eq=False)
class _Adaptive(Bound):
    """The running side of Adaptive."""

    action: Adaptive
    inner: Bound
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(self.inner.parameters)
        self.pace = Pace(self.action.step)

    def begin(self) -> None:
        """Let the action prepare."""
        self.inner.begin()

    def epoch_begin(self, epoch: int) -> None:
        """Tell the action which epoch begins."""
        self.inner.epoch_begin(epoch)

    def epoch_end(self, metrics: Mapping[str, float]) -> None:
        """Take note of the metric, if it is there."""
        self.inner.epoch_end(metrics)
        self.names.update(metrics)
        if self.action.metric in metrics:
            self.pace.take(float(metrics[self.action.metric]), self.action.mode)

    def fire(self, time: int, progress: float) -> None:
        """Move on, hold or slow down, and let the action act where it then stands; each metric is judged once."""
        action = self.action
        self.pace.move(action.budget, action.mode, action.back_off, action.patience, action.reference)
        self.inner.fire(time, self.pace.progress)

    def finish(self) -> None:
        """Warn NoEffect where the metric never came, or was not good enough to come to the end."""
        self.inner.finish()
        name = self.action.metric
        if not self.pace.fired or self.pace.progress >= 1.0:
            return
        text = f"went {self.pace.progress:.0%} of the way: "
        if not self.pace.seen:
            text = f"never moved, because no epoch_end brought {name!r}. {did_you_mean(name, self.names)}"
        elif self.pace.held:
            text += f"{name} was out of the budget at {self.pace.held} of {self.pace.fired} firings; "
            text += "train longer, allow a larger budget or take smaller steps"
        else:
            text += f"{self.pace.fired} firings are too few for steps of {self.action.step:g}; widen the window"
        warnings.warn(f"Adaptive({type(self.action.action).__name__}) {text}", NoEffect, stacklevel=2)

    def metrics(self) -> dict[str, float]:
        """Return the action's figures, how far it has come and how large the next step is."""
        return {**self.inner.metrics(), "adaptive_progress": self.pace.progress, "adaptive_step": self.pace.step}

    def state_dict(self) -> dict[str, Any]:
        """Return the pace and the action's state."""
        return {"pace": dict(vars(self.pace)), "action": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.pace = Pace(**state["pace"])
        self.inner.load_state_dict(state["action"])
