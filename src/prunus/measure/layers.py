"""Per-layer figures of a model's chosen weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from prunus.masks import MaskStore
from prunus.measure.zeros import Count, count
from prunus.select import Select, Target, targets


@dataclass(frozen=True)
class Row:
    """One layer: its parameter's name, shape and count of zeros, and how many of its output rows are empty.

    >>> str(Row("fc.weight", (2, 2), Count(3, 4), empty_rows=1).count)
    '75.00 % (1 of 4 left)'
    """

    name: str
    shape: tuple[int, ...]
    count: Count
    empty_rows: int


def table(model: nn.Module, *, select: Select | None = None, masks: MaskStore | None = None) -> list[Row]:
    """Return one row for each chosen parameter, in model order; arguments as in :func:`prunus.measure.count`.

    >>> import torch
    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    >>> table(model)
    [Row(name='weight', shape=(2, 2), count=Count(zeros=3, total=4), empty_rows=1)]
    """
    return [_row(target, masks) for target in targets(model, select)]


def _row(target: Target, masks: MaskStore | None) -> Row:
    weight = target.parameter.detach()
    if masks is not None and target.name in masks:
        weight = weight * masks[target.name].to(weight.device)
    alive = target.canonical(weight).flatten(1).ne(0).any(dim=1) if weight.dim() > 1 else weight.ne(0)
    return Row(target.name, tuple(weight.shape), count(weight), int((~alive).sum()))
