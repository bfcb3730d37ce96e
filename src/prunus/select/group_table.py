"""The groups as rows of data and as a table of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADINGS = ("group", "tensors", "weights", "regularizer", "λ scale", "zeros at start", "settings")


@dataclass(frozen=True)
class GroupRow:
    """One group: how much it holds, how it is charged, how sparse it starts, and its own optimizer settings.

    >>> GroupRow("fc", 1, 8, "RegL1(lamda=0.1)", 1.0, 0.99, "unstructured", "").cells()
    ('fc', '1', '8', 'RegL1(lamda=0.1)', '1', '99 % unstructured', '')
    """

    name: str
    tensors: int
    weights: int
    regularizer: str
    lambda_scale: float
    sparsity_rate: float = 0.0
    pruning_type: str = "unstructured"
    settings: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        start = f"{100 * self.sparsity_rate:g} % {self.pruning_type}" if self.sparsity_rate else "-"
        counts = f"{self.tensors:,}", f"{self.weights:,}"
        return self.name, *counts, self.regularizer, f"{self.lambda_scale:g}", start, self.settings


@dataclass(frozen=True)
class GroupTable:
    """All groups in order, and what else should be known; printed, it is a table with the notices below.

    >>> print(GroupTable((GroupRow("fc", 1, 8, "RegNone(lamda=1.0)", 0.0),), ("frozen and in no group: conv.weight",)))
    group  tensors  weights  regularizer         λ scale  zeros at start  settings
    fc     1        8        RegNone(lamda=1.0)  0        -
    frozen and in no group: conv.weight
    """

    rows: tuple[GroupRow, ...]
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line a group, columns aligned, then the notices."""
        return "\n".join([*aligned([HEADINGS, *(row.cells() for row in self.rows)]), *self.notices])


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of cells as text with straight columns.

    >>> aligned([["a", "bc"], ["abc", "d"]])
    ['a    bc', 'abc  d']
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return [line.rstrip() for line in padded]
