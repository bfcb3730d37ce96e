"""Cycles of pruning and retraining, each a little sparser than the one before."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from prunus._echo import Echo, to_stdout
from prunus.checkpoints.runs import Stateful
from prunus.errors import CheckpointError, Faults, NoEffect, SettingError, require_count
from prunus.iterative.layers import label, layers, require_names
from prunus.iterative.magnitude import MagnitudePruner
from prunus.iterative.rewind import Rewinder
from prunus.measure import count
from prunus.schedules import Exponential
from prunus.scopes import PerLayer, Scope

VERSION = 1
RULE = "=" * 60


class IterativeMagnitudePruner:
    r"""Prune in ``num_iterations`` cycles to geometrically growing sparsities; the loop retrains in between.

    .. math:: s_i = s_0 \left(\frac{s_f}{s_0}\right)^{(i+1)/T}, \qquad i = 0 \dots T-1

    The first cycle is sparser than s0 already (s0 is no level of its own), the last is exactly s_f. Of each layer's n
    weights exactly ⌊s·n⌋ are pruned, masks only tighten, and nothing comes back, rewound or not::

        pruner = IterativeMagnitudePruner(0.2, 0.9, 5, rewind="lr")
        pruner.attach(model, optimizer)                   # pruned weights are zero after every step
        pruner.capture(model, optimizer, lr_scheduler)    # the point to rewind to
        train()
        for _ in range(pruner.num_iterations):
            pruner.prune_step(model, optimizer=optimizer, lr_scheduler=lr_scheduler)
            train()

    Args:
        initial_sparsity: s0 in (0, 1], where the growth starts from.
        final_sparsity: s_f, from s0 to 1.
        num_iterations: T, the number of cycles, from 1.
        prune_layers: parts of layer names ("fc" fits "encoder.fc1"), or shell patterns ("*.fc?"); None prunes all.
        rewind: "weights", "lr" or None, see :class:`Rewinder`.
        scope: how a sparsity is shared among layers. Default: the same in each.
        echo: takes the lines of ``verbose=True``. Default: standard output.

    Errors: SettingError for settings out of range or a falling sparsity; SelectionError for a pattern without a layer.
    Use it to prune a trained model as far as it goes. The exponential levels cut most at the end; a run that prunes
    while it trains takes :class:`prunus.actions.Prune` with :class:`prunus.schedules.Cubic`.
    Source: Han et al. 2015 (arXiv:1506.02626), section 3.3; Renda et al. 2020 (arXiv:2003.02389), algorithm 1.

    >>> pruner = IterativeMagnitudePruner(num_iterations=3, final_sparsity=0.5)
    >>> [round(level, 3) for level in pruner.sparsity_schedule]
    [0.271, 0.368, 0.5]
    >>> model = nn.Linear(10, 10)
    >>> [pruner.prune_step(model, verbose=False)["avg_sparsity"] for _ in range(3)]
    [0.27, 0.36, 0.5]
    """

    def __init__(
        self,
        initial_sparsity: float = 0.2,
        final_sparsity: float = 0.8,
        num_iterations: int = 5,
        prune_layers: Sequence[str] | None = None,
        *,
        rewind: str | None = None,
        scope: Scope = PerLayer(),
        echo: Echo = to_stdout,
    ) -> None:
        self.sparsity_schedule = _levels(initial_sparsity, final_sparsity, num_iterations)
        self.initial_sparsity, self.final_sparsity = initial_sparsity, final_sparsity
        self.num_iterations = num_iterations
        self.prune_layers = None if prune_layers is None else [*require_names(prune_layers)]
        self.pruner = MagnitudePruner(scope=scope, echo=echo)
        self.rewinder = Rewinder(rewind)
        self.current_iteration = 0
        self.history: list[dict[str, Any]] = []
        self._sparsity_before = 0.0

    def layer_names(self, model: nn.Module) -> list[str]:
        """Return the names of the layers that will be pruned; SelectionError when a pattern fits none."""
        return [label(target.name) for target in layers(model, self.prune_layers, contains=True)]

    def capture(
        self, model: nn.Module, optimizer: Optimizer | None = None, lr_scheduler: Stateful | None = None
    ) -> None:
        """Remember this point of training as the one to rewind to (nothing is kept without ``rewind``)."""
        self.rewinder.capture(model, optimizer, lr_scheduler)

    def prune_step(
        self,
        model: nn.Module,
        verbose: bool = True,
        *,
        optimizer: Optimizer | None = None,
        lr_scheduler: Stateful | None = None,
    ) -> dict[str, Any]:
        """Begin the next cycle: prune by the weights as they are, then rewind, and return what was done.

        Args:
            model: the trained model.
            verbose: report through ``echo``.
            optimizer, lr_scheduler: what :meth:`capture` got; only needed for rewinding.

        Returns:
            ``iteration`` (from 0), ``target_sparsity``, ``pruning_stats`` (pruned weights by layer, of all cycles),
            ``sparsity_stats`` (share of zeros by layer) and ``avg_sparsity``, the zeros of all pruned layers over
            their weights: large layers count for more than in a mean of the shares. After the last cycle an empty
            dict, and NoEffect warns.
        """
        if self.current_iteration >= self.num_iterations:
            return self._over(verbose)
        self.rewinder.require_ready(model, optimizer, lr_scheduler)
        names = self.layer_names(model)
        if not self.history:
            self._sparsity_before = _average(model, names)
        target = self.sparsity_schedule[self.current_iteration]
        self._announce(target, names, verbose)
        pruned = self.pruner.prune_model(model, names, sparsity=target, verbose=verbose)
        self.rewinder.restore(model, optimizer, lr_scheduler)
        self.pruner.apply_masks(model)
        return self._record(model, names, target, pruned, verbose)

    def train_step_with_mask(self, model: nn.Module) -> None:
        """Set pruned weights back to zero; call it after ``optimizer.step()`` unless :meth:`attach` was called."""
        self.pruner.apply_masks(model)

    def attach(self, model: nn.Module, optimizer: Optimizer) -> RemovableHandle:
        """Set pruned weights back to zero after every ``optimizer.step()``; ``remove()`` of the handle ends it."""
        return self.pruner.attach(model, optimizer)

    def get_pruning_summary(self) -> dict[str, Any]:
        """Return what was done so far, or an empty dict before the first cycle.

        ``num_iterations`` cycles done; ``initial_sparsity`` and ``final_sparsity`` measured over all pruned layers
        before the first and after the last of them; ``target_final_sparsity`` asked for; ``history`` of the cycles.
        """
        if not self.history:
            return {}
        return {
            "num_iterations": len(self.history),
            "initial_sparsity": self._sparsity_before,
            "final_sparsity": self.history[-1]["avg_sparsity"],
            "target_final_sparsity": self.final_sparsity,
            "history": copy.deepcopy(self.history),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return settings, cycle, history, masks and the point to rewind to: plain numbers, strings and tensors."""
        return {
            "version": VERSION,
            "settings": self._settings(),
            "sparsity_before": self._sparsity_before,
            "history": copy.deepcopy(self.history),
            "pruner": self.pruner.state_dict(),
            "rewinder": self.rewinder.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a saved pruner was, all or nothing; CheckpointError when its settings were others."""
        faults = Faults("the saved pruner does not fit this one")
        saved = {"version": state.get("version"), **state.get("settings", {})}
        for name, ours in {"version": VERSION, **self._settings()}.items():
            if saved.get(name, "not saved") != ours:
                faults.add(f"{name} was {saved.get(name, 'not saved')!r}, is {ours!r}")
        for name in {"sparsity_before", "history", "pruner", "rewinder"} - set(state):
            faults.add(f"{name} was not saved")
        faults.raise_as(CheckpointError)
        rewinder = Rewinder(self.rewinder.rewind)
        rewinder.load_state_dict(state["rewinder"])
        self.pruner.load_state_dict(state["pruner"])
        self.rewinder, self._sparsity_before = rewinder, float(state["sparsity_before"])
        self.history = copy.deepcopy(list(state["history"]))
        self.current_iteration = len(self.history)

    def _settings(self) -> dict[str, Any]:
        names = ("initial_sparsity", "final_sparsity", "num_iterations", "prune_layers")
        own = {name: vars(self)[name] for name in names}
        return {**own, "rewind": self.rewinder.rewind, "scope": repr(self.pruner.scope)}

    def _over(self, verbose: bool) -> dict[str, Any]:
        if verbose:
            self.pruner.echo("All pruning iterations complete")
        message = f"prune_step did nothing: all {self.num_iterations} iterations are done"
        warnings.warn(message, NoEffect, stacklevel=3)
        return {}

    def _announce(self, target: float, names: list[str], verbose: bool) -> None:
        if not verbose:
            return
        title = f"ITERATIVE PRUNING - Iteration {self.current_iteration + 1}/{self.num_iterations}"
        for line in (RULE, title, f"Target sparsity: {target:.1%}", RULE):
            self.pruner.echo(line)
        if self.prune_layers is not None:
            self.pruner.echo(f"Pruning {len(names)} layers matching patterns: {self.prune_layers}")

    def _record(
        self, model: nn.Module, names: list[str], target: float, pruned: dict[str, int], verbose: bool
    ) -> dict[str, Any]:
        row = {
            "iteration": self.current_iteration,
            "target_sparsity": target,
            "pruning_stats": pruned,
            "sparsity_stats": self.pruner.get_model_sparsity(model, names),
            "avg_sparsity": _average(model, names),
        }
        if verbose:
            self.pruner.echo(f"\nAverage sparsity: {row['avg_sparsity']:.2%}")
            self.pruner.echo(f"Total weights pruned: {sum(pruned.values()):,}")
        self.history.append(copy.deepcopy(row))
        self.current_iteration += 1
        return row


def _average(model: nn.Module, names: list[str]) -> float:
    return count([target.parameter for target in layers(model, names)]).sparsity


def _levels(initial: float, final: float, iterations: int) -> list[float]:
    require_count("num_iterations", iterations)
    growth = Exponential(final=final, initial=initial)
    if not growth.monotone:
        raise SettingError(
            f"final_sparsity is {final}, expected at least initial_sparsity {initial}: masks only tighten"
        )
    return [growth((i + 1) / iterations) for i in range(iterations)]
