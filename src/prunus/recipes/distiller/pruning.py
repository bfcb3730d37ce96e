"""A pruner's policy at work: decides masks when they are due, and applies them as its arguments say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from prunus._pieces import one_thread
from prunus.actions import Action, Bound, Moment, Site
from prunus.errors import RunError, ScoreError
from prunus.recipes.distiller.arguments import PrunerArgs
from prunus.recipes.distiller.bound import Batch, PolicyBound
from prunus.recipes.distiller.contract import Chosen, Pruner, Rule, Scene
from prunus.recipes.distiller.folding import folded
from prunus.recipes.distiller.layers import PRUNER, LayeredMasks
from prunus.select import Target
from prunus.window import Span


@dataclass(frozen=True, eq=False)
class PruneByRule(Action):
    """Let a pruner of Distiller's decide the masks of its parameters, in the epochs of its policy.

    Args:
        pruner: what decides.
        chosen: the parameters, found in the model.
        span: the policy's window.
        args: how masks are applied.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> pruner = AutomatedGradualPruner(0.1, 0.9, "weight")
    >>> PruneByRule(pruner, Chosen({}), Span(0, 9)).ramps
    True
    """

    moment: ClassVar[Moment] = Moment.BEFORE

    pruner: Pruner
    chosen: Chosen
    span: Span
    args: PrunerArgs = field(default_factory=PrunerArgs)

    @property
    def ramps(self) -> bool:  # type: ignore[override]
        """Whether the pruner aims at the end of the window."""
        return self.pruner.gradual

    @property
    def title(self) -> str:
        """The class in the file."""
        return type(self.pruner).__name__

    def bind(self, site: Site) -> Bound:
        """Admit the targets and make the rule."""
        site.masks.include(self.chosen.all)
        return PruningBound(self, site)


class PruningBound(PolicyBound):
    """The running side: the rule, its generator, and what the arguments ask for.

    >>> PruningBound.needs_minibatches
    False
    """

    def __init__(self, action: PruneByRule, site: Site) -> None:
        super().__init__([target.parameter for target in action.chosen.all])
        assert isinstance(site.masks, LayeredMasks)
        self.action, self.args, self.site = action, action.args, site
        self.masks = site.masks
        self.owner = self.masks.new_owner()
        self.rule: Rule = action.pruner.rule(action.chosen, action.span, site.model)
        self.generator = torch.Generator().manual_seed(action.pruner.generator_seed)
        self.needs_minibatches = action.args.needs_minibatches
        self.progress = 0.0
        self.epoch = 0
        self.opened = self.closed = self.waiting = False
        self.minibatch: int | None = None
        self.scales: dict[str, float] = {}
        self.copies: dict[str, Tensor] = {}
        self.handles: list[RemovableHandle] = []

    @property
    def awaits_update(self) -> bool:
        """Whether dense weights, or masks that go by gradients, wait for the update."""
        return bool(self.copies) or (self.waiting and self.action.pruner.needs_gradient)

    def attach(self) -> None:
        """Let the rule prepare; hang on the gradients that shall be masked."""
        self.rule.begin()
        if self.args.mask_gradients and not self.handles:
            hooks = ((target.parameter, _masking(self, target.name)) for target in self.action.chosen.all)
            self.handles = [parameter.register_hook(hook) for parameter, hook in hooks if parameter.requires_grad]

    def close(self) -> None:
        """Take the hooks off the gradients and off the model."""
        self.rule.close()
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hooks out: copied parameters do not carry them."""
        return {**self.__dict__, "handles": bool(self.handles)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Hang on the copied parameters again, so that a copied policy is not a dead one."""
        self.__dict__.update({**state, "handles": []})
        if state["handles"]:
            self.attach()

    def fire(self, time: int, progress: float) -> None:
        """Decide the masks of an epoch, unless its first mini-batch is to be dense."""
        self.epoch, self.progress, self.minibatch = time, progress, None
        self.waiting = self.args.skip_first_minibatch and not self.opened
        self.opened = True
        if not self.waiting:
            self._decide_or_wait()

    def minibatch_begin(self, batch: Batch) -> None:
        """Decide the masks anew where this mini-batch is one of those."""
        self.minibatch = batch.number
        if batch.number and (self._is_due(batch) or (self.args.skip_first_minibatch and self.waiting)):
            self._decide_or_wait()

    def _is_due(self, batch: Batch) -> bool:
        frequency = self.args.mini_batch_pruning_frequency
        if not frequency:
            return False
        if batch.in_run is None:
            raise RunError("mini_batch_pruning_frequency counts over the run: pass steps_per_epoch to load")
        return batch.in_run % frequency == 0

    def _decide_or_wait(self) -> None:
        """What needs gradients waits until those of the mini-batch are there."""
        self.waiting = self.action.pruner.needs_gradient
        if not self.waiting:
            self._decide()

    @torch.no_grad()
    @one_thread()
    def _decide(self) -> None:
        layers = self.masks.layers(PRUNER, self.owner)
        previous = {name: layer.mask for name, layer in layers.items()}
        scene = Scene(
            self.epoch, self.progress, self.action.span, previous, self._weight, self.generator, self.minibatch
        )
        verdicts = self.rule.masks(scene)
        masks = {name: verdict.mask for name, verdict in verdicts.items()}
        self.masks.put(PRUNER, self.owner, masks, enforced=not self.args.mask_on_forward_only or self.closed)
        self.scales.update({name: verdict.scale for name, verdict in verdicts.items()})

    def _weight(self, target: Target) -> Tensor:
        weight = target.parameter.detach()
        if bool(weight.isnan().any()):
            raise ScoreError(f"{target.name} holds NaN in epoch {self.epoch}; look for a loss that has diverged")
        return folded(weight, target, self.site.model) if self.args.fold_batchnorm else weight

    @torch.no_grad()
    def before_forward(self) -> None:
        """Copy what is dense, where it shall be updated, and put the masks on."""
        self._restore()
        for name, layer in self.masks.layers(PRUNER, self.owner).items():
            weight = self.masks.target(name).parameter
            if self.args.use_double_copies:
                self.copies[name] = weight.detach().clone()
            if self.args.use_double_copies or not layer.enforced:
                weight.masked_fill_(~layer.mask, 0.0)
            if self.args.use_double_copies and self.scales.get(name, 1.0) != 1.0:
                weight.mul_(self.scales[name])

    def before_update(self) -> None:
        """Go back to the dense weights; decide what had to wait for gradients."""
        self._restore()
        if self.waiting and self.action.pruner.needs_gradient:
            self.waiting = False
            self._decide()

    @torch.no_grad()
    def _restore(self) -> None:
        for name, dense in self.copies.items():
            self.masks.target(name).parameter.copy_(dense)
        self.copies = {}

    def minibatch_end(self, batch: Batch) -> None:
        """Forget the masks where the policy says so."""
        self._restore()
        if self.args.discard_masks_at_minibatch_end:
            self.masks.drop(PRUNER, self.owner)

    def close_epoch(self, epoch: int) -> None:
        """After the last firing: enforce the masks that are to be kept, leave the gradients alone."""
        if epoch == self.action.span.firings()[-1]:
            self.closed = True
            if self.args.keep_mask:
                self.masks.enforce(PRUNER, self.owner)

    def missed(self) -> str:
        """Return how far a gradual pruner has come, where that is not to its end."""
        return f"{self.progress:.0%} of the way" if self.action.ramps and self.progress < 1.0 else ""

    def metrics(self) -> dict[str, float]:
        """Return the sparsity of the policy's masks, whether or not they are in force."""
        kept = [layer.mask for layer in self.masks.layers(PRUNER, self.owner).values()]
        total = sum(mask.numel() for mask in kept)
        return {"masks_sparsity": 1 - sum(int(mask.count_nonzero()) for mask in kept) / total} if total else {}

    def state_dict(self) -> dict[str, Any]:
        """Return layers, rule, generator and where the policy stands."""
        return {
            "layers": self.masks.saved(PRUNER, self.owner),
            "rule": self.rule.state_dict(),
            "generator": self.generator.get_state(),
            "place": [self.epoch, self.progress, self.opened, self.closed, self.waiting],
            "scales": dict(self.scales),
            "copies": {name: dense.clone() for name, dense in self.copies.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.masks.restore(PRUNER, self.owner, state["layers"])
        self.rule.load_state_dict(state["rule"])
        self.generator.set_state(state["generator"].cpu())
        self.epoch, self.progress, self.opened, self.closed, self.waiting = state["place"]
        self.scales = dict(state["scales"])
        self.copies = {name: dense.clone() for name, dense in state["copies"].items()}


def _masking(bound: PruningBound, name: str) -> Callable[[Tensor], Tensor]:
    """Return a hook that masks the gradient of one parameter while the policy is open."""

    def hook(gradient: Tensor) -> Tensor:
        layer = bound.masks.layers(PRUNER, bound.owner).get(name)
        active = bound.opened and not bound.closed and layer is not None
        return gradient.masked_fill(~layer.mask, 0.0) if active and layer is not None else gradient

    return hook
