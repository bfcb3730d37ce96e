"""MagnitudePruner: torch's pruning functions on a schedule, as a Lightning callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lightning.pytorch import Trainer
from torch import nn

from prunus.errors import RunError, SettingError, require_count, require_known
from prunus.integrations.lightning import run_length
from prunus.integrations.lightning.arguments import Amounts, refuse_unknown, require_bool
from prunus.integrations.lightning.pruning import PruningCallback
from prunus.integrations.lightning.pruning_fn import PruningFunction, policies
from prunus.policy import Policy
from prunus.schedules import Levels, OneShot, PruningScheduler, Schedule
from prunus.schedules.pruning_scheduler import SCHEDULE_TYPES
from prunus.select import ParameterManager, Selection
from prunus.window import Window

GRANULARITIES = ("epochs", "steps")


class MagnitudePruner(PruningCallback):
    r"""Prune the smallest weights or slices of a LightningModule, at once or along a ramp, exactly.

    .. math:: \text{pruned}_e = \Big\lfloor s\big(\tfrac{e + 1}{N}\big)\, n \Big\rfloor, \qquad e = 0, \dots, N - 1

    Epoch e of the ramp begins with so many of the n weights (or slices) pruned: epoch 0 already prunes and epoch N - 1
    trains at the goal. During the ramp EarlyStopping, every ModelCheckpoint (``last.ckpt`` excepted) and
    ReduceLROnPlateau wait. Masks live beside the parameters, so any checkpoint loads anywhere, and
    ``trainer.fit(..., ckpt_path=...)`` resumes exactly. Logs ``pruning/sparsity`` (share of zeros), ``pruning/amount``
    (asked) and ``pruning/achieved`` (in weights or slices).

    Args:
        pruning_fn: l1_unstructured, random_unstructured, l1_structured, ln_structured or random_structured.
        amount: the goal. A float is a fraction, an int a count of weights or slices: of all together, or in each
            parameter where each is ranked on its own. A bool is an error.
        initial_amount: where the ramp comes from, at most ``amount``.
        epochs_to_ramp: N; more than the run has is an error.
        scheduled_pruning: follow the ramp; otherwise all is cut at the first epoch.
        schedule_type: linear, constant (the same share of what remains), cubic, or exponential (initial_amount > 0).
        parameters_to_prune: names or (module, name) pairs; None searches (:class:`prunus.select.ParameterManager`).
        use_global_unstructured: one ranking over all parameters, slices included; otherwise one in each.
        pruning_dim: of structured functions: 0 outputs, 1 inputs; an error for the others.
        pruning_norm: of ln_structured, above 0 or inf.
        prune_bias: whether biases are pruned, too.
        make_pruning_permanent: at the end stop enforcing the masks; the zeros are plain zeros then. Otherwise the
            optimizer of this run keeps them zero if it is stepped further.
        min_param_elements: parameters with fewer weights are skipped.
        verbose: 0 is silent, 1 logs a line an epoch, 2 also the table of chosen and skipped parameters.
        granularity: "epochs" cuts at the begin of each epoch, "steps" every ``every_n_steps`` optimizer steps of the
            same N epochs.
        every_n_steps: optimizer steps between two cuts, with granularity "steps".
        hold_trackers: False lets EarlyStopping and the others judge the ramp, too.
        seed: of the random functions.

    Errors: SettingError for unknown arguments and names (with the nearest), arguments that would have no effect, and
    ramps longer than the run; SelectionError where nothing can be pruned; SparsityDecreaseError, a RuntimeError, when
    a resumed run asks for less than is pruned. LayerCollapse warns when a layer loses its last weight.
    Use it for the usual pruning while training; the ``Compression`` callback takes policies of any kind.
    Source: Han et al. 2015 (arXiv:1506.02626); Zhu and Gupta 2017 (arXiv:1710.01878).

    >>> pruner = MagnitudePruner(amount=0.9, scheduled_pruning=True, schedule_type="cubic", epochs_to_ramp=5)
    >>> MagnitudePruner(pruning_fn="l1_unstrutured")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: pruning_fn is 'l1_unstrutured', which is unknown. Did you mean 'l1_unstructured'?
    """

    def __init__(
        self,
        pruning_fn: str = "l1_unstructured",
        amount: float = 0.5,
        initial_amount: float = 0.0,
        epochs_to_ramp: int = 10,
        scheduled_pruning: bool = False,
        schedule_type: str = "linear",
        parameters_to_prune: Sequence[str | tuple[nn.Module, str]] | None = None,
        use_global_unstructured: bool = True,
        pruning_dim: int | None = None,
        pruning_norm: float | None = 1,
        prune_bias: bool = False,
        make_pruning_permanent: bool = True,
        min_param_elements: int = 100,
        verbose: int = 1,
        *,
        granularity: str = "epochs",
        every_n_steps: int = 10,
        hold_trackers: bool = True,
        seed: int = 0,
        **unknown: object,
    ) -> None:
        refuse_unknown(type(self), unknown)
        require_bool("scheduled_pruning", scheduled_pruning)
        require_known("granularity", granularity, GRANULARITIES)
        require_known("schedule_type", schedule_type, SCHEDULE_TYPES)
        require_count("epochs_to_ramp", epochs_to_ramp, 0)
        require_count("every_n_steps", every_n_steps)
        super().__init__(
            PruningFunction(pruning_fn, use_global_unstructured, pruning_dim, pruning_norm),
            Amounts(initial_amount, amount),
            ParameterManager(min_param_elements, prune_bias, pruning_dim, parameters_to_prune),
            make_pruning_permanent=make_pruning_permanent,
            hold_trackers=hold_trackers,
            verbose=verbose,
            seed=seed,
        )
        self.scheduled_pruning = scheduled_pruning
        self.schedule_type = schedule_type
        self.epochs_to_ramp = epochs_to_ramp
        self.granularity = granularity
        self.every_n_steps = every_n_steps
        self._require_effect()

    def _require_effect(self) -> None:
        """Refuse settings that would be ignored, and a ramp that cannot be, before there is a trainer."""
        if self.scheduled_pruning and not self.amounts.counted:
            self._ramp(1)(self.amounts.initial, self.amounts.final)
        if not self.scheduled_pruning and self.amounts.initial:
            raise SettingError(f"initial_amount={self.amounts.initial} has no effect without scheduled_pruning=True")
        if not self.scheduled_pruning and self.granularity == "steps":
            raise SettingError("granularity='steps' has no effect without scheduled_pruning=True")

    def make(self, trainer: Trainer, selection: Selection) -> list[Policy]:
        """Return the policies: one cut, or as many as the ramp has epochs or stretches of steps."""
        if not self.scheduled_pruning:
            return self._policies(selection, lambda initial, final: OneShot(final), Window(0, 1))
        ramp = PruningScheduler("linear", 0.0, self.epochs_to_ramp)
        ramp.verify_schedule_feasibility(run_length.epochs(trainer))
        if self.granularity == "epochs":
            return self._policies(selection, self._ramp(ramp.length), Window(0, ramp.length))
        per_epoch = run_length.steps_per_epoch(trainer)
        if per_epoch is None:
            raise RunError("granularity='steps' needs to know how many steps an epoch has; use granularity='epochs'")
        window = Window(0, ramp.length * per_epoch, self.every_n_steps, "step")
        return self._policies(selection, self._ramp(len(window.resolve(None).firings())), window)

    def _ramp(self, cuts: int) -> Callable[[float, float], Schedule]:
        """A maker of schedules with one level a cut, the first of which already prunes."""

        def make(initial: float, final: float) -> Schedule:
            ramp = PruningScheduler(self.schedule_type, final, cuts, initial)
            return Levels(tuple(map(ramp, range(cuts))))

        return make

    def _policies(
        self, selection: Selection, schedule: Callable[[float, float], Schedule], window: Window
    ) -> list[Policy]:
        return policies(self.function, selection.chosen, self.amounts, schedule, window, seed=self.seed)
