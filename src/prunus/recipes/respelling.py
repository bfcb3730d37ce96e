"""Read on under the name that was certainly meant, so that one slip hides no other fault and drags none along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prunus.recipes.faults import Report
from prunus.recipes.nodes import Node, Pair


def respelt(
    pairs: Mapping[str, Pair], known: Iterable[str], what: Callable[[str], str], report: Report
) -> dict[str, Pair]:
    """Return the pairs with known keys, those with certain misspellings under the right ones; report the unknown.

    >>> from prunus.recipes.nodes import from_plain
    >>> report = Report()
    >>> found = respelt(from_plain({"polices": [], "x": 1}, report).value, ["policies"], "unknown {}".format, report)
    >>> list(found), [fault.message for fault in report.found]
    (['policies'], ['unknown polices', 'unknown x'])
    """
    names = list(known)
    found: dict[str, Pair] = {}
    for key, pair in pairs.items():
        meant = key if key in names else report.meant(pair.key.place, what(key), key, names, pairs)
        if meant is not None:
            found.setdefault(meant, pair if meant == key else Pair(Node(meant, pair.key.place), pair.value))
    return found
