"""Distiller's names of groups, and our structures that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunus.recipes.distiller.contract import Chosen, Remark
from prunus.select import Target
from prunus.structures import Channel, Column, Filter, Kernel, Layer, Row, Structure

RANKED: Mapping[str, Structure] = {"Filters": Filter(), "3D": Filter(), "Channels": Channel(), "Rows": Channel()}
"""The groups of ranked pruners; their Rows are input features, as Distiller's are."""
BLOCKS = "Blocks"
"""The group of ranked pruners whose shape the file says."""
DIMENSIONS: Mapping[str, tuple[int, ...]] = {
    "Filters": (4,),
    "3D": (4,),
    "Channels": (4, 2),
    "Rows": (4, 2),
    BLOCKS: (4,),
}
"""How many dimensions a weight may have there."""
THRESHOLDS: Mapping[str, Structure] = {
    "2D": Kernel(),
    "3D": Filter(),
    "Filters": Filter(),
    "Channels": Channel(),
    "Rows": Row(),
    "Cols": Column(),
}
"""The groups of thresholds; their Rows are outputs, unlike those of ranked pruners."""
CHARGED: Mapping[str, Structure] = {**THRESHOLDS, "4D": Layer()}
"""The groups of regularizers: those of thresholds, and whole convolutions."""


def fit_ranked(group_type: str, chosen: Chosen, structure: Structure | None = None) -> Iterator[Remark]:
    """Yield an error for each parameter of a wrong shape, and a notice where Rows is not what the word says.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> [remark.name for remark in fit_ranked("Filters", Chosen({"fc.weight": targets(nn.Linear(2, 2))[0]}))]
    ['fc.weight']
    """
    takes = DIMENSIONS[group_type]
    for name, target in chosen.named.items():
        shape = list(target.parameter.shape)
        if len(shape) not in takes:
            wanted = " or ".join(str(count) for count in sorted(takes))
            yield Remark(f"{group_type} takes weights of {wanted} dimensions, {target.name} has shape {shape}", name)
        elif structure is not None and structure.misfit(shape):
            yield Remark(f"{target.name} of shape {shape} does not fit: {structure.misfit(shape)}", name)
        elif group_type == "Rows":
            text = f"Rows here means input features (dimension 1) of {target.name}, as in Distiller's ranked pruners"
            yield Remark(text, name, "notice")


def fit_thresholds(groups: Mapping[str, str], chosen: Chosen, *, mean: bool) -> Iterator[Remark]:
    """Yield an error for each parameter that its group does not fit, and a notice where a mean is not Distiller's.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> chosen = Chosen({"fc.weight": targets(nn.Linear(2, 2))[0]})
    >>> [remark.severity for remark in fit_thresholds({"fc.weight": "2D"}, chosen, mean=False)]
    ['error']
    """
    for name, target in chosen.named.items():
        group, shape = groups[name], list(target.parameter.shape)
        misfits = list(fit_group(group, name, target))
        yield from misfits
        if mean and not misfits and group in ("Rows", "Cols") and shape[0] != shape[1]:
            text = f"Mean_Abs of {group} is the mean; Distiller divides the sum by {shape[0 if group == 'Rows' else 1]}"
            yield Remark(f"{target.name}: {text}, the size of the other dimension", name, "notice")


def fit_group(group: str, name: str, target: Target) -> Iterator[Remark]:
    """Yield an error if the parameter, called ``name`` in the file, does not fall into such groups.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> [remark.message for remark in fit_group("4D", "fc.weight", targets(nn.Linear(2, 2))[0])]
    ['4D takes weights of 4 dimensions, weight has shape [2, 2]']
    """
    shape = list(target.parameter.shape)
    wanted = (2,) if group in ("Rows", "Cols") else (2, 4) if group == "Channels" else (4,)
    if len(shape) not in wanted:
        dimensions = " or ".join(map(str, wanted))
        yield Remark(f"{group} takes weights of {dimensions} dimensions, {target.name} has shape {shape}", name)


def fit_leader(structure: Structure, chosen: Chosen) -> Iterator[Remark]:
    """Yield an error for each parameter that has not as many groups as the first one, the Leader.

    >>> list(fit_leader(Filter(), Chosen({})))
    []
    """
    counts = {name: _groups(structure, target.parameter.shape) for name, target in chosen.named.items()}
    leader = next(iter(counts), "")
    for name, count in counts.items():
        if count != counts[leader]:
            yield Remark(f"{name} has {count} groups and the Leader {leader} {counts[leader]}, expected as many", name)


def _groups(structure: Structure, shape: Sequence[int]) -> int:
    return 0 if structure.misfit(shape) else structure.groups(shape)
