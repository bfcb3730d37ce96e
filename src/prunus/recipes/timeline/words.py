"""Schedules, selections and figures in few words, as labels of a timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prunus.schedules import SCHEDULES, Schedule
from prunus.select import Select
from prunus.structures import STRUCTURES, Element, Structure
from prunus.window import Span

ARROW = "\N{RIGHTWARDS ARROW}"


def level(share: float) -> str:
    """Return a share in per cent, with as many digits as tell it apart from its neighbours.

    >>> level(0.9), level(0.1 + 0.2), level(0.995)
    ('90 %', '30 %', '99.5 %')
    """
    return f"{100 * share:.4g} %"


def number(value: float) -> str:
    """Return a strength or a rate.

    >>> number(1e-4), number(0.000012)
    ('0.0001', '1.2e-05')
    """
    return f"{value:.4g}"


def rise(initial: float, final: float) -> str:
    """Return two shares as the way from one to the other, or the one that both are.

    >>> rise(0.0, 0.9), rise(0.5, 0.5)
    ('0 → 90 %', '50 %')
    """
    return level(final) if initial == final else f"{level(initial).removesuffix(' %')} {ARROW} {level(final)}"


def between(values: Iterable[float], write: Callable[[float], str]) -> str:
    """Return the lowest and the highest of some values, or the one that both are.

    >>> between([0.9, 0.5], level), between([0.1], number)
    ('50 to 90 %', '0.1')
    """
    ends = sorted(set(values))
    if len(ends) < 2:
        return "".join(map(write, ends))
    return f"{write(ends[0]).removesuffix(' %')} to {write(ends[-1])}"


def ramp(schedule: Schedule) -> str:
    """Return a schedule: its ends, and its kind where they differ.

    >>> from prunus.schedules import Cubic, OneShot
    >>> ramp(Cubic(0.9)), ramp(OneShot(0.5))
    ('0 → 90 %, cubic', '50 %')
    """
    way = rise(schedule.initial, schedule.final)
    return way if schedule.initial == schedule.final else f"{way}, {registered(schedule, SCHEDULES)}"


def registered(member: object, registry: Mapping[str, type]) -> str:
    """Return what recipes call a member of a family; of one that is in no registry, its class.

    >>> from prunus.structures import Filter
    >>> registered(Filter(), STRUCTURES)
    'filter'
    """
    return next((name for name, kind in registry.items() if kind is type(member)), type(member).__name__)


def group(structure: Structure) -> list[str]:
    """Return what goes together, or nothing for single weights.

    >>> group(Element())
    []
    """
    return [] if isinstance(structure, Element) else [registered(structure, STRUCTURES)]


def factor(schedule: Schedule) -> str:
    """Return a schedule of factors.

    >>> from prunus.schedules import Cosine
    >>> factor(Cosine(initial=1.0, final=0.0))
    '× 1 → 0, cosine'
    """
    way = f"× {number(schedule.initial)} {ARROW} {number(schedule.final)}"
    return f"{way}, {registered(schedule, SCHEDULES)}"


def window(span: Span, unit: str) -> str:
    """Return a window in whole units.

    >>> window(Span(0, 14, 2), "epoch"), window(Span(7, 8), "step"), window(Span(1, 8, at=(1, 7)), "epoch")
    ('epochs 0 to 14, every 2', 'step 7', 'epochs 1 to 8, 2 of them')
    """
    fires = span.firings()
    if len(fires) == 1:
        return f"{unit} {fires[0]}"
    rhythm = f", {len(fires)} of them" if span.at else f", every {span.frequency}" if span.frequency > 1 else ""
    return f"{unit}s {span.start} to {span.end}{rhythm}"


def selection(select: Select) -> tuple[str, ...]:
    """Return the patterns of a selection, for a timeline without a model.

    >>> selection(Select()), selection(Select(include=("body.*",), exclude=("*.bias",), types=("Linear",)))
    (('all weights',), ('body.* of Linear but *.bias',))
    """
    every = select.include == ("*",)
    found = "all weights" if every else ", ".join(select.include)
    kinds = f" of {', '.join(select.types)}" if select.types else ""
    return (found + kinds + (f" but {', '.join(select.exclude)}" if select.exclude else ""),)


def names(targets: Sequence[str], most: int = 1) -> str:
    """Return targets, of more than ``most`` their number.

    >>> names(("fc.weight",)), names(("a", "b", "c")), names(())
    ('fc.weight', '3 parameters', '')
    """
    return ", ".join(targets) if len(targets) <= most else f"{len(targets)} parameters"
