"""Figures in words: percentages, bytes, durations and the headline of a report."""

from __future__ import annotations

from prunus.report.records import Report, RunRecord

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"


def percent(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage, or a dash when there is none.

    >>> percent(0.98), percent(None)
    ('98.00 %', '–')
    """
    return "–" if fraction is None else f"{100 * fraction:.{digits}f} %"


def points(difference: float) -> str:
    """Return a difference of two fractions as signed percentage points.

    >>> points(-0.004), points(0.0)
    ('−0.40', '±0.00')
    """
    size = f"{100 * abs(difference):.2f}"
    sign = "±" if float(size) == 0 else MINUS if difference < 0 else "+"
    return sign + size


def size(count: int) -> str:
    """Return bytes in the unit a reader would choose, powers of 1000.

    >>> size(512), size(34_511), size(1_724_320)
    ('512 B', '34.5 kB', '1.72 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.2f} MB"


def round_size(count: float) -> str:
    """Return round numbers of bytes without decimals, as axes show them.

    >>> round_size(50_000), round_size(1_000_000)
    ('50 kB', '1 MB')
    """
    for unit, worth in (("MB", 1_000_000), ("kB", 1000)):
        if count >= worth:
            return f"{count / worth:g} {unit}"
    return f"{count:g} B"


def ratio(whole: int, part: int) -> str:
    """Return how many times smaller ``part`` is.

    >>> ratio(1_724_320, 34_511), ratio(100, 90)
    ('50×', '1.1×')
    """
    times = whole / part
    return f"{times:.0f}{TIMES}" if times >= 10 else f"{times:.1f}{TIMES}"


def duration(seconds: float) -> str:
    """Return seconds, from a minute on with minutes.

    >>> duration(9.04), duration(83.2)
    ('9.0 s', '1 min 23 s')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"


def difference(run: RunRecord, report: Report) -> str:
    """Return the accuracy of ``run`` against the dense run in points, a dash for the dense run itself.

    >>> from prunus.measure import Count
    >>> dense = RunRecord("dense", "dense", None, Count(0, 10), 0.98, 40, 1.0)
    >>> small = RunRecord("budget", "budget", 0.9, Count(9, 10), 0.975, 4, 1.0)
    >>> report = Report("", "", "", (dense, small))
    >>> difference(small, report), difference(dense, report)
    ('−0.50', '–')
    """
    dense = report.dense
    return "–" if dense is None or run is dense else points(run.accuracy - dense.accuracy)


def headline(report: Report) -> str:
    """Return the report in one sentence: how much is gone and what it cost, for the best of the sparsest runs.

    >>> from prunus.measure import Count
    >>> dense = RunRecord("dense", "dense", None, Count(0, 10), 0.98, 40, 1.0)
    >>> small = RunRecord("budget", "budget", 0.9, Count(9, 10), 0.975, 4, 1.0)
    >>> headline(Report("", "", "", (dense, small)))
    '90 % of the weights gone, 0.5 points of accuracy lost.'
    """
    best, dense = report.best, report.dense
    gone = percent(best.count.sparsity, 0 if best.count.sparsity < 0.985 else 1)
    if dense is None or best is dense:
        return f"{percent(best.accuracy)} accuracy with {gone} of the weights gone."
    lost = 100 * (dense.accuracy - best.accuracy)
    return f"{gone} of the weights gone, {f'{lost:.1f} points of' if lost >= 0.05 else 'no'} accuracy lost."
