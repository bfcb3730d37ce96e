"""Resume from a checkpoint that torch's pruning or Lightning's ModelPruning wrote, into a clean module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelPruning
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from prunus._bits import unpack
from prunus.checkpoints.adapt import adapt
from prunus.checkpoints.mask_intake import take_masks
from prunus.checkpoints.optimizer_order import Built
from prunus.checkpoints.optimizer_state import place_state
from prunus.checkpoints.torch_format import ORIG, places
from prunus.errors import SettingError, require_known
from prunus.integrations import torch_prune
from prunus.integrations.lightning.compression import Compression
from prunus.masks import MaskStore


class PrunedCheckpointHandler(Callback):
    """Let ``trainer.fit``, ``validate``, ``test`` and ``predict`` take checkpoints with ``_orig``/``_mask`` entries.

    Weights are fused where the module is clean, and loaded as they are where torch prunes it. The optimizer's state
    goes to its parameters by name, since torch's pruning changes the order in which they are numbered. The masks go to

    - the :class:`Compression` callback of the trainer (or one derived from it, such as MagnitudePruner): its schedule
      goes on at the trainer's epoch, and what is pruned stays pruned;
    - else Lightning's ModelPruning: the module is pruned again as it was, and ModelPruning goes on;
    - else this callback: it keeps the zeros after every optimizer step, and its checkpoints keep the masks.

    Lightning loads the weights before any callback sees the checkpoint, and the optimizers later. So the work is done
    by torch's own hooks, which are there for the time of loading only: ``register_load_state_dict_pre_hook`` of the
    module (from ``setup``) and of each optimizer (from ``on_fit_start``). Nothing is patched; the module can be copied
    and pickled at any time. A checkpoint without pruned entries loads as it would without this callback.

    Args:
        verbose: 0 is silent, 1 logs a line for each checkpoint, 2 also names every fused parameter.
        optimizer_built: "before" or "after" pruning, for the rare checkpoint whose shapes cannot tell.

    Errors: CheckpointError as :func:`prunus.checkpoints.fuse` and :func:`prunus.checkpoints.load_pruned`. A checkpoint
    with Python objects needs Lightning's own ``trainer.fit(..., weights_only=False)``. For strategies that hold whole
    parameters on every device (one device, DDP).

    Source: seed of this library, section 2.4.

    >>> trainer = Trainer(callbacks=[PrunedCheckpointHandler()], logger=False)  # doctest: +SKIP
    >>> PrunedCheckpointHandler(verbose=3)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: verbose is 3, expected 0, 1 or 2
    """

    def __init__(self, verbose: int = 1, *, optimizer_built: Built | None = None) -> None:
        if verbose not in (0, 1, 2) or isinstance(verbose, bool):
            raise SettingError(f"verbose is {verbose!r}, expected 0, 1 or 2")
        if optimizer_built is not None:
            require_known("optimizer_built", optimizer_built, ("before", "after"))
        self.verbose = verbose
        self.optimizer_built = optimizer_built
        self._intake = _Intake()
        self._masks: dict[str, Tensor] = {}
        self._store: MaskStore | None = None
        self._handles: list[RemovableHandle] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Be there when the weights are loaded."""
        self._let_go()
        self._intake, self._masks, self._store = _Intake(), {}, None
        self._handles.append(pl_module.register_load_state_dict_pre_hook(self._intake))  # type: ignore[no-untyped-call]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back the masks that this callback kept itself."""
        saved = state_dict.get("masks", {})
        self._masks = {name: ~unpack(mask["pruned"], mask["shape"]) for name, mask in saved.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the masks, when nobody else in the trainer keeps them."""
        return {} if self._store is None else {"masks": self._store.state_dict()}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand the masks on, and be there when the optimizers' state is loaded."""
        self._let_go()
        self._masks |= self._intake.masks
        if self._intake.fused or places(pl_module):
            place = partial(_place, pl_module, self._intake.keys, self.optimizer_built)
            self._handles += [one.register_load_state_dict_pre_hook(place) for one in trainer.optimizers]
        if self._masks:
            for callback in _keepers(trainer):
                callback.adopt(self._masks)
            self._say(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the zeros, when there is nobody else to do it."""
        self._let_go()
        if not self._masks or _keepers(trainer):
            return
        store = MaskStore([])
        take_masks(store, pl_module, self._masks)
        if any(isinstance(one, ModelPruning) for one in trainer.callbacks):  # type: ignore[attr-defined]
            torch_prune.write(pl_module, store)
            return
        store.apply_()
        self._handles = [store.attach(optimizer) for optimizer in trainer.optimizers]
        self._store = store

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._let_go()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no hook behind."""
        self._let_go()

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _say(self, trainer: Trainer) -> None:
        if not self.verbose:
            return
        kept, total = (
            sum(int(mask.sum()) for mask in self._masks.values()),
            sum(m.numel() for m in self._masks.values()),
        )
        keeper = next((type(one).__name__ for one in _keepers(trainer)), "the masks of this callback")
        share = f"{1 - kept / max(1, total):.2%} of {total:,} weights at zero"
        rank_zero_info(f"prunus: {len(self._masks)} parameters resume pruned, {share}, kept by {keeper}")
        if self.verbose == 2:
            for name, mask in self._masks.items():
                rank_zero_info(f"prunus: {name} keeps {int(mask.sum()):,} of {mask.numel():,}")


class _Intake:
    """Hook of a module that is about to load: makes the state dict fit, and remembers what it held."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.masks: dict[str, Tensor] = {}
        self.fused = False

    def __call__(self, module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        adapted = adapt(state_dict, module)
        self.keys, self.masks = list(state_dict), adapted.masks
        self.fused = any(key.endswith(ORIG) and key.removesuffix(ORIG) in self.masks for key in state_dict)
        state_dict.clear()
        state_dict.update(adapted.state_dict)


def _place(
    model: nn.Module, keys: Sequence[str], built: Built | None, optimizer: Optimizer, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Hook of an optimizer that is about to load: every parameter gets the state that was its own."""
    return place_state(state, model, optimizer, keys, built)


def _keepers(trainer: Trainer) -> list[Compression]:
    return [one for one in trainer.callbacks if isinstance(one, Compression)]  # type: ignore[attr-defined]
