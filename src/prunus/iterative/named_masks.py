"""Masks known by name: they find their weights in the model at hand, also in a copy, a wrapper or after a resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunus._bits import pack, unpack
from prunus.errors import CheckpointError, Faults, SelectionError, did_you_mean
from prunus.iterative.layers import unwrapped
from prunus.masks import MaskStore
from prunus.select import Target, explain


class NamedMasks:
    """A MaskStore that follows its names from model to model.

    A :class:`prunus.masks.MaskStore` belongs to the modules of one model. A pruner that is handed a model at every
    call, and a saved state that is loaded before any model is seen, need masks that wait for their weights by name.

    >>> import torch
    >>> model = nn.Linear(2, 1, bias=False)
    >>> masks = NamedMasks()
    >>> store = masks.bind([Target("weight", model, "weight")])
    >>> store.update({"weight": torch.tensor([[True, False]])})
    >>> masks.apply_to(model)
    >>> int(model.weight.count_nonzero())
    1
    """

    def __init__(self) -> None:
        self._store = MaskStore([])
        self._targets: dict[str, Target] = {}
        self._waiting: dict[str, Tensor] = {}

    def masks(self) -> dict[str, Tensor]:
        """Return the masks by parameter name, True keeps; copies."""
        waiting = {name: mask.clone() for name, mask in self._waiting.items()}
        return {**waiting, **{name: self._store[name] for name in self._store}}

    def bind(self, chosen: list[Target]) -> MaskStore:
        """Return a store over ``chosen``, its masks moved there from wherever they were.

        Raises SelectionError when the masks were made for other weights: a pruned place that is not zero.
        """
        moved = [target for target in chosen if not self._holds(target)]
        if moved:
            self._require_zeros(moved)
            self._rebind(moved)
        return self._store

    def apply_to(self, model: nn.Module) -> None:
        """Set every pruned weight of ``model`` to zero; SelectionError when a mask has no weight there."""
        model = unwrapped(model)
        names = [*self._waiting, *self._store]
        moved = [n for n in names if n in self._waiting or _module(model, n) is not self._targets[n].module]
        if moved:
            self._rebind(_located(model, moved))
        self._store.apply_()

    def state_dict(self) -> dict[str, Any]:
        """Return all masks, one bit a weight."""
        waiting = {n: {"shape": list(mask.shape), "pruned": pack(~mask)} for n, mask in self._waiting.items()}
        return {**waiting, **self._store.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace all masks by saved ones, which wait for a model; CheckpointError when they are damaged."""
        try:
            waiting = {name: unpack(saved["pruned"], saved["shape"]).logical_not() for name, saved in state.items()}
        except (KeyError, TypeError, ValueError) as fault:
            raise CheckpointError(f"the saved masks are incomplete or damaged: {fault!r}") from fault
        self._store, self._targets, self._waiting = MaskStore([]), {}, waiting

    def _holds(self, target: Target) -> bool:
        return target.name in self._targets and self._targets[target.name].module is target.module

    def _rebind(self, moved: list[Target]) -> None:
        """Build a new store before the old one is let go, so that a mask that does not fit changes nothing."""
        masks = self.masks()
        bound = {**self._targets, **{target.name: target for target in moved}}
        store = MaskStore(list(bound.values()))
        store.update({name: mask for name, mask in masks.items() if name in bound})
        self._store, self._targets = store, bound
        self._waiting = {name: mask for name, mask in self._waiting.items() if name not in bound}

    def _require_zeros(self, moved: list[Target]) -> None:
        """Refuse the masks of one model for the weights of another, which would be pruned by a stranger's choice.

        Masks that were loaded are waiting for the model at hand, whatever training did to it meanwhile.
        """
        faults = Faults(
            "the masks of this pruner belong to other weights (take a new pruner for a new model, call apply_masks "
            "first for one that shall get these masks)"
        )
        for target in [target for target in moved if target.name in self._store]:
            mask, weight = self._store[target.name], target.parameter.detach()
            if mask.shape == weight.shape:
                alive = int(weight[~mask.to(weight.device)].count_nonzero())
                if alive:
                    faults.add(f"{target.name} has {alive} pruned places that are not zero")
        faults.raise_as(SelectionError)


def _module(model: nn.Module, name: str) -> nn.Module | None:
    """The module that holds a parameter, or None; torch.compile's wrappers pass inner names on to what they wrap."""
    try:
        return unwrapped(model.get_submodule(name.rpartition(".")[0]))
    except AttributeError:
        return None


def _located(model: nn.Module, names: list[str]) -> list[Target]:
    faults = Faults("masks without a weight in this model")
    found = []
    for name in names:
        module, parameter = _module(model, name), name.rpartition(".")[2]
        if module is None or module._parameters.get(parameter) is None:
            faults.add(f"{name}. {did_you_mean(name, [choice.target.name for choice in explain(model)])}")
        else:
            found.append(Target(name, module, parameter))
    faults.raise_as(SelectionError)
    return found
