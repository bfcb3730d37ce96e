"""The format of torch.nn.utils.prune: ``weight_orig`` and ``weight_mask`` in place of ``weight``, behind the bias."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod

from prunus.errors import CheckpointError, Faults

ORIG, MASK = "_orig", "_mask"
DECLARED = (
    *("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
    *("weight", "weight_ih", "weight_hh", "in_proj_bias", "bias", "bias_ih", "bias_hh", "bias_k", "bias_v"),
)
"""The parameters of torch's own layers, in the order in which their constructors declare them."""
RECURRENT = re.compile(r"(?P<kind>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(?P<layer>\d+)(?P<back>_reverse)?")
RECURRENT_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class Place(NamedTuple):
    """One parameter of a live model that torch has pruned.

    >>> linear = nn.utils.prune.identity(nn.Linear(2, 1), "weight")
    >>> [place.name for place in places(linear)]
    ['weight']
    """

    name: str
    module: nn.Module
    parameter_name: str

    @property
    def original(self) -> nn.Parameter:
        """The parameter that the optimizer updates."""
        return self.module._parameters[self.parameter_name + ORIG]  # type: ignore[return-value]

    @property
    def keep(self) -> Tensor:
        """The mask as bool, True keeps."""
        return self.module._buffers[self.parameter_name + MASK] != 0  # type: ignore[return-value]


def places(model: nn.Module) -> list[Place]:
    """Return every parameter that torch.nn.utils.prune has masked, in model order.

    CheckpointError when a module is half pruned: a hook without its tensors, a mask of another shape.

    >>> places(nn.Linear(2, 1))
    []
    """
    faults, found = Faults("the model is half pruned"), []
    for path, module in model.named_modules():
        for local in _pruned_here(module):
            name = f"{path}.{local}" if path else local
            original, mask = module._parameters.get(local + ORIG), module._buffers.get(local + MASK)
            if original is None or mask is None:
                faults.add(f"{name} lacks {local + (ORIG if original is None else MASK)}")
            elif reason := mask_misfit(original, mask):
                faults.add(f"{name + MASK} {reason}")
            else:
                found.append(Place(name, module, local))
    faults.raise_as(CheckpointError)
    return found


def mask_misfit(original: Tensor, mask: Tensor) -> str:
    """Say why ``mask`` cannot be the mask of ``original``, or return an empty string.

    >>> mask_misfit(torch.ones(2), torch.ones(3))
    'has shape [3], the tensor [2]'
    """
    if mask.shape != original.shape:
        return f"has shape {list(mask.shape)}, the tensor {list(original.shape)}"
    if mask.dtype != torch.bool and not bool(((mask == 0) | (mask == 1)).all()):
        return "holds values other than 0 and 1"
    return ""


def never_pruned_order(names: Sequence[str], pruned: Collection[str]) -> list[str] | None:
    """Return parameter names in the order that they had before torch moved the pruned ones behind the others.

    Modules without a pruned name stay as they are. None when a pruned module declares names that torch's own layers do
    not have, so that nobody can know its order.

    Args:
        names: clean dotted names ("0.weight"), in the order of a pruned model.
        pruned: those of them that are pruned.

    >>> never_pruned_order(["0.bias", "0.weight", "1.weight"], {"0.weight"})
    ['0.weight', '0.bias', '1.weight']
    >>> never_pruned_order(["shift", "scale"], {"scale"}) is None
    True
    """
    ordered = list(names)
    for module in {_split(name)[0] for name in pruned}:
        at = [index for index, name in enumerate(names) if _split(name)[0] == module]
        locals_ = declared_order(_split(names[index])[1] for index in at)
        if locals_ is None:
            return None
        for index, local in zip(at, locals_, strict=True):
            ordered[index] = f"{module}.{local}" if module else local
    return ordered


def declared_order(names: Iterable[str]) -> list[str] | None:
    """Return a module's parameter names in the order of its constructor, or None when torch has no such layer.

    >>> declared_order(["bias", "weight"]), declared_order(["gain", "bias"])
    (['weight', 'bias'], None)
    >>> declared_order(["bias_ih_l0", "bias_hh_l0", "weight_hh_l0", "weight_ih_l0"])
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    listed = list(names)
    ranks = {name: _rank(name) for name in listed}
    if len(listed) > 1 and any(rank is None for rank in ranks.values()):
        return None
    return sorted(listed, key=lambda name: ranks[name] or ())


def _rank(name: str) -> tuple[int, ...] | None:
    recurrent = RECURRENT.fullmatch(name)
    if recurrent:
        back = int(recurrent["back"] is not None)
        return int(recurrent["layer"]), back, RECURRENT_KINDS.index(recurrent["kind"])
    return (DECLARED.index(name),) if name in DECLARED else None


def _pruned_here(module: nn.Module) -> Iterator[str]:
    """The local names that a hook prunes, and those that have both tensors though the hook is gone."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, BasePruningMethod)]
    pairs = [
        name.removesuffix(ORIG)
        for name in module._parameters
        if name.endswith(ORIG) and name.removesuffix(ORIG) + MASK in module._buffers
    ]
    yield from dict.fromkeys(pairs + [hook._tensor_name for hook in hooks])


def _split(name: str) -> tuple[str, str]:
    module, _, local = name.rpartition(".")
    return module, local
