"""Fuse ``_orig`` and ``_mask`` entries of a state dict into plain weights, and keep the masks beside them."""

from __future__ import annotations

import fnmatch
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from prunus.checkpoints.torch_format import MASK, ORIG, mask_misfit
from prunus.errors import CheckpointError, Faults


class Pair(NamedTuple):
    """The two tensors of one pruned entry; ``keep`` is bool, True keeps.

    >>> import torch
    >>> Pair(torch.ones(2), torch.tensor([True, False])).fused
    tensor([1., 0.])
    """

    original: Tensor
    keep: Tensor

    @property
    def fused(self) -> Tensor:
        """A new tensor with +0.0 in the pruned places, also where the original is not finite."""
        return self.original.detach().clone().masked_fill_(~self.keep.to(self.original.device), 0.0)


def fuse(state_dict: Mapping[str, Any], *, ignore: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the state dict of the clean model, and its masks by clean name (bool, True keeps).

    ``weight = weight_orig`` where the mask is 1, and +0.0 elsewhere; it takes the place of ``weight_orig``, all other
    entries pass as they are. The input is not changed. Spectral norm, which calls its parameter ``weight_orig`` too, is
    recognised by its ``weight_u`` and left alone. Entries that share one tensor still do.

    Args:
        state_dict: of a model that torch.nn.utils.prune, or Lightning's ModelPruning, has pruned.
        ignore: names or shell patterns of entries that end in ``_orig`` or ``_mask`` and belong to the model, such as
            ``"*.causal_mask"``.

    Errors: one CheckpointError that names every ``_orig`` without ``_mask``, ``_mask`` without ``_orig``, mask of
    another shape or with other values than 0 and 1, entry that would be overwritten, and tied weight that is masked
    under one of its names only.

    >>> import torch
    >>> saved = {"bias": torch.ones(1), "weight_orig": torch.ones(1, 2), "weight_mask": torch.tensor([[1.0, 0.0]])}
    >>> clean, masks = fuse(saved)
    >>> dict(clean), masks
    ({'bias': tensor([1.]), 'weight': tensor([[1., 0.]])}, {'weight': tensor([[ True, False]])})
    """
    pairs = pairs_of(state_dict, ignore)
    fused: OrderedDict[str, Any] = OrderedDict()
    tensors: dict[tuple[Any, ...], Tensor] = {}
    for key, value in state_dict.items():
        name = key.removesuffix(ORIG)
        if name in pairs:  # then the key is its original, for a pair whose clean name is taken is refused
            fused[name] = tensors.setdefault(_identity(value), pairs[name].fused)
        elif not (key.endswith(MASK) and key.removesuffix(MASK) in pairs):
            fused[key] = value
    if isinstance(state_dict, OrderedDict) and "_metadata" in vars(state_dict):
        vars(fused)["_metadata"] = vars(state_dict)["_metadata"]  # versions of the layers, which some of them read
    return fused, {name: pair.keep for name, pair in pairs.items()}


def pairs_of(state_dict: Mapping[str, Any], ignore: Collection[str] = ()) -> dict[str, Pair]:
    """Return the pruned entries by clean name, or raise CheckpointError naming every key that does not fit.

    >>> import torch
    >>> pairs_of({"0.weight_orig": torch.ones(1)})
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: ...: '0.weight_orig' has no '0.weight_mask'
    """
    faults = Faults("the pruned entries do not fit (pass ignore= for entries that are no part of torch's pruning)")
    found: dict[str, Pair] = {}
    for name in dict.fromkeys(_pruned_names(state_dict, ignore)):
        original, mask = state_dict.get(name + ORIG), state_dict.get(name + MASK)
        reason = _misfit(name, original, mask, name in state_dict)
        if reason:
            faults.add(reason)
        else:
            found[name] = Pair(original, mask != 0)  # type: ignore[arg-type]
    for reason in _torn_ties(state_dict, found):
        faults.add(reason)
    faults.raise_as(CheckpointError)
    return found


def _pruned_names(state_dict: Mapping[str, Any], ignore: Collection[str]) -> Iterator[str]:
    for key in state_dict:
        suffix = next((end for end in (ORIG, MASK) if key.endswith(end)), None)
        if suffix is None or any(fnmatch.fnmatchcase(key, pattern) for pattern in ignore):
            continue
        name = key.removesuffix(suffix)
        spectral = suffix == ORIG and name + "_u" in state_dict and name + MASK not in state_dict
        if not spectral:
            yield name


def _misfit(name: str, original: Any, mask: Any, taken: bool) -> str:
    if not isinstance(original, Tensor):
        return f"{name + MASK!r} has no {name + ORIG!r}"
    if not isinstance(mask, Tensor):
        return f"{name + ORIG!r} has no {name + MASK!r}"
    if taken:
        return f"{name!r} is there beside {name + ORIG!r}"
    reason = mask_misfit(original, mask)
    return f"{name + MASK!r} {reason}" if reason else ""


def _torn_ties(state_dict: Mapping[str, Any], found: Mapping[str, Pair]) -> Iterator[str]:
    """Sentences for tensors with several names whose masks differ: a clean tied weight has one mask or none."""
    holders: dict[tuple[Any, ...], list[str]] = {}
    for key, value in state_dict.items():
        if isinstance(value, Tensor) and value.numel() and not value.is_meta:
            holders.setdefault(_identity(value), []).append(key)
    for name, pair in found.items():
        for other in holders.get(_identity(pair.original), []):
            twin = found.get(other.removesuffix(ORIG))
            if twin is None or not bool((twin.keep == pair.keep).all()):
                yield f"{name + ORIG!r} is the same tensor as {other!r}, which is not masked alike"


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    if tensor.is_meta or not tensor.numel():
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
