"""Lines of a file to policies of the engine: parameters found in the model, and every conflict named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

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
    Remark,
)
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.extending import ActOnce
from prunus.recipes.distiller.folding import norm_after
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
        optimizer: for learning rates; None where there is none.
        report: of all faults.
        known: the parameters of components that were fitted before, as :attr:`known` held them then.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> report = Report()
    >>> line = Line(AutomatedGradualPruner(0.1, 0.9, "module.0.weigth"), Window(0, 9))
    >>> Fitting(nn.Sequential(nn.Linear(2, 2)), None, report).policies([line])
    []
    >>> print(report.found[0])
    the model has no parameter 'module.0.weigth'. Did you mean '0.weight'?
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
        lines = [self._with_levels(line) for line in lines]
        found = [self._policy(line) for line in lines]
        self._check_rates([*earlier, *lines])
        self._check_claims([*earlier, *lines])
        self._say_renamed(lines)
        return [policy for policy in found if policy is not None]

    def _policy(self, line: Line) -> Policy | None:
        before = len(self.report.found)
        chosen = self.choose(line)
        span = line.window.resolve(None)
        for remark in [*line.component.fit_window(span), *_of_args(line)]:
            text = f"{line.name}: {remark.message}" if line.name else remark.message
            self.report.add(line.place, text, severity=remark.severity)
        self._check_norms(line, chosen)
        if isinstance(line.component, LRScheduler) and self.optimizer is None:
            self.report.add(line.place, f"{type(line.component).__name__} needs an optimizer, and there is none")
        if chosen is None or self._failed(before):
            return None
        return Policy(action_of(line, chosen, span), line.window)

    def _check_norms(self, line: Line, chosen: Chosen | None) -> None:
        folds = isinstance(line.args, PrunerArgs) and line.args.fold_batchnorm
        for target in chosen.all if chosen and folds else ():
            if norm_after(target.module, self.model) is None:
                text = f"{line.name}: fold_batchnorm: {target.name} is not followed by exactly one batch norm"
                self.report.add(line.place, text, code="does-not-fit")

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
                self.report.add(at, f"the model has no parameter {name!r}. {self.names.offer(name)}")
            elif target in named.values():
                self.report.add(at, f"{name!r} is {target.name}, which is named above already", code="duplicate")
            else:
                named[name] = target
        if self._failed(before):
            return None
        rest = [target for target in self.names.targets if target not in named.values()] if component.everything else []
        chosen = Chosen(named, rest)
        for remark in component.fit(chosen):
            self.report.add(places.get(remark.name, place), remark.message, severity=remark.severity)
        return None if self._failed(before) else chosen

    def _with_levels(self, line: Line) -> Line:
        """Put a policy's own levels into its pruner, a new one, so that other policies keep theirs."""
        levels = line.args.levels if isinstance(line.args, PrunerArgs) else None
        if levels is None:
            return line
        if "levels" not in getattr(line.component, "__dataclass_fields__", {}):
            text = f"{line.name}: levels changes nothing: {type(line.component).__name__} has none"
            self.report.add(line.place, text, code="misplaced")
            return line
        component: Any = line.component
        return replace(line, component=replace(component, levels=levels))

    def _check_rates(self, lines: Sequence[Line]) -> None:
        rates = [(line, line.window.resolve(None)) for line in lines if isinstance(line.component, LRScheduler)]
        for (one, first), (other, second) in combinations(rates, 2):
            if _overlap(first, second):
                self.report.add(
                    other.place,
                    f"{_two(one, other)} both set the learning rate; give them epochs apart",
                    code="conflict",
                )

    def _check_claims(self, lines: Sequence[Line]) -> None:
        """Two pruners of one parameter need epochs apart."""
        claims: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            chosen = self.choose(line) if isinstance(line.component, Pruner) else None
            for target in chosen.all if chosen else ():
                for earlier in claims[target.name]:
                    self._check_pair(earlier, line, target.name)
                claims[target.name].append(line)

    def _check_pair(self, one: Line, other: Line, name: str) -> None:
        shared = set(one.window.resolve(None).firings()) & set(other.window.resolve(None).firings())
        if shared and not other.args.replace_masks:
            hint = "give them epochs apart, or say replace_masks: true in the later one's args"
            self.report.add(
                other.place, f"{_two(one, other)} both prune {name} in epoch {min(shared)}; {hint}", code="conflict"
            )

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
        return RateByEpoch(component)
    assert isinstance(component, Extension)
    return ActOnce(component)


def _of_args(line: Line) -> Iterator[Remark]:
    """Yield what is to be said about a policy's arguments in its window."""
    if isinstance(line.args, PrunerArgs):
        yield from line.args.remarks()
    span = line.window.resolve(None)
    last = span.firings()[-1]
    if getattr(line.args, "keep_mask", False) and span.end is not None and last != span.end - 1:
        yield Remark(f"keep_mask acts after epoch {last}, the last that fires", "keep_mask", "notice")


def _overlap(one: Span, other: Span) -> bool:
    return one.start <= other.firings()[-1] and other.start <= one.firings()[-1]


def _two(one: Line, other: Line) -> str:
    return " and ".join(line.name or type(line.component).__name__ for line in (one, other))
