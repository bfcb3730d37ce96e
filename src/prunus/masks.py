"""The one mask store: bool masks beside the model, enforced by the optimizer's own post-step hook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from prunus import _native
from prunus._bits import pack, unpack
from prunus._native import ranking
from prunus._pieces import CHUNK, WORD, clear_, lost, one_thread
from prunus.errors import CheckpointError, Faults, SelectionError, SparsityDecreaseError, StructureError, did_you_mean
from prunus.select import Target
from prunus.structures import Structure

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class MaskStore:
    """Masks of a model's targets, kept beside the parameters so that names and state-dict keys never change.

    A mask is a bool tensor of its weight's shape, True keeps. Masks only tighten unless ``regrow`` is said.
    Inside, a mask is -1 where it keeps and 0 where it prunes, so enforcing it is a bitwise "and": one byte a weight, in
    one native call for all of them. Where there is no compiler it is a torch operation for each, and masks of small
    tensors are as wide as the weights, which saves widening them at every step.

    Args:
        targets: the parameters that may be masked; a target without a mask is dense.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> model = nn.Linear(2, 1, bias=False)
    >>> store = MaskStore(targets(model))
    >>> store.update({"weight": torch.tensor([[True, False]])})
    >>> store.apply_()
    >>> int(model.weight.count_nonzero())
    1
    """

    def __init__(self, targets: list[Target]) -> None:
        self._targets: dict[str, Target] = {target.name: target for target in targets}
        self._kept: dict[str, Tensor] = {}
        self._stale = True  # whether the three below are still to be found for the present masks
        self._table: _native.Clearing | None = None  # what one native call clears
        self._swept: list[Target] = []  # the targets in it, in order
        self._rest: list[str] = []  # those that take one operation each

    def __contains__(self, name: object) -> bool:
        """Whether the named target has a mask."""
        return name in self._kept

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the masked targets."""
        return iter(self._kept)

    def __len__(self) -> int:
        """Return how many targets have a mask."""
        return len(self._kept)

    def __getitem__(self, name: str) -> Tensor:
        """Return the mask of one target (True keeps; all True while it is dense)."""
        self._require_target(name)
        if name in self._kept:
            return self._kept[name].bool()
        return torch.ones_like(self._targets[name].parameter, dtype=torch.bool)

    def of(self, parameter: Tensor) -> Tensor | None:
        """Return the mask of a parameter, found by identity, or None while it is dense."""
        names = (name for name, target in self._targets.items() if target.parameter is parameter and name in self)
        return next((self[name] for name in names), None)

    def include(self, targets: list[Target]) -> None:
        """Admit more targets; a target that is already there stays as it is."""
        for target in targets:
            self._targets.setdefault(target.name, target)

    def update(self, masks: Mapping[str, Tensor], *, regrow: bool = False) -> None:
        """Replace masks, all or none.

        Args:
            masks: name → bool tensor of the weight's shape, True keeps.
            regrow: allow pruned places to come back; otherwise they raise SparsityDecreaseError.
        """
        fresh = {name: self._checked(name, mask, regrow) for name, mask in masks.items()}
        self._kept.update(fresh)
        self._stale = True

    def flags(self, name: str) -> Tensor:
        """Return the mask of one masked target as it is kept, not to be written: zero prunes, anything else keeps."""
        return self._kept[name]

    def tighten(self, masks: Mapping[str, Tensor]) -> None:
        """Prune what the masks do not keep, all or none, besides what is pruned already; nothing comes back.

        Args:
            masks: name → bool tensor of the weight's shape, True keeps. The store takes the tensors over.
        """
        for name, mask in masks.items():
            self._require_fit(name, mask)
        for name, mask in _apart(masks).items():
            kept = self._taken_over(name, mask)
            self._kept[name] = kept.bitwise_and_(self._kept[name].to(kept)) if name in self._kept else kept
        self._stale = True

    def release(self, names: Iterable[str]) -> None:
        """Forget the masks of these targets, so that they are dense again; their weights stay as they are."""
        for name in names:
            self._kept.pop(name, None)
        self._stale = True

    def prune_groups(self, structure: Structure, alive: Mapping[str, Tensor]) -> None:
        """Prune whole groups, all or none, besides what is pruned already, and set their weights to zero.

        Args:
            structure: how each target falls apart.
            alive: name → bool flags (groups,), False prunes.
        """
        for name, flags in alive.items():
            self._require_flags(structure, name, flags)
        walked = {name: grid for name in alive if (grid := self._grid(structure, name)) is not None}
        rest = {name: self._expanded(structure, name, keep) for name, keep in alive.items() if name not in walked}
        for name, grid in walked.items():
            flags = alive[name].contiguous()
            for tensor in (self._kept[name], self._targets[name].parameter):
                ranking.zero_groups_(tensor, flags, grid)
            torch.autograd.graph.increment_version(self._targets[name].parameter)
        if rest:
            self.tighten(rest)
            self.apply_()

    def _require_flags(self, structure: Structure, name: str, flags: Tensor) -> None:
        self._require_target(name)
        target = self._targets[name]
        groups = structure.groups(target.canonical(target.parameter).shape)
        if flags.dtype != torch.bool or flags.shape != (groups,) or flags.device != target.parameter.device:
            found = f"{flags.dtype} {list(flags.shape)} on {flags.device}"
            raise StructureError(
                f"the groups of {name} are {found}, expected torch.bool [{groups}] on {target.parameter.device}"
            )

    def _grid(self, structure: Structure, name: str) -> ranking.Grid | None:
        """Return how the groups lie where a kernel can prune them in place: that is, where there is a mask already."""
        target = self._targets[name]
        able = name in self and not target.transposed and ranking.can_walk(target.parameter, *FLOATS)
        return structure.grid(target.parameter.shape) if able and ranking.can_walk_flags(self._kept[name]) else None

    def _expanded(self, structure: Structure, name: str, keep: Tensor) -> Tensor:
        target = self._targets[name]
        return target.canonical(structure.expand(keep, target.canonical(target.parameter).shape))

    def apply_(self) -> None:
        """Set every pruned weight to +0.0, in place."""
        if self._stale or (self._table and not self._table.fits([target.parameter for target in self._swept])):
            self._lay_table()
        if self._table:
            self._table.run()
        if self._rest:
            self._clear_rest_()

    def _lay_table(self) -> None:
        """Sort the masks into those that one native call enforces, laid out as their weights are now, and the rest."""
        weights = {name: self._targets[name].parameter for name in self._kept}
        swept = {name: w for name, w in weights.items() if _native.available() and _native.can_clear(w)}
        for name, weight in swept.items():
            if not _native.matches(self._kept[name], weight):
                self._kept[name] = self._laid_out(name, self._kept[name])
        self._swept = [self._targets[name] for name in swept]
        self._table = _native.Clearing(list(swept.values()), [self._kept[name] for name in swept]) if swept else None
        self._rest = [name for name in weights if name not in swept]
        self._stale = False

    @torch.no_grad()
    @one_thread()
    def _clear_rest_(self) -> None:
        """Clear one by one what no table holds."""
        for name in self._rest:
            parameter, kept = self._targets[name].parameter, self._kept[name]
            if kept.device != parameter.device or kept.element_size() > parameter.element_size():
                kept = self._kept[name] = self._laid_out(name, kept)  # the model was moved or narrowed
                self._stale = True
            clear_(parameter, kept)

    def attach(self, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Enforce the masks after every ``optimizer.step()``; the handle's ``remove()`` ends that."""
        return optimizer.register_step_post_hook(lambda *_: self.apply_())

    def state_dict(self) -> dict[str, Any]:
        """Return shapes and bit-packed masks (one bit a weight), loadable with ``weights_only=True``."""
        return {name: {"shape": list(kept.shape), "pruned": pack(kept == 0)} for name, kept in self._kept.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace all masks by saved ones, or raise CheckpointError naming every key that does not fit."""
        faults = Faults("the saved masks do not fit this model")
        for name, saved in state.items():
            if name not in self._targets:
                faults.add(f"{name} is no target. {did_you_mean(name, self._targets)}")
            elif list(self._targets[name].parameter.shape) != list(saved["shape"]):
                have = list(self._targets[name].parameter.shape)
                faults.add(f"{name} has shape {have}, saved mask {list(saved['shape'])}")
        faults.raise_as(CheckpointError)
        self._kept = {
            name: self._laid_out(name, unpack(saved["pruned"], saved["shape"])).sub_(1) for name, saved in state.items()
        }
        self._stale = True

    def _checked(self, name: str, mask: Tensor, regrow: bool) -> Tensor:
        """Return the bytes of a mask that fits its target and, unless it may regrow, lies within the old one."""
        self._require_fit(name, mask)
        if name in self and not regrow and lost(mask, old := self[name]):
            raise SparsityDecreaseError(
                f"{name} has {int((~old).sum())} pruned weights and the new mask {int((~mask).sum())}, "
                f"of which {int((mask & ~old).sum())} would come back; only an action that regrows may do that"
            )
        return self._laid_out(name, mask).neg_()

    def _require_fit(self, name: str, mask: Tensor) -> None:
        self._require_target(name)
        shape = self._targets[name].parameter.shape
        if mask.dtype != torch.bool or mask.shape != shape:
            raise StructureError(
                f"the mask of {name} is {mask.dtype} {list(mask.shape)}, expected torch.bool {list(shape)}"
            )

    def _laid_out(self, name: str, flags: Tensor) -> Tensor:
        """Copy flags to integers in the weight's memory format and device, so that applying is one plain pass."""
        parameter = self._targets[name].parameter
        widen = parameter.numel() <= CHUNK and not _native.available()
        dtype = WORD[parameter.element_size()] if widen else torch.int8
        return torch.empty_like(parameter, dtype=dtype).copy_(flags)

    def _taken_over(self, name: str, mask: Tensor) -> Tensor:
        """Turn a mask into what is kept inside, in its own memory where that lies as the weight does."""
        kept = mask.view(torch.int8)
        fits = _native.available() and _native.matches(kept, self._targets[name].parameter)
        return (kept if fits else self._laid_out(name, mask)).neg_()

    def _require_target(self, name: str) -> None:
        if name not in self._targets:
            raise SelectionError(f"{name!r} is no target of this store. {did_you_mean(name, self._targets)}")


def _apart(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy the masks that lie in one memory, which only one name could take over."""
    times = Counter(mask.untyped_storage().data_ptr() for mask in masks.values())
    return {
        name: mask.clone() if times[mask.untyped_storage().data_ptr()] > 1 else mask for name, mask in masks.items()
    }
