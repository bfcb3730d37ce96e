"""Hand masks that were found by name to a mask store, under the names that its targets have."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from prunus.errors import CheckpointError, Faults, SparsityDecreaseError, did_you_mean
from prunus.masks import MaskStore
from prunus.select import Target, explain


def take_masks(store: MaskStore, model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Give masks (name → bool tensor, True keeps) to the store, all or none; targets it lacks are included.

    A tied weight has one mask, under its first name. Errors: CheckpointError naming every mask that is of no parameter,
    has another shape, or contradicts that of a tied twin; SparsityDecreaseError where the store has pruned more.

    >>> import torch
    >>> store = MaskStore([])
    >>> take_masks(store, nn.Linear(2, 1), {"weight": torch.tensor([[True, False]])})
    >>> store["weight"]
    tensor([[ True, False]])
    """
    chosen, renamed = _fitted(model, masks)
    store.include(chosen)
    store.update(renamed)


def require_no_regrowth(store: MaskStore, masks: Mapping[str, Tensor]) -> None:
    """Raise SparsityDecreaseError when the store has pruned what a mask keeps.

    >>> require_no_regrowth(MaskStore([]), {})
    """
    for name in masks:
        back = int((masks[name] & ~store[name].to(masks[name].device)).sum()) if name in store else 0
        if back:
            raise SparsityDecreaseError(f"{back} weights of {name} are pruned in the store and kept by the new mask")


def _fitted(model: nn.Module, masks: Mapping[str, Tensor]) -> tuple[list[Target], dict[str, Tensor]]:
    """The targets of the masks, and the masks by the targets' names."""
    faults = Faults("the masks do not fit this model")
    by_name = {name: choice.target for choice in explain(model) for name in _names(choice.target)}
    chosen: dict[str, Target] = {}
    renamed: dict[str, Tensor] = {}
    for name, mask in masks.items():
        if name not in by_name:
            faults.add(f"{name!r} is no parameter. {did_you_mean(name, by_name)}")
            continue
        target = by_name[name]
        if mask.shape != target.parameter.shape:
            faults.add(f"the mask of {name!r} is {list(mask.shape)}, the weight {list(target.parameter.shape)}")
        elif target.name in renamed and not bool((renamed[target.name] == mask).all()):
            faults.add(f"{name!r} is tied to {target.name!r}, which has another mask")
        chosen[target.name], renamed[target.name] = target, mask
    faults.raise_as(CheckpointError)
    return list(chosen.values()), renamed


def _names(target: Target) -> tuple[str, ...]:
    return target.name, *target.aliases
