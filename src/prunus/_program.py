"""The policies of a run as one: fixed to its length, asked what is due, and told its end."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from torch import Tensor, nn

from prunus._agenda import Agenda
from prunus.actions import Action, Moment, Site
from prunus.errors import NoEffect, RunError, SettingError
from prunus.policy import Policy, RunningPolicy
from prunus.window import UNITS


class Program(list[RunningPolicy]):
    """The policies of one run, in the order in which they act.

    >>> from torch import nn
    >>> from prunus.actions import Prune
    >>> from prunus.masks import MaskStore
    >>> from prunus.schedules import OneShot
    >>> from prunus.window import Window
    >>> policy = Policy(Prune(OneShot(0.5)), Window(2, 3))
    >>> program = Program.bind([policy], Site(nn.Linear(2, 2), None, MaskStore([])))
    >>> program.resolve({"epoch": 4, "step": None})
    >>> [program.fire(Moment.BEFORE, "epoch", epoch) for epoch in range(4)]
    [False, False, True, False]
    """

    def __init__(self, policies: Iterable[RunningPolicy] = ()) -> None:
        super().__init__(policies)
        self._agendas: dict[tuple[Moment, str], Agenda] = {}
        self._broken: tuple[Moment, str, int] | None = None  # where an error broke off a firing
        self._done = 0  # how many policies had acted there
        self._warned_of_length = False

    @classmethod
    def bind(cls, policies: Iterable[Policy | Action], site: Site) -> Program:
        """Bind policies to a model, a bare action for the whole run."""
        if not isinstance(policies, Iterable) or isinstance(policies, str):
            raise SettingError(f"policies is {policies!r}, expected a list of policies or actions")
        found = [Policy(one) if isinstance(one, Action) else one for one in policies]
        for index, one in enumerate(found):
            if not isinstance(one, Policy):
                raise SettingError(f"policies[{index}] is {one!r}, expected a Policy, or a member of prunus.actions")
        return cls(RunningPolicy(one, site) for one in found)

    def resolve(self, totals: Mapping[str, int | None]) -> None:
        """Fix every span, once the length of the run is known; refuse two policies that move the same thing at once."""
        for policy in self:
            policy.resolve(totals)
        for one, other in combinations(self, 2):
            if one.clashes(other):
                raise SettingError(
                    f"two policies move {one.policy.action.claims}: {one.policy.name}; {other.policy.name}"
                )
        self._agendas = {(moment, unit): self._agenda(moment, unit) for moment in Moment for unit in UNITS}

    def _agenda(self, moment: Moment, unit: str) -> Agenda:
        return Agenda([p for p in self if moment in p.policy.action.moments and p.window.unit == unit])

    def begin(self, epoch: int, step: int) -> None:
        """Let the actions prepare, each when its time has come."""
        for policy in self:
            policy.begin(epoch, step)

    def due(self, moment: Moment, unit: str, time: int) -> list[RunningPolicy]:
        """Return the policies that act now, in order."""
        return self._agendas[moment, unit].due(time)

    def fire(self, moment: Moment, unit: str, time: int) -> bool:
        """Fire what is due; say whether anything was. After an error the next try goes on where this one broke off."""
        due, place = self.due(moment, unit, time), (moment, unit, time)
        if self._broken != place:
            self._broken, self._done = place, 0
        for policy in due[self._done :]:
            policy.fire(time)
            self._done += 1
        self._broken = None
        return bool(due)

    def complete(self, step: int, total: int | None) -> None:
        """Let each act once more when the run took fewer steps than announced."""
        for policy in self:
            policy.complete(step, total)

    def warn_of_length(self, epoch: int, steps: int, announced: int | None) -> None:
        """Warn once when an epoch was not as long as announced and a window counts steps."""
        counts = any(policy.window.unit == "step" for policy in self)
        if announced is None or not counts or self._warned_of_length:
            return
        if abs(steps - announced) > max(1, announced // 20):
            self._warned_of_length = True
            text = f"epoch {epoch} took {steps} optimizer steps, steps_per_epoch says {announced}: "
            hint = "count optimizer steps, not batches, or windows in steps shift"
            warnings.warn(text + hint, NoEffect, stacklevel=3)

    def finish(self, saw_loss: bool) -> None:
        """Warn about every policy that never acted or missed its goal, or whose penalty nobody asked for."""
        for policy in self:
            policy.bound.finish()
            if policy.policy.action.moment is Moment.DURING and not saw_loss:
                text = f"{policy.policy.name} had no effect: the loop never called scheduler.loss(loss)"
                warnings.warn(text, NoEffect, stacklevel=3)
            else:
                policy.warn_if_short()

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters that some policy acts on, each once."""
        return list({id(p): p for policy in self for p in policy.bound.parameters}.values())

    def homes(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the parameters of the model that some policy acts on, by name."""
        acted = {id(parameter) for parameter in self.parameters}
        return {name: parameter for name, parameter in model.named_parameters() if id(parameter) in acted}

    def metrics(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return the figures with every policy's own; a name that is taken gets the number of the policy."""
        found = dict(figures)
        for index, policy in enumerate(self):
            for name, value in policy.bound.metrics().items():
                found[name if name not in found else f"{name}_{index}"] = value
        return found

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of each."""
        return [policy.state_dict() for policy in self]

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self._broken = None
        for policy, saved in zip(self, states, strict=True):
            policy.load_state_dict(saved)


def require_homes(model: nn.Module, homes: Mapping[str, Tensor]) -> None:
    """Raise RunError where the model has other parameters by now: the optimizer would train what nobody uses.

    >>> model = nn.Linear(2, 2)
    >>> homes = dict(model.named_parameters())
    >>> _ = model.load_state_dict(nn.Linear(2, 2).state_dict(), assign=True)
    >>> require_homes(model, homes)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prunus.errors.RunError: weight, bias: the model has other parameters than when the scheduler was built, as ...
    """
    living = {id(parameter) for parameter in model.parameters()}
    lost = [name for name, parameter in homes.items() if id(parameter) not in living]
    if lost:
        raise RunError(
            f"{', '.join(lost)}: the model has other parameters than when the scheduler was built, as "
            "load_state_dict(assign=True), to_empty() and assignments leave it; build optimizer and scheduler behind it"
        )
