"""When a misspelt name certainly means another: one slip away from it, and from no other."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 4
"""Letters of the shortest name that is put right; between short ones a slip is as likely a choice."""


def one_slip(name: str, known: Iterable[str]) -> str | None:
    """Return the only known name that ``name`` misses by one slip, or None when there is no such or several.

    A slip is a letter too much, missing, wrong or swapped with its neighbour, or other case, hyphens or blanks for
    underscores. Digits do not slip: ``l1`` is not ``l2``.

    >>> one_slip("critrion", ["criterion", "scope"]), one_slip("Per-Layer", ["per_layer"]), one_slip("l2", ["l1"])
    ('criterion', 'per_layer', None)
    """
    near = {one for one in known if one != name and (_plain(one) == _plain(name) or _slipped(name, one))}
    return near.pop() if len(near) == 1 else None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _slipped(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(short) < SHORTEST or len(long) - len(short) > 1:
        return False
    at = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    if long[at].isdigit() or (at < len(short) and short[at].isdigit()):
        return False
    if len(long) > len(short):
        return long[at + 1 :] == short[at:]
    swapped = short[:at] + short[at : at + 2][::-1] + short[at + 2 :]
    return swapped == long or short[at + 1 :] == long[at + 1 :]
