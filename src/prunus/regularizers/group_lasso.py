"""GroupLasso: each group of any structure pays its length, so whole groups reach zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunus.regularizers.grouped import GroupRegularizer
from prunus.structures import Filter, Structure, get_structure

FILTERS = Filter()


@dataclass
class GroupLasso(GroupRegularizer):
    r"""Charge the length of every group of a structure: whole filters, channels or blocks reach zero together.

    .. math:: J(x) = \lambda \sqrt{n} \sum_g \lVert x_g \rVert_2, \qquad n = \text{members of a group}

    Args:
        lamda: strength, at least 0.
        structure: the groups; a Structure, its name, or a mapping such as {"name": "block", "rows": 2, "cols": 8}.

    Raises:
        SettingError: an unknown structure.
        StructureError: a tensor that the structure cannot split; biases included, so give them RegNone.

    Use it when the groups are to be removed afterwards; for rows and kernels there are RegL1L2 and RegL1L2Conv.
    Source: Yuan and Lin (2006), equation 2.1.

    >>> import torch
    >>> GroupLasso(0.5, "column").prox(torch.tensor([[3.0, 0.3], [4.0, 0.4]]))
    tensor([[2.5757, 0.0000],
            [3.4343, 0.0000]])
    """

    name: ClassVar[str] = "group_lasso"

    structure: Structure = FILTERS

    def __post_init__(self) -> None:
        self.structure = get_structure(self.structure)
