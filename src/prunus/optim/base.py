"""The shell around every update rule: parameter groups, lazy start, closures, buckets, checkpoints."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from prunus._pieces import nonzeros
from prunus.errors import PrunusError, SettingError
from prunus.optim._buckets import CACHE_BYTES, buckets
from prunus.optim._eager import eagerly
from prunus.optim._fused import FusedGroup, Rule, obstacle
from prunus.optim._plain import Loading, plain_group
from prunus.optim.checks import misfits, parameter_name, raise_all, require_not_captured, shared
from prunus.optim.decay import decayed
from prunus.optim.lambda_change import settle_
from prunus.optim.mirror import dual_dtype, follow_, start_dual
from prunus.optim.nonfinite import screened
from prunus.optim.settings import setting_faults
from prunus.regularizers import RegNone, Regularizer


class Regularized(NamedTuple):
    """A parameter whose λ is steered, with what an optimizer keeps about it.

    ``state`` is empty until the parameter's first step with a gradient; ``group`` is the live parameter group.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = LinBreg([torch.nn.Parameter(torch.ones(2))], reg=RegL1(0.1))
    >>> [(entry.state, entry.group["delta"]) for entry in optimizer.regularized()]
    [({}, 1.0)]
    """

    parameter: Tensor
    state: dict[str, Any]
    group: dict[str, Any]


class BregmanOptimizer(Optimizer):
    """Base of LinBreg, AdaBreg and ProxSGD: everything about an optimizer that is not its formula.

    Every group has a live regularizer in ``group["reg"]`` (its own copy when it comes from the constructor's ``reg``)
    and a plain number ``group["lambda_scale"]`` (default 1; 0 keeps λ out of the hands of steering). A member supplies
    ``_update_`` and, where it keeps more than a step count, ``_fresh``.

    - A parameter without gradient is left alone: no state, no prox, no step count.
    - Half precision parameters keep float32 state; their values are written from the float32 result.
    - ``implementation`` says how a step is computed. "auto" (default): by one native call for all parameters that it
      can take, else as "foreach". "fused": by that call or not at all; it takes float32 and bfloat16 weights without
      gaps on the CPU and every regularizer but RegSoftBernoulli, and needs a C compiler once. "compiled": by a kernel
      of torch.compile, made at the first step. "foreach": by torch's operations over lists of tensors. "loop": over
      one tensor after the other. They agree to rounding and share their states, so a run may go on with another one.
    - Values are written in place; storage, strides and memory format of a parameter never change.
    - ``weight_decay`` adds its multiple of the weight to the gradient. Decoupled decay would mean nothing here: the
      next step rebuilds the weight from the dual.
    - ``nonfinite`` says what a NaN or an infinity in a gradient does. "propagate" (default): it enters the dual and
      stays there, as in the moments of any optimizer; nothing looks for it. "skip": the parameter sits the step out
      (weight, dual, moments and step count stay) and NoEffect is warned. "raise": GradientError names the parameters
      before anything has moved. The last two read one number a parameter back from the device each step.
    - Learning rate, λ and step count are numbers of the host, which a CUDA graph would freeze, so ``step`` refuses to
      be captured. A captured forward and backward stays valid, since no weight ever changes its storage.

    Raises:
        SettingError: settings out of range or unknown, one regularizer object in two groups, complex parameters; a
            sparse gradient. The constructor lists everything it found in one error.
        StructureError: the regularizer of a group cannot split one of its parameters.
        RunError: ``step`` inside a CUDA graph capture.

    >>> from prunus.optim import OPTIMIZERS
    >>> [issubclass(member, BregmanOptimizer) for member in OPTIMIZERS.values()]
    [True, True, True]
    """

    has_dual: ClassVar[bool] = True
    keeps: ClassVar[tuple[str, ...]] = ("step",)  # what the state of every parameter that has trained holds besides
    has_native: ClassVar[bool] = False  # whether ``_rule`` says the same as ``_update_``

    _found: list[PrunusError] | None = None  # the faults so far, while the constructor runs
    _tables: dict[int, FusedGroup] | None = None  # by group: what the native call steps; made anew in copies

    def __init_subclass__(cls) -> None:
        """Leave the native step to classes that state it themselves: an inherited one knows no new formula."""
        super().__init_subclass__()
        if "_rule" in vars(cls) or "_update_" in vars(cls):
            cls.has_native = "_rule" in vars(cls)

    def __init__(self, params: ParamsT, reg: Regularizer | None, **settings: Any) -> None:
        defaults = {**settings, "reg": RegNone() if reg is None else reg, "lambda_scale": 1.0}
        self._found = [SettingError(fault) for fault in setting_faults(defaults, defaults)]
        super().__init__(params, defaults)
        found, self._found = self._found, None
        raise_all(type(self).__name__, found)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: settings are checked, a default regularizer is copied, an explicit one is taken as it is."""
        index = len(self.param_groups)
        group = {key: value for key, value in param_group.items() if key != "reg" or value is not None}
        faults: list[PrunusError] = [
            SettingError(fault) for fault in setting_faults(group, self.defaults, f"group {index}: ")
        ]
        group.setdefault("reg", deepcopy(self.defaults["reg"]))
        try:
            super().add_param_group(group)
        except ValueError as fault:
            raise_all(type(self).__name__, list(shared([*self.param_groups, group])))
            raise SettingError(f"{type(self).__name__}: group {index}: {fault}") from fault
        faults += misfits(self.param_groups, index, self._obstacle)
        if self._found is not None:
            self._found += faults
        elif faults:
            self.param_groups.pop()
            raise_all(type(self).__name__, faults)

    @eagerly
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; ``closure`` is evaluated once, with gradients enabled, and its loss returned."""
        require_not_captured(type(self).__name__)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        ready = list(map(self._ready, range(len(self.param_groups))))
        tables = list(map(self._table, range(len(ready)), ready))
        for group, table in zip(self.param_groups, tables, strict=True):
            if table.able:
                self._advance_fused(table, group)
            limit = math.inf if group["implementation"] == "compiled" else CACHE_BYTES
            for bucket in buckets(table.rest, limit):
                self._advance(bucket, group)
        return loss

    def survivors(self, parameter: Tensor) -> int:
        """Return how many entries of a parameter are not zero: known from a fused step, else counted now.

        A change of the parameter by way of ``parameter.data`` goes unnoticed, as it does in autograd.
        """
        for table in (self._tables or {}).values():
            known = table.survivors(parameter)
            if known is not None:
                return known
        return nonzeros(parameter)

    @torch.no_grad()
    def evaluate_reg(self) -> list[float]:
        """Return the value of each group's regularizer, summed over the parameters of the group."""
        return [float(sum(group["reg"](p.to(dual_dtype(p))) for p in group["params"])) for group in self.param_groups]

    def regularized(self) -> Iterator[Regularized]:
        """Yield the parameters whose λ is steered: lambda_scale is above 0 and the regularizer does not ignore them."""
        for group in self.param_groups:
            if group["lambda_scale"] > 0 and not isinstance(group["reg"], RegNone):
                for p in group["params"]:
                    if not group["reg"].ignores(p.shape):
                        yield Regularized(p, self.state.get(p, {}), group)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain numbers; each regularizer appears as its settings."""
        packed = super().state_dict()
        packed["param_groups"] = [plain_group(group) for group in packed["param_groups"]]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, all of it or nothing; the live regularizers keep their identity and take over the saved λ.

        Raises:
            CheckpointError: the state belongs to other parameters, or to a regularizer of another kind.
        """
        loading = Loading(self)
        hooks = [
            self.register_load_state_dict_pre_hook(loading.check),
            self.register_load_state_dict_post_hook(loading.finish, prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    @abstractmethod
    def _update_(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]
    ) -> None:
        """Apply the member's formula to tensors of one device and dtype, in place."""

    def _fresh(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """Return the state a parameter starts with, besides its step count."""
        return {"sub_grad": start_dual(parameter, group["reg"], group["delta"])} if self.has_dual else {}

    def _rule(self, states: list[dict[str, Any]], group: dict[str, Any]) -> Rule:
        """Return the step that ``_update_`` takes, in the terms of the native kernel; not asked for by default."""
        raise NotImplementedError

    def _table(self, index: int, params: list[Tensor]) -> FusedGroup:
        """Sort the parameters of a group into those that a native call steps and the rest; most steps find it done."""
        if self._tables is None:
            self._tables = {}
        group, table = self.param_groups[index], self._tables.get(index)
        if table is None or not table.fits(params, group):
            if group["implementation"] == "fused":
                raise_all(type(self).__name__, list(misfits(self.param_groups, index, self._obstacle)))
            for p in params:
                follow_(self.state.get(p, {}), dual_dtype(p))
            table = self._tables[index] = FusedGroup(params, group, self._obstacle)
        return table

    def _obstacle(self, parameter: Tensor, reg: Regularizer) -> str:
        """Return why no native call can step a parameter, or nothing."""
        if not self.has_native:
            return f"{type(self).__name__} has no native form"
        return obstacle(parameter, reg, self.has_dual)

    def _started(self, params: list[Tensor], group: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the states of parameters that are about to step: begun where they are new, the step counted."""
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                with torch.inference_mode(False), torch.no_grad():  # else no later step outside that mode could move it
                    state.update(step=0, **self._fresh(p, group))
            state["step"] += 1
        return states

    def _advance_fused(self, table: FusedGroup, group: dict[str, Any]) -> None:
        """Step all that one native call can take."""
        states = self._started(table.able, group)
        if self.has_dual:
            moves = group["lambda_change"] != "none"
            settle_([p.to(dual_dtype(p)) for p in table.able] if moves else table.able, states, group)
        table.step_(states, self._rule(states, group), group["weight_decay"])

    def _advance(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Step a bucket by torch's operations; half precision goes through float32 scratch."""
        states = self._started(params, group)
        wide = [p.to(dual_dtype(p)) for p in params]
        grads = [p.grad.to(w.dtype) for p, w in zip(params, wide, strict=True)]  # type: ignore[union-attr]
        if self.has_dual:
            settle_(wide, states, group)
        chosen = {**group, "implementation": "foreach"} if group["implementation"] == "auto" else group
        self._update_(wide, decayed(grads, wide, group["weight_decay"]), states, chosen)
        for p, w in zip(params, wide, strict=True):
            if w is not p:
                p.copy_(w)

    def _ready(self, index: int) -> list[Tensor]:
        """Return the parameters of a group that shall step; refuse what cannot before anything has moved."""
        group = self.param_groups[index]
        ready = [p for p in group["params"] if p.grad is not None]
        for p in ready:
            if p.grad.layout is not torch.strided:
                raise SettingError(
                    f"{parameter_name(group, index, p)} has a sparse gradient, which {type(self).__name__} cannot use. "
                    "Build the embedding with sparse=False"
                )
        return screened(ready, group["nonfinite"], partial(parameter_name, group, index))
