"""SafeModelPruning: a ramp beside other callbacks, such as one that steers a Bregman optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lightning.pytorch import LightningModule, Trainer
from torch import nn

from prunus.actions import Moment, Prune
from prunus.errors import SettingError, require_count
from prunus.integrations.lightning import run_length
from prunus.integrations.lightning.arguments import Amounts, refuse_unknown, require_bool
from prunus.integrations.lightning.pruning import PruningCallback
from prunus.integrations.lightning.pruning_fn import PruningFunction, policies
from prunus.policy import Policy
from prunus.schedules import Linear, OneShot, PruningScheduler, Schedule
from prunus.select import ParameterManager, Selection
from prunus.window import Window

ESSENTIAL = ("sparsity", "asked_sparsity")
REWINDING = "set weights back with prunus.iterative.IterativeMagnitudePruner(rewind='weights')"


@dataclass(frozen=True)
class PruneAtEnd(Prune):
    """Prune at the end of an epoch, so that its checkpoint holds the pruned weights and its validation the others.

    >>> PruneAtEnd.moment
    <Moment.AFTER: 'after'>
    """

    moment: ClassVar[Moment] = Moment.AFTER


class SafeModelPruning(PruningCallback):
    r"""Prune a LightningModule along a straight ramp, beside any other callback on the same optimizer.

    .. math:: \text{target}(e) = i + (f - i)\, e / N \quad (e < N), \qquad f \text{ from epoch } N \text{ on}

    Other callbacks of prunus in the same trainer see and keep its masks: a regularizer or steering beside it measures
    the weights that pruning left, and what one of them sets to zero is free to return where no mask holds it. Both log
    the same sparsity, this one as ``pruning/sparsity``, with ``pruning/amount`` beside it. Trackers wait for the target
    and a run resumes as in :class:`MagnitudePruner`, which reaches its goal one epoch earlier.

    Args:
        pruning_fn, use_global_unstructured, pruning_dim, pruning_norm, parameters_to_prune, make_pruning_permanent,
            min_param_elements, prune_bias, verbose, hold_trackers, seed: as in :class:`MagnitudePruner`.
        amount: without a schedule: the share (float) or count (int) to prune once, in epoch 0.
        apply_pruning: False leaves everything dense.
        prune_on_train_epoch_end: cut when epoch e ends instead of when it begins. Then validation sees the weights
            before the cut, and the last cut is not followed by training.
        scheduled_pruning: follow the ramp; ``amount`` is ignored.
        initial_amount: i, below ``final_amount``.
        final_amount: f.
        epochs_to_ramp: N; the run needs at least N + 1 epochs.
        collect_metrics: log every figure; otherwise sparsity and amount only.
        use_lottery_ticket_hypothesis, resample_parameters: refused; rewinding is another tool.

    Errors: as :class:`MagnitudePruner`.
    Source: SafeModelPruning of sparse speaker-verification training, without the swallowed exceptions.

    >>> SafeModelPruning(scheduled_pruning=True, final_amount=0.6, epochs_to_ramp=10).amounts
    Amounts(initial=0.0, final=0.6)
    """

    def __init__(
        self,
        pruning_fn: str = "l1_unstructured",
        amount: float = 0.5,
        use_global_unstructured: bool = True,
        apply_pruning: bool = True,
        make_pruning_permanent: bool = True,
        use_lottery_ticket_hypothesis: bool = False,
        resample_parameters: bool = False,
        parameters_to_prune: Sequence[str | tuple[nn.Module, str]] | None = None,
        pruning_dim: int | None = None,
        pruning_norm: float | None = None,
        verbose: int = 0,
        prune_on_train_epoch_end: bool = False,
        scheduled_pruning: bool = False,
        initial_amount: float = 0.0,
        final_amount: float | None = None,
        epochs_to_ramp: int = 10,
        collect_metrics: bool = False,
        *,
        min_param_elements: int = 100,
        prune_bias: bool = False,
        hold_trackers: bool = True,
        seed: int = 0,
        **unknown: object,
    ) -> None:
        refuse_unknown(type(self), unknown)
        _refuse_rewinding(use_lottery_ticket_hypothesis, resample_parameters)
        require_bool("scheduled_pruning", scheduled_pruning)
        require_bool("apply_pruning", apply_pruning)
        require_bool("prune_on_train_epoch_end", prune_on_train_epoch_end)
        require_bool("collect_metrics", collect_metrics)
        require_count("epochs_to_ramp", epochs_to_ramp, 0)
        super().__init__(
            PruningFunction(pruning_fn, use_global_unstructured, pruning_dim, pruning_norm),
            _amounts(scheduled_pruning, amount, initial_amount, final_amount),
            ParameterManager(min_param_elements, prune_bias, pruning_dim, parameters_to_prune),
            make_pruning_permanent=make_pruning_permanent,
            hold_trackers=hold_trackers,
            verbose=verbose,
            seed=seed,
        )
        self.apply_pruning = apply_pruning
        self.prune_on_train_epoch_end = prune_on_train_epoch_end
        self.scheduled_pruning = scheduled_pruning
        self.epochs_to_ramp = epochs_to_ramp
        self.collect_metrics = collect_metrics

    def make(self, trainer: Trainer, selection: Selection) -> list[Policy]:
        """Return the policies: none, one cut, or a cut in each epoch up to and including epoch N."""
        if not self.apply_pruning:
            return []
        cuts = 1
        if self.scheduled_pruning:
            cuts = self.epochs_to_ramp + 1
            PruningScheduler("linear", 0.0, cuts).verify_schedule_feasibility(run_length.epochs(trainer))
        action = PruneAtEnd if self.prune_on_train_epoch_end else Prune
        window = Window(0, cuts)
        return policies(
            self.function, selection.chosen, self.amounts, self._schedule, window, action=action, seed=self.seed
        )

    def _schedule(self, initial: float, final: float) -> Schedule:
        return Linear(final, initial) if self.scheduled_pruning else OneShot(final)

    def _log(self, module: LightningModule, figures: Mapping[str, float], *, every_step: bool, sync: bool) -> None:
        kept = {name: value for name, value in figures.items() if self.collect_metrics or name in ESSENTIAL}
        super()._log(module, kept, every_step=every_step, sync=sync)


def _amounts(scheduled: bool, amount: float, initial: float, final: float | None) -> Amounts:
    """From where to where, refusing what would be ignored."""
    if not scheduled:
        if final is not None or initial:
            raise SettingError("initial_amount and final_amount have no effect without scheduled_pruning=True")
        return Amounts(0.0, amount)
    if final is None:
        raise SettingError("scheduled_pruning=True needs final_amount, such as 0.9")
    amounts = Amounts(initial, final)
    if type(initial) is type(final) and initial >= final:
        raise SettingError(f"initial_amount is {initial}, expected less than final_amount, which is {final}")
    return amounts


def _refuse_rewinding(lottery: bool, resample: bool) -> None:
    for name, value in (("use_lottery_ticket_hypothesis", lottery), ("resample_parameters", resample)):
        require_bool(name, value)
        if value:
            raise SettingError(f"{name} is True, but this callback does not rewind: {REWINDING}")
