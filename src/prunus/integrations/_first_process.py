"""Distributed runs: what all processes find is said by the first one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from prunus.errors import NoEffect


@contextmanager
def said_once(first: bool) -> Iterator[None]:
    """Let NoEffect be warned of in this block by the first process alone, for all of them would say the same.

    >>> with said_once(first=False):
    ...     warnings.warn("nobody hears this", NoEffect)
    """
    if first:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        yield
