"""Prune small weights, layer by layer, and keep them pruned."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from prunus._echo import Echo, to_stdout
from prunus.criteria import Magnitude
from prunus.errors import CheckpointError, LayerCollapse, ScoreError, require_fraction, require_number
from prunus.iterative.layers import label, layers
from prunus.iterative.named_masks import NamedMasks
from prunus.keep import exactly
from prunus.measure import count
from prunus.scopes import PerLayer, Scope
from prunus.select import Target
from prunus.structures import Element


class MagnitudePruner:
    r"""Prune the weights of smallest magnitude to a sparsity or below a threshold, and hold them at zero.

    .. math:: m = [\,|w| \ge \tau\,] \qquad\text{or}\qquad m = \text{the } n - \lfloor s\,n \rfloor
              \text{ largest } |w| \text{ of a layer}

    What decides, in this order: ``sparsity`` of the call; else ``threshold``; else, with ``threshold=None``,
    ``target_sparsity``. Counts are exact, also on ties (the lower index stays). Masks only tighten: what is pruned
    counts towards the next sparsity and never comes back. Linear, convolution, embedding, recurrent and attention
    weights take part; biases and norms do not; a weight shared by two layers is one.

    Args:
        threshold: keep |w| at or above it, ≥ 0; None leaves the decision to ``target_sparsity``.
        target_sparsity: share to prune, in [0, 1].
        scope: how a sparsity is shared among layers. Default: the same in each.
        echo: takes the lines of ``verbose=True``. Default: standard output.

    Errors: SettingError for settings out of range; SelectionError for a layer name that matches nothing; ScoreError
    for NaN weights. LayerCollapse warns when a layer loses its last weight.
    Use it where a loop of your own prunes between epochs; with a schedule in training take
    :class:`prunus.actions.Prune`, with cycles :class:`IterativeMagnitudePruner`.
    Source: Han et al. 2015 (arXiv:1506.02626), section 3.

    >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> pruner = MagnitudePruner()
    >>> pruner.prune_model(model, ["2"], sparsity=0.5)
    <BLANKLINE>
    Pruning layer: 2
    Pruned 4/8 weights (50.00%)
    {'2': 4}
    >>> pruner.get_model_sparsity(model)
    {'0': 0.0, '2': 0.5}
    """

    def __init__(
        self,
        threshold: float | None = 0.01,
        target_sparsity: float = 0.5,
        *,
        scope: Scope = PerLayer(),
        echo: Echo = to_stdout,
    ) -> None:
        if threshold is not None:
            require_number("threshold", threshold, 0.0)
        require_fraction("target_sparsity", target_sparsity)
        self.threshold, self.target_sparsity = threshold, target_sparsity
        self.scope, self.echo = scope, echo
        self.pruning_history: list[dict[str, Any]] = []
        self._masks = NamedMasks()

    @property
    def masks(self) -> dict[str, Tensor]:
        """Masks by layer name, True keeps; copies."""
        return {label(name): mask for name, mask in self._masks.masks().items()}

    def prune_layer(
        self, layer: nn.Module, layer_name: str = "", sparsity: float | None = None, verbose: bool = True
    ) -> int:
        """Prune one layer and return how many of its weights are now pruned.

        Args:
            layer: any module with weights; its biases stay.
            layer_name: its qualified name in the model, under which :meth:`apply_masks` finds it again. Without one
                the weights are set to zero and nothing is remembered, so training may revive them.
            sparsity: share to prune, in [0, 1]; None: see the class.
            verbose: report through ``echo``.
        """
        prefix = f"{layer_name}." if layer_name else ""
        chosen = [replace(target, name=prefix + target.name) for target in layers(layer)]
        pruned = self._prune(self._masks if layer_name else NamedMasks(), chosen, sparsity)
        if verbose:
            self._report(sum(pruned.values()), chosen)
        return sum(pruned.values())

    def prune_model(
        self,
        model: nn.Module,
        layer_names: Sequence[str] | None = None,
        sparsity: float | None = None,
        verbose: bool = True,
    ) -> dict[str, int]:
        """Prune the named layers of a model (None: all) and return, by layer, how many weights are now pruned.

        Args:
            model: the model; all its layers are pruned or, when one cannot be, none.
            layer_names: qualified names, also shell patterns ("encoder.*"); one without a match is an error.
            sparsity: share to prune, in [0, 1]; None: see the class.
            verbose: report each layer through ``echo``.
        """
        chosen = layers(model, layer_names)
        pruned = self._prune(self._masks, chosen, sparsity)
        for target in chosen if verbose else ():
            self.echo(f"\nPruning layer: {label(target.name)}")
            self._report(pruned[label(target.name)], [target])
        return pruned

    def apply_masks(self, model: nn.Module) -> None:
        """Set every pruned weight of ``model`` to zero: the pruned model, or a copy with the same layer names.

        Call it after each optimizer step, or let :meth:`attach` do so. Before the first pruning nothing happens. A
        mask whose layer is not in ``model`` raises SelectionError.
        """
        self._masks.apply_to(model)

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Apply the masks after every ``optimizer.step()``, also those to come; ``remove()`` of the handle ends it."""
        return optimizer.register_step_post_hook(lambda *_: self.apply_masks(model))

    def get_model_sparsity(self, model: nn.Module, layer_names: Sequence[str] | None = None) -> dict[str, float]:
        """Return the share of exact zeros in each layer, whoever made them zero."""
        return {label(target.name): count(target.parameter).sparsity for target in layers(model, layer_names)}

    def state_dict(self) -> dict[str, Any]:
        """Return masks (one bit a weight) and history: plain, loads with ``weights_only=True``."""
        return {"masks": self._masks.state_dict(), "pruning_history": copy.deepcopy(self.pruning_history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a saved state back; the masks meet their weights at the next call with a model."""
        missing = {"masks", "pruning_history"} - set(state)
        if missing:
            raise CheckpointError(f"the saved pruner lacks {', '.join(sorted(missing))}")
        self._masks.load_state_dict(state["masks"])
        self.pruning_history = copy.deepcopy(list(state["pruning_history"]))

    def _prune(self, masks: NamedMasks, chosen: list[Target], sparsity: float | None) -> dict[str, int]:
        rule, asked = self._decision(sparsity)
        scores = [_magnitudes(target) for target in chosen]
        store = masks.bind(chosen)
        alive = [store[target.name] for target in chosen]
        kept = _at_least(scores, asked, alive) if rule == "threshold" else self.scope.select(scores, asked, among=alive)
        store.update({target.name: mask for target, mask in zip(chosen, kept, strict=True)})
        store.apply_()
        pruned = {label(t.name): int((~mask).sum()) for t, mask in zip(chosen, kept, strict=True)}
        _warn_of_collapse(
            [(t, mask) for t, mask in zip(chosen, kept, strict=True)], wanted=rule != "threshold" and asked == 1
        )
        total = sum(mask.numel() for mask in kept)
        self.pruning_history.append({"rule": rule, "asked": asked, "pruned": dict(pruned), "total": total})
        return pruned

    def _decision(self, sparsity: float | None) -> tuple[str, float]:
        if sparsity is not None:
            require_fraction("sparsity", sparsity)
            return "sparsity", sparsity
        return ("target_sparsity", self.target_sparsity) if self.threshold is None else ("threshold", self.threshold)

    def _report(self, pruned: int, chosen: list[Target]) -> None:
        total = sum(target.parameter.numel() for target in chosen)
        self.echo(f"Pruned {pruned}/{total} weights ({pruned / max(1, total):.2%})")


def _magnitudes(target: Target) -> Tensor:
    """Return |w| in the weight's shape, refusing NaN with the name of its layer."""
    weight = target.parameter.detach()
    if weight.isnan().any():
        raise ScoreError(f"{target.name} holds NaN, whose magnitude says nothing; look for a loss that has diverged")
    return Magnitude().score(weight, Element()).reshape(weight.shape)


def _at_least(scores: list[Tensor], threshold: float, alive: list[Tensor]) -> list[Tensor]:
    """Keep the living at or above the threshold: as many as there are, ranked where all else is ranked."""
    counts = [int((score.ge(threshold) & mask).sum()) for score, mask in zip(scores, alive, strict=True)]
    return [exactly([s], n, among=[mask])[0] for s, n, mask in zip(scores, counts, alive, strict=True)]


def _warn_of_collapse(masks: list[tuple[Target, Tensor]], *, wanted: bool) -> None:
    gone = [label(target.name) for target, mask in masks if mask.numel() and not mask.any()]
    if gone and not wanted:
        message = f"nothing is left of {', '.join(gone)}, so the model cannot learn; prune less, or exclude the layer"
        warnings.warn(message, LayerCollapse, stacklevel=5)
