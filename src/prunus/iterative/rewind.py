"""Rewinding: at the start of each retraining go back to an earlier point, with the weights or the schedule alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from prunus.checkpoints.fit import model_misfits, require_fit
from prunus.checkpoints.runs import Stateful
from prunus.errors import CheckpointError, RunError, SettingError, require_known

REWINDS = ("lr", "weights")
"""What may be rewound; None rewinds nothing, which is fine-tuning."""
SCHEDULED = ("lr", "initial_lr", "momentum", "betas")
"""What learning-rate schedules move in an optimizer's groups."""


class Rewinder:
    r"""Remember a point of training and go back to it before each retraining.

    ======================  =============================  =====================================
    mode                    weights after pruning          learning rate
    ======================  =============================  =====================================
    None (fine-tuning)      as trained                     goes on from where it is
    "lr"                    as trained                     the schedule starts over at the point
    "weights"               those of the point             the schedule starts over at the point
    ======================  =============================  =====================================

    With "weights" everything of the model goes back (biases and running statistics too), and so does the optimizer's
    state; masks stay, so apply them afterwards. With "lr" the optimizer keeps its moments and gets back what a
    schedule moves (lr, momentum, betas). Random states and the order of the data go on.

    Args:
        rewind: "weights", "lr" or None.

    Errors: SettingError for another mode; RunError when nothing was captured, or when the parts at restoring are not
    those at capturing; CheckpointError when the model is another one. Nothing is changed then.
    Use "lr" as the default for iterative pruning and "weights" to find sparse networks that train from early on; the
    point is best a few per cent into training for "weights" and at or near the start for "lr". On large, wide networks
    at low sparsity "lr" was found to cost accuracy (arXiv:2109.09670).
    Source: Renda, Frankle, Carbin 2020 (arXiv:2003.02389), section 2; Frankle et al. 2019 (arXiv:1903.01611).

    >>> import torch
    >>> model = nn.Linear(1, 1, bias=False)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> rewinder = Rewinder("weights")
    >>> _ = nn.init.constant_(model.weight, 3.0)
    >>> rewinder.capture(model, optimizer)
    >>> _ = nn.init.constant_(model.weight, 5.0)
    >>> rewinder.restore(model, optimizer)
    >>> model.weight.item()
    3.0
    """

    def __init__(self, rewind: str | None = None) -> None:
        if rewind is not None:
            require_known("rewind", rewind, REWINDS)
        self.rewind = rewind
        self._point: dict[str, Any] = {}

    @property
    def captured(self) -> bool:
        """Whether a point was remembered."""
        return bool(self._point)

    def capture(
        self, model: nn.Module, optimizer: Optimizer | None = None, lr_scheduler: Stateful | None = None
    ) -> None:
        """Remember this point, in place of an earlier one; with mode None nothing is kept.

        Args:
            model: in mode "weights" its state is copied, which takes its size in memory.
            optimizer: its state goes back too; mode "lr" needs it, for it holds the learning rate.
            lr_scheduler: any of torch's, or anything with ``state_dict`` and ``load_state_dict``.
        """
        if self.rewind is None:
            return
        if self.rewind == "lr" and optimizer is None:
            raise SettingError("rewind 'lr' needs the optimizer, which holds the learning rate; pass optimizer=")
        point: dict[str, Any] = {}
        if self.rewind == "weights":
            point["model"] = model.state_dict()
        if optimizer is not None:
            point["optimizer"] = optimizer.state_dict() if self.rewind == "weights" else _scheduled(optimizer)
        if lr_scheduler is not None:
            point["lr_scheduler"] = lr_scheduler.state_dict()
        self._point = _detached(point)

    def require_ready(
        self, model: nn.Module, optimizer: Optimizer | None = None, lr_scheduler: Stateful | None = None
    ) -> None:
        """Raise unless :meth:`restore` with the same arguments can go back."""
        if self.rewind is None:
            return
        if not self._point:
            raise RunError(f"rewind is {self.rewind!r}, but no point was captured: call capture(...) during training")
        for name, part in (("optimizer", optimizer), ("lr_scheduler", lr_scheduler)):
            if (part is None) == (name in self._point):
                was, now = ("with", "without") if part is None else ("without", "with")
                raise RunError(f"the point was captured {was} {name}=, but is to be restored {now} it")
        if "model" in self._point:
            require_fit(
                "the captured point is of another model", model_misfits(model.state_dict(), self._point["model"])
            )
        if optimizer is not None:
            saved, groups = self._point["optimizer"]["param_groups"], optimizer.param_groups
            if len(saved) != len(groups):
                raise CheckpointError(f"the point has {len(saved)} parameter groups, the optimizer {len(groups)}")

    def restore(
        self, model: nn.Module, optimizer: Optimizer | None = None, lr_scheduler: Stateful | None = None
    ) -> None:
        """Go back to the captured point, as often as wished; with mode None nothing happens."""
        self.require_ready(model, optimizer, lr_scheduler)
        if self.rewind is None:
            return
        point = self._point
        if "model" in point:
            model.load_state_dict(point["model"])
        if optimizer is not None:
            put_back = optimizer.load_state_dict if self.rewind == "weights" else partial(_reschedule_, optimizer)
            put_back(_detached(point["optimizer"]))  # a copy: what is loaded is kept, and changed by training
        if lr_scheduler is not None:
            lr_scheduler.load_state_dict(_detached(point["lr_scheduler"]))

    def state_dict(self) -> dict[str, Any]:
        """Return the mode and the captured point."""
        return {"rewind": self.rewind, "point": self._point}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a captured point back; CheckpointError when it was captured in another mode."""
        if "point" not in state or state.get("rewind") != self.rewind:
            raise CheckpointError(f"the saved point is of rewind {state.get('rewind')!r}, this one is {self.rewind!r}")
        self._point = _detached(dict(state["point"]))


def _scheduled(optimizer: Optimizer) -> dict[str, Any]:
    """Return what a schedule moves, group by group."""
    return {
        "param_groups": [{key: group[key] for key in SCHEDULED if key in group} for group in optimizer.param_groups]
    }


def _reschedule_(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Put it back; a learning rate that is a tensor stays that tensor, which captured graphs read."""
    for group, settings in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        for key, value in settings.items():
            if isinstance(group.get(key), Tensor):
                group[key].fill_(value)
            else:
                group[key] = value


def _detached(value: Any) -> Any:
    """Copy nested dicts, lists and tuples; tensors lose their graph and their aliases."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _detached(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_detached, value))
    return copy.deepcopy(value)
