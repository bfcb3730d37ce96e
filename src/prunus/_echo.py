"""What ``verbose=True`` writes goes through one small callable, which a caller may replace."""

from __future__ import annotations

import sys
from collections.abc import Callable

Echo = Callable[[str], None]
"""Takes one line of a report, without its line break."""


def to_stdout(line: str) -> None:
    """Write one line to standard output, looked up at each call, so that notebooks, pipes and tests catch it.

    >>> to_stdout("Pruned 3/4 weights (75.00%)")
    Pruned 3/4 weights (75.00%)
    """
    sys.stdout.write(f"{line}\n")
