"""The orders in which optimizers number parameters: of a model as it is, before it was pruned, and of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import nn
from torch.optim import Optimizer

from prunus.checkpoints.torch_format import ORIG, never_pruned_order, places
from prunus.errors import CheckpointError

Groups = list[list[str]]
"""Clean parameter names, a list a group, in the order in which an optimizer numbers them."""
Built = Literal["before", "after"]
"""Whether an optimizer was built before its model was pruned or after."""


class Order(NamedTuple):
    """The orders that matter for reading a saved optimizer: of the model now, before pruning, and of the file.

    >>> Order(("w", "b"), ("w", "b"), ("b", "w")).layouts([["w", "b"]])
    {'before': [['w', 'b']], 'after': [['b', 'w']]}
    """

    now: Sequence[str]
    before: Sequence[str] | None
    file: Sequence[str]

    def layouts(self, wanted: Groups) -> dict[Built, Groups]:
        """Return the orders that the saved optimizer may have had, when this one has ``wanted``.

        A group in the order of the model was made from ``model.parameters()``, so it followed the order of then; any
        other order was spelled out in code that does not depend on it. A file without pruned entries (``file`` is
        empty) is of a clean model.
        """
        before = self.now if self.before is None else self.before
        after = self.file or before
        return {
            "before": [self._then(group, before) for group in wanted],
            "after": [self._then(g, after) for g in wanted],
        }

    def _then(self, group: list[str], order: Sequence[str]) -> list[str]:
        return in_order(group, order) if in_order(group, self.now) == group else group


def order_of(model: nn.Module, file_keys: Sequence[str]) -> Order:
    """Return the orders of a model's parameters: its own, that before it was pruned, and that of a file's keys.

    >>> order_of(nn.Linear(2, 1), ["bias", "weight_orig", "weight_mask"]).file
    ('bias', 'weight')
    """
    pruned = {place.name for place in places(model)}
    now = clean_names(model).values()
    known = set(now)
    cleaned = dict.fromkeys(clean_name(key, known) for key in file_keys)
    moved = any(clean_name(key, known) != key for key in file_keys)
    before = never_pruned_order(list(now), pruned)
    return Order(tuple(now), before, tuple(key for key in cleaned if key in known) if moved else ())


def clean_names(model: nn.Module) -> dict[nn.Parameter, str]:
    """Return the name of every parameter as it is, or was, without pruning.

    >>> list(clean_names(nn.utils.prune.identity(nn.Linear(2, 1), "weight")).values())
    ['bias', 'weight']
    """
    originals = {id(place.original): place.name for place in reversed(places(model))}
    return {parameter: originals.get(id(parameter), name) for name, parameter in model.named_parameters()}


def groups_of(model: nn.Module, optimizer: Optimizer) -> Groups:
    """Return the clean names of an optimizer's parameters; CheckpointError when one is not the model's.

    >>> import torch
    >>> model = nn.Linear(2, 1)
    >>> groups_of(model, torch.optim.SGD(model.parameters()))
    [['weight', 'bias']]
    """
    names = clean_names(model)
    foreign = [
        f"parameter {at} of group {index} {tuple(parameter.shape)}"
        for index, group in enumerate(optimizer.param_groups)
        for at, parameter in enumerate(group["params"])
        if parameter not in names
    ]
    if foreign:
        raise CheckpointError(f"the optimizer updates what the model does not have: {', '.join(foreign)}")
    return [[names[parameter] for parameter in group["params"]] for group in optimizer.param_groups]


def clean_name(key: str, known: set[str]) -> str:
    """Return the name that a key had without pruning, if that is among the known ones, else the key.

    >>> clean_name("0.weight_orig", {"0.weight"}), clean_name("0.bias", {"0.weight"})
    ('0.weight', '0.bias')
    """
    bare = key.removesuffix(ORIG)
    return bare if key not in known and bare in known else key


def in_order(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return names in the order of ``order``; names that it lacks come last, as they came.

    >>> in_order(["c", "a", "b"], ["b", "a"])
    ['b', 'a', 'c']
    """
    rank = {name: index for index, name in enumerate(order)}
    return sorted(names, key=lambda name: rank.get(name, len(rank)))
