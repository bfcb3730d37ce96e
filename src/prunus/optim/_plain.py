"""Optimizer states that hold tensors and plain numbers only, and the way back into live regularizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from copy import deepcopy
from itertools import chain
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from prunus.errors import CheckpointError, SettingError
from prunus.optim.mirror import dual_dtype
from prunus.regularizers import Regularizer

# Belongs to the machine at hand, not to the training run that is resumed.
OF_THIS_RUN = ("implementation",)

# Settings that states of the first optimizers lack; they keep the value of this run.
LATER = ("weight_decay", "lambda_change", "nonfinite")


def plain_group(group: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter group with its regularizer written out as settings, plus its random state where it has one.

    >>> from prunus.regularizers import RegL1
    >>> plain_group({"lr": 0.1, "reg": RegL1(0.5)})
    {'lr': 0.1, 'reg': {'name': 'l1', 'lamda': 0.5}}
    """
    reg = group["reg"]
    state = reg.state_dict()
    return {**group, "reg": {**reg.settings(), **({"state": state} if state else {})}}


class Loading:
    """One load of an optimizer's state: a check before anything changes, and what torch leaves to do after.

    torch casts every loaded tensor to the dtype of its parameter and hands over the caller's own tensors. A dual has to
    stay in float32 and must not be shared with whoever holds the state, so :meth:`finish` copies each once more.

    >>> import torch
    >>> from prunus.optim import LinBreg
    >>> optimizer = LinBreg([torch.nn.Parameter(torch.zeros(2))])
    >>> Loading(optimizer).check(optimizer, {"state": {}, "param_groups": []})
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: this optimizer has 1 parameter groups, the saved state has 0
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.live = list(optimizer.param_groups)
        self.saved: dict[str, Any] = {}

    def check(self, optimizer: Optimizer, saved: dict[str, Any]) -> None:
        """Raise CheckpointError unless the saved state fits the groups, regularizers and shapes of the optimizer."""
        ours, theirs = self.live, saved["param_groups"]
        if len(ours) != len(theirs):
            raise CheckpointError(f"this optimizer has {len(ours)} parameter groups, the saved state has {len(theirs)}")
        for index, (group, other) in enumerate(zip(ours, theirs, strict=True)):
            _require_same_group(index, group, other, optimizer.defaults.keys())
        self.saved = saved
        self._require_duals(bool(getattr(optimizer, "has_dual", True)))
        self._require_whole(getattr(optimizer, "keeps", ()))
        for parameter, name, value in self._tensors():
            if value.shape != parameter.shape:
                raise CheckpointError(
                    f"{name} was saved for a parameter of shape {tuple(value.shape)}, here its shape is "
                    f"{tuple(parameter.shape)}. The saved state belongs to another model"
                )

    def _require_duals(self, expected: bool) -> None:
        """Raise CheckpointError where a parameter that has trained has no dual, or one that nobody would use."""
        for key, state in self.saved["state"].items():
            if state and ("sub_grad" in state) != expected:
                what = "no dual (sub_grad)" if expected else "a dual (sub_grad), which this optimizer does not keep"
                raise CheckpointError(f"the saved state of parameter {key} has {what}: another optimizer wrote it")

    def _require_whole(self, expected: Sequence[str]) -> None:
        """Raise CheckpointError where the state of a parameter that has trained lacks what every step reads."""
        for key, state in self.saved["state"].items():
            missing = [name for name in expected if name not in state]
            if state and missing:
                raise CheckpointError(f"the saved state of parameter {key} has no {', '.join(missing)}: it is damaged")

    def finish(self, optimizer: Optimizer) -> None:
        """Put the live regularizers back, with the saved λ and random state, and the state at full precision."""
        for group, before, other in zip(optimizer.param_groups, self.live, self.saved["param_groups"], strict=True):
            reg = before["reg"]
            group.update({key: before[key] for key in OF_THIS_RUN}, reg=reg)
            group.update({key: value for key, value in before.items() if key not in other})
            take_(reg, other["reg"])
        for parameter, name, value in self._tensors():
            own = value.detach().to(device=parameter.device, dtype=dual_dtype(parameter), copy=True)
            optimizer.state[parameter][name] = own

    def _tensors(self) -> list[tuple[Tensor, str, Tensor]]:
        """Return (parameter, name, saved value) for every tensor of the saved state."""
        keys = chain.from_iterable(group["params"] for group in self.saved["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.live)
        states = ((p, self.saved["state"].get(key, {})) for key, p in zip(keys, params, strict=True))
        return [(p, name, value) for p, state in states for name, value in state.items() if isinstance(value, Tensor)]


def _require_same_group(index: int, group: dict[str, Any], saved: dict[str, Any], settings: Set[str]) -> None:
    """Raise CheckpointError unless a saved group has as many parameters, the same settings and the same regularizer.

    What others have put into a group, as learning-rate schedulers do with ``initial_lr``, need not be there.
    """
    if len(group["params"]) != len(saved["params"]):
        raise CheckpointError(
            f"group {index} has {len(group['params'])} parameters, the saved one {len(saved['params'])}"
        )
    missing = sorted((group.keys() & settings) - saved.keys() - {*LATER, *OF_THIS_RUN})
    if missing:
        raise CheckpointError(
            f"group {index} of the saved state has no {', '.join(missing)}: another optimizer wrote it"
        )
    kind, other = (_kind(settings) for settings in (group["reg"].settings(), saved["reg"]))
    if kind != other:
        raise CheckpointError(
            f"group {index} has the regularizer {kind}, the saved state is of {other}. "
            "Only λ is taken from a checkpoint; build the optimizer with the regularizer it was saved with"
        )
    try:
        take_(deepcopy(group["reg"]), saved["reg"])
    except (AttributeError, KeyError, RuntimeError, SettingError, TypeError) as fault:
        raise CheckpointError(f"the regularizer of group {index} of the saved state is damaged: {fault}") from fault


def take_(reg: Regularizer, saved: Mapping[str, Any]) -> None:
    """Give a regularizer its saved λ and random state.

    >>> from prunus.regularizers import RegL1
    >>> reg = RegL1(0.5)
    >>> take_(reg, {"name": "l1", "lamda": 0.25})
    >>> reg
    RegL1(lamda=0.25)
    """
    reg.lamda = saved["lamda"]
    if "state" in saved:
        reg.load_state_dict(deepcopy(saved["state"]))


def _kind(settings: dict[str, Any]) -> str:
    """Return a regularizer's settings without its strength, in words: what has to agree for its dual to carry over."""
    rest = ", ".join(f"{key}={value!r}" for key, value in settings.items() if key not in ("name", "lamda", "state"))
    return f"{settings['name']}({rest})" if rest else str(settings["name"])
