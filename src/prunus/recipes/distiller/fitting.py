"""Lines of a file to policies of the engine: parameters found in the model, and every conflict named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from prunus.actions import Action
from prunus.policy import Policy
from prunus.recipes.distiller.arguments import PrunerArgs, RegularizerArgs
from prunus.recipes.distiller.contract import (
    Chosen,
    Component,
    Extension,
    LRScheduler,
    Pruner,
    Regularizer,
)
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.extending import ActOnce
from prunus.recipes.distiller.folding import norm_after
from prunus.recipes.distiller.goals import fit_goals
from prunus.recipes.distiller.meeting import check_claims, check_rates, check_window, with_levels
from prunus.recipes.distiller.names import Names
from prunus.recipes.distiller.pruning import PruneByRule
from prunus.recipes.distiller.rating import RateByEpoch
from prunus.recipes.distiller.regularizing import RegularizeByRule
from prunus.recipes.faults import Place, Report
from prunus.select import Target
from prunus.window import Span


class Fitting:
    """Fit lines to a model, faults into a report.

    Args:
        model: where parameters are looked up.
        optimizer: what learning rates are fitted to; without one they are not.
        report: of all faults.
        known: the parameters of components that were fitted before, as :attr:`known` held them then.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> report = Report()
    >>> line = Line(AutomatedGradualPruner(0.1, 0.9, "module.0.weigth"), Window(0, 9))
    >>> Fitting(nn.Sequential(nn.Linear(2, 2)), None, report).policies([line])
    []
    >>> print(report.found[0])
    the model has no parameter 'module.0.weigth'. Did you mean 'module.0.weight'?
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        report: Report,
        known: Mapping[int, tuple[Component, Chosen | None]] | None = None,
    ) -> None:
        self.model, self.optimizer, self.report = model, optimizer, report
        self.names = Names(model)
        self.known = dict(known or {})

    def policies(self, lines: Sequence[Line], earlier: Sequence[Line] = ()) -> list[Policy]:
        """Return a policy for each line in which nothing is wrong; conflicts with earlier lines are faults too."""
        lines = [with_levels(line, self.report) for line in lines]
        found = [self._policy(line) for line in lines]
        check_rates([*earlier, *lines], self.report)
        check_claims(self._claims([*earlier, *lines]), self.report)
        self._say_renamed(lines)
        return [policy for policy in found if policy is not None]

    def _policy(self, line: Line) -> Policy | None:
        before = len(self.report.found)
        chosen = self.choose(line)
        check_window(line, self.report)
        self._check_norms(line, chosen)
        self._check_rates(line)
        if chosen is None or self._failed(before):
            return None
        return Policy(action_of(line, chosen, line.window.resolve(None)), line.window)

    def _check_norms(self, line: Line, chosen: Chosen | None) -> None:
        folds = isinstance(line.args, PrunerArgs) and line.args.fold_batchnorm
        for target in chosen.all if chosen and folds else ():
            if norm_after(target.module, self.model) is None:
                text = f"{line.name}: fold_batchnorm: {target.name} is not followed by exactly one batch norm"
                self.report.add(line.place, text, code="does-not-fit")

    def _check_rates(self, line: Line) -> None:
        if self.optimizer is None or not isinstance(line.component, LRScheduler):
            return
        for remark in line.component.fit_optimizer(self.optimizer, line.window.resolve(None)):
            text = f"{line.name}: {remark.message}" if line.name and not remark.name else remark.message
            self.report.add(line.places.get(remark.name, line.place), text, severity=remark.severity)

    def choose(self, line: Line) -> Chosen | None:
        """Return the parameters of a line's component, or None once the faults are reported; one answer a component."""
        key = id(line.component)
        if key not in self.known:  # the component is kept beside, so that no other one can get its id
            self.known[key] = (line.component, self._choose(line.component, line.places, line.place))
        return self.known[key][1]

    def _choose(self, component: Component, places: Mapping[str, Place], place: Place) -> Chosen | None:
        before = len(self.report.found)
        named: dict[str, Target] = {}
        for name in component.names:
            target = self.names.find(name)
            at = places.get(name, place)
            if target is None:
                known = self.names.spelt_like(name)
                self.report.unknown(at, f"the model has no parameter {name!r}", name, known)
            elif target in named.values():
                self.report.add(at, f"{name!r} is {target.name}, which is named above already", code="duplicate")
            else:
                named[name] = target
        if self._failed(before):
            return None
        rest = [target for target in self.names.targets if target not in named.values()] if component.everything else []
        chosen = Chosen(named, rest)
        for remark in [*component.fit(chosen), *component.fit_model(chosen, self.model)]:
            code = "does-not-fit" if remark.severity == "error" else ""
            self.report.add(places.get(remark.name, place), remark.message, severity=remark.severity, code=code)
        for remark in fit_goals(component, chosen):
            self.report.add(places.get(remark.name, place), remark.message, severity="warning", code="too-few-groups")
        return None if self._failed(before) else chosen

    def _claims(self, lines: Iterable[Line]) -> Iterator[tuple[Line, list[str]]]:
        for line in lines:
            chosen = self.choose(line) if isinstance(line.component, Pruner) else None
            yield line, [target.name for target in chosen.all] if chosen else []

    def _say_renamed(self, lines: Iterable[Line]) -> None:
        pairs = {(name, target.name) for name, target in self._named(lines) if name != target.name}
        if pairs:
            old, new = min(pairs)
            text = f"{len(pairs)} names differ from the model's in 'module.' alone and are matched: {old!r} is {new!r}"
            self.report.add(Place(self.report.files[0] if self.report.files else ""), text, severity="notice")

    def _named(self, lines: Iterable[Line]) -> Iterator[tuple[str, Target]]:
        for line in lines:
            chosen = self.choose(line)
            yield from chosen.named.items() if chosen else ()

    def _failed(self, before: int) -> bool:
        """Say whether there are errors among the faults found since."""
        return any(fault.severity == "error" for fault in self.report.found[before:])


def action_of(line: Line, chosen: Chosen, span: Span) -> Action:
    """Return the engine's action for a line.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> line = Line(AutomatedGradualPruner(0.1, 0.9, "weight"), Window(0, 9))
    >>> type(action_of(line, Chosen({}), Span(0, 9))).__name__
    'PruneByRule'
    """
    component = line.component
    if isinstance(component, Pruner):
        return PruneByRule(component, chosen, span, line.args or PrunerArgs())
    if isinstance(component, Regularizer):
        return RegularizeByRule(component, chosen, span, line.args or RegularizerArgs())
    if isinstance(component, LRScheduler):
        return RateByEpoch(component, span)
    assert isinstance(component, Extension)
    return ActOnce(component)
