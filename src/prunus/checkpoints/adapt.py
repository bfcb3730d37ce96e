"""Make a state dict fit a model, whichever of the two is pruned by torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prunus.checkpoints.fused import fuse, pairs_of
from prunus.checkpoints.torch_format import MASK, ORIG, places


class Adapted(NamedTuple):
    """A state dict that fits the model, and the masks that the model itself does not hold (bool, True keeps).

    >>> saved = nn.utils.prune.identity(nn.Linear(2, 1), "weight").state_dict()
    >>> list(adapt(saved, nn.Linear(2, 1)).masks)
    ['weight']
    """

    state_dict: dict[str, Any]
    masks: dict[str, Tensor]


def adapt(state_dict: Mapping[str, Any], model: nn.Module) -> Adapted:
    """Return ``state_dict`` in the form of ``model``: fused where the model is clean, in two where torch prunes it.

    A place that is pruned in both keeps its original and takes the mask of the file; one that is pruned in the model
    only takes a mask of ones, since the file's weight is dense. Entries that end in ``_orig`` or ``_mask`` in the model
    itself pass as they are. Errors as :func:`prunus.checkpoints.fuse`.

    >>> pruned = nn.utils.prune.identity(nn.Linear(2, 1), "weight")
    >>> list(adapt(nn.Linear(2, 1).state_dict(), pruned).state_dict)
    ['weight_orig', 'weight_mask', 'bias']
    """
    pruned = {name: place.module._buffers[place.parameter_name + MASK] for name, place in _every_place(model)}
    taken = {name + end for name in pruned for end in (ORIG, MASK)}
    own = [key for key in model.state_dict() if key not in taken]
    pairs = pairs_of(state_dict, own)
    fused, masks = fuse(state_dict, ignore=own)
    adapted = type(fused)()
    for key, value in fused.items():
        if key in pruned and isinstance(value, Tensor):
            original = pairs[key].original if key in pairs else value
            keep = masks[key] if key in masks else torch.ones_like(original, dtype=torch.bool)
            adapted[key + ORIG], adapted[key + MASK] = original, keep.to(pruned[key].dtype)
        else:
            adapted[key] = value
    vars(adapted).update(vars(fused))
    return Adapted(adapted, {name: mask for name, mask in masks.items() if name not in pruned})


def _every_place(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Pruned places under each of their names; a module that is used twice has two."""
    found = {(id(place.module), place.parameter_name): place for place in places(model)}
    for path, module in model.named_modules(remove_duplicate=False):
        for (owner, local), place in found.items():
            if owner == id(module):
                yield (f"{path}.{local}" if path else local), place
