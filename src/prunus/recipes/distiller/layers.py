"""Masks in layers: what a pruner and what a regularizer decided about one weight, kept apart and combined by AND."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunus._bits import pack, unpack
from prunus.masks import MaskStore
from prunus.select import Target

PRUNER = "pruner"
"""The slot that all pruners share: the later one replaces what the earlier one decided."""


@dataclass
class Layer:
    """One decision about one parameter: whose, the mask (True keeps), and whether every step enforces it.

    >>> Layer(0, torch.tensor([True]), enforced=False).enforced
    False
    """

    owner: int
    mask: Tensor
    enforced: bool = True


class LayeredMasks(MaskStore):
    """A mask store in which each parameter has one layer a slot; what is enforced is the AND of the enforced layers.

    Layers that are not enforced are in force only while their owner applies them, for a forward pass.

    >>> from prunus.select import targets
    >>> masks = LayeredMasks(targets(torch.nn.Linear(2, 1)))
    >>> masks.put("pruner", 0, {"weight": torch.tensor([[True, False]])})
    >>> masks.put("regularizer", 1, {"weight": torch.tensor([[False, True]])})
    >>> masks["weight"].tolist()
    [[False, False]]
    >>> masks.drop("regularizer", 1)
    >>> masks["weight"].tolist()
    [[True, False]]
    """

    def __init__(self, targets: list[Target]) -> None:
        super().__init__(targets)
        self._layers: dict[str, dict[str, Layer]] = {}
        self._owners = 0

    def new_owner(self) -> int:
        """Return the number of one more owner of layers, in the order of binding."""
        self._owners += 1
        return self._owners

    def put(self, slot: str, owner: int, masks: Mapping[str, Tensor], *, enforced: bool = True) -> None:
        """Replace the layers of these parameters in a slot, whoever they belonged to."""
        for name, mask in masks.items():
            self._require_fit(name, mask)
        for name, mask in masks.items():
            self._layers.setdefault(name, {})[slot] = Layer(owner, mask, enforced)
        self._combine(masks)

    def drop(self, slot: str, owner: int) -> None:
        """Forget the owner's layers in a slot: what no other layer prunes is dense from now on."""
        names = list(self.layers(slot, owner))
        for name in names:
            del self._layers[name][slot]
        self._combine(names)

    def enforce(self, slot: str, owner: int) -> None:
        """Enforce the owner's layers in a slot from now on."""
        for layer in self.layers(slot, owner).values():
            layer.enforced = True
        self._combine(self.layers(slot, owner))

    def layers(self, slot: str, owner: int) -> dict[str, Layer]:
        """Return the owner's layers in a slot by parameter name."""
        mine = {name: layers[slot] for name, layers in self._layers.items() if slot in layers}
        return {name: layer for name, layer in mine.items() if layer.owner == owner}

    def target(self, name: str) -> Target:
        """Return a target by name."""
        self._require_target(name)
        return self._targets[name]

    def saved(self, slot: str, owner: int) -> dict[str, Any]:
        """Return the owner's layers as plain values and packed bits."""
        return {
            name: {"shape": list(layer.mask.shape), "pruned": pack(~layer.mask), "enforced": layer.enforced}
            for name, layer in self.layers(slot, owner).items()
        }

    def restore(self, slot: str, owner: int, saved: Mapping[str, Any]) -> None:
        """Take back what :meth:`saved` returned; the enforced masks are the engine's to restore."""
        for name, one in saved.items():
            mask = unpack(one["pruned"], one["shape"]).logical_not_().to(self.target(name).parameter.device)
            self._layers.setdefault(name, {})[slot] = Layer(owner, mask, bool(one["enforced"]))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the enforced masks by saved ones and forget all layers, which their owners restore."""
        super().load_state_dict(state)
        self._layers = {}

    def _combine(self, names: Iterable[str]) -> None:
        enforced = {name: [one.mask for one in self._layers[name].values() if one.enforced] for name in names}
        self.release(name for name, masks in enforced.items() if not masks)
        self.update({name: _all(masks) for name, masks in enforced.items() if masks}, regrow=True)


def _all(masks: list[Tensor]) -> Tensor:
    return masks[0] if len(masks) == 1 else torch.stack(masks).all(dim=0)
