"""Where the firings of two policies meet, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd


def first_shared(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the first number that two rising sequences share, or None; ranges are not written out.

    >>> first_shared(range(0, 10**12, 2), range(1, 10**12, 3)), first_shared(range(0, 9, 2), (1, 3, 8))
    (4, 8)
    """
    if isinstance(one, range) and isinstance(other, range):
        return _first_of_ranges(one, other)
    few, many = (other, one) if isinstance(one, range) else (one, other)
    found = many if isinstance(many, range) else set(many)
    return next((time for time in few if time in found), None)


def _first_of_ranges(one: range, other: range) -> int | None:
    """By the Chinese remainder theorem: what they share lies one least common multiple apart."""
    common, away = gcd(one.step, other.step), other.start - one.start
    if away % common:
        return None
    rhythm = other.step // common
    meeting = one.start + one.step * (away // common * pow(one.step // common, -1, rhythm) % rhythm)
    late = max(0, other.start - meeting)
    meeting += -(-late // (one.step * rhythm)) * one.step * rhythm
    return meeting if meeting < min(one.stop, other.stop) else None
