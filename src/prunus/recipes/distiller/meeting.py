"""What can be said about lines before there is a model: their windows and arguments, and where two of them meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from prunus.recipes.distiller.arguments import PrunerArgs
from prunus.recipes.distiller.contract import LRScheduler, Pruner, Regularizer, Remark
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.firings import first_shared
from prunus.recipes.distiller.names import unwrapped
from prunus.recipes.faults import Report
from prunus.window import Span


def check_lines(lines: Sequence[Line], report: Report) -> None:
    """Report all that is wrong with lines whatever the model; parameters are taken by their names in the file.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> report = Report()
    >>> check_lines([Line(AutomatedGradualPruner(0.1, 0.9, "fc.weight"), Window(3, 4))], report)
    >>> print(report.found[0])
    gradual pruning needs at least 2 firings, this policy fires only in epoch 3
    """
    lines = [with_levels(line, report) for line in lines]
    for line in lines:
        check_window(line, report)
    check_rates(lines, report)
    pruners = [line for line in lines if isinstance(line.component, Pruner)]
    check_claims([(line, [unwrapped(name) for name in line.component.names]) for line in pruners], report)


def with_levels(line: Line, report: Report) -> Line:
    """Put a policy's own levels into its pruner, a new one, so that other policies keep theirs.

    >>> from prunus.recipes.distiller.pruners import SparsityLevelParameterPruner
    >>> from prunus.window import Window
    >>> line = Line(SparsityLevelParameterPruner({"fc.weight": 0.5}), Window(0, 3), PrunerArgs({"fc.weight": 0.7}))
    >>> with_levels(line, Report()).component
    SparsityLevelParameterPruner(levels={'fc.weight': 0.7})
    """
    levels = line.args.levels if isinstance(line.args, PrunerArgs) else None
    if levels is None:
        return line
    if "levels" not in getattr(line.component, "__dataclass_fields__", {}):
        text = f"{line.name}: levels changes nothing: {type(line.component).__name__} has none"
        report.add(line.place, text, code="misplaced")
        return line
    component: Any = line.component
    return replace(line, component=replace(component, levels=levels))


def check_window(line: Line, report: Report) -> None:
    """Report what a component, and the arguments of its policy, find wrong with the policy's window.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> check_window(Line(AutomatedGradualPruner(0.1, 0.9, "fc.weight"), Window(0, 9)), Report())
    """
    for remark in [*line.component.fit_window(line.window.resolve(None)), *_of_args(line)]:
        text = f"{line.name}: {remark.message}" if line.name else remark.message
        report.add(line.place, text, severity=remark.severity)


def check_rates(lines: Iterable[Line], report: Report) -> None:
    """Report every two lines that set the learning rate in the same stretch of the run.

    >>> check_rates([], Report())
    """
    rates = [(line, line.window.resolve(None)) for line in lines if isinstance(line.component, LRScheduler)]
    for (one, first), (other, second) in combinations(rates, 2):
        if _overlap(first, second):
            text = f"{_two(one, other)} both set the learning rate; give them epochs apart"
            report.add(other.place, text, code="conflict")


def check_claims(claims: Iterable[tuple[Line, Iterable[str]]], report: Report) -> None:
    """Report every two lines that prune one parameter in one epoch, given the parameters of each line.

    >>> check_claims([], Report())
    """
    earlier: Mapping[str, list[Line]] = defaultdict(list)
    for line, names in claims:
        for name in names:
            for other in earlier[name]:
                _check_pair(other, line, name, report)
            earlier[name].append(line)


def _check_pair(one: Line, other: Line, name: str, report: Report) -> None:
    shared = first_shared(one.window.resolve(None).firings(), other.window.resolve(None).firings())
    if shared is not None and not (other.args or PrunerArgs()).replace_masks:
        hint = "give them epochs apart, or say replace_masks: true in the later one's args"
        text = f"{_two(one, other)} both prune {name} in epoch {shared}; {hint}"
        report.add(other.place, text, code="conflict")


def _of_args(line: Line) -> Iterator[Remark]:
    """Yield what is to be said about a policy's arguments in its window."""
    if isinstance(line.args, PrunerArgs):
        yield from line.args.remarks()
    keeps = getattr(line.args, "keep_mask", False)
    if keeps and isinstance(line.component, Regularizer) and not line.component.thresholds:
        yield Remark("keep_mask changes nothing: the regularizer has no threshold_criteria", "keep_mask", "warning")
    span = line.window.resolve(None)
    last = span.firings()[-1]
    if keeps and span.end is not None and last != span.end - 1:
        yield Remark(f"keep_mask acts after epoch {last}, the last that fires", "keep_mask", "notice")


def _overlap(one: Span, other: Span) -> bool:
    return one.start <= other.firings()[-1] and other.start <= one.firings()[-1]


def _two(one: Line, other: Line) -> str:
    return " and ".join(line.name or type(line.component).__name__ for line in (one, other))
