"""What every regularizer promises: a value, its proximal map, a subgradient, and the strength that leaves nothing."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from prunus.errors import CheckpointError, require_number
from prunus.structures import Element, Structure


@dataclass
class Regularizer(ABC):
    r"""Charge a weight, and solve the small problem that the charge poses.

    With strength :math:`\lambda` (``lamda``) and :math:`\delta` (``delta``), for the value :math:`J`:

    .. math:: \mathrm{prox}(x, \delta) = \arg\min_z \; J(z) + \tfrac{1}{2\delta} \lVert z - x \rVert^2,
              \qquad \mathrm{sub\_grad}(v) \in \partial J(v), \quad \mathrm{sub\_grad}(0) = 0

    Regularizers are mutable on purpose: steering moves ``lamda`` while training runs, and every assignment is checked.
    A member declares whether its value is ``convex``, whether it is ``random``, and its ``domain``: "real", or
    "nonnegative" when prox never returns a negative entry, so that the formula above holds with z ≥ 0.

    Args:
        lamda: strength, finite and at least 0; 0 switches the regularizer off.

    Raises:
        SettingError: a strength that is negative, not finite or not a number; a negative delta.
        StructureError: a tensor that the regularizer's structure cannot split.

    >>> from prunus.regularizers import RegL1
    >>> reg = RegL1(0.5)
    >>> reg.lamda = -1
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: lamda is -1, expected a number of at least 0.0 and at most 1.7976931348623157e+308
    """

    name: ClassVar[str]
    convex: ClassVar[bool] = True
    random: ClassVar[bool] = False
    domain: ClassVar[str] = "real"

    lamda: float = 1.0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lamda":
            require_number("lamda", value, 0.0, sys.float_info.max)
            value = float(value)
        super().__setattr__(name, value)

    @property
    def structure(self) -> Structure:
        """The groups that reach zero together."""
        return Element()

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return the value as a 0-dim tensor of at least fp32; differentiable, with gradient 0 at zero groups."""

    @abstractmethod
    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return the proximal map in a new tensor of the same shape and dtype; differentiable."""

    @abstractmethod
    def sub_grad(self, v: Tensor) -> Tensor:
        """Return the subgradient at ``v`` that is 0 wherever ``v`` is, proportional to lamda; same shape and dtype."""

    def prox_(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Write ``prox(x, delta)`` into the storage of ``x``, bit for bit the same, and return ``x``."""
        with torch.no_grad():
            return x.copy_(self.prox(x, delta))

    def price(self, shape: Sequence[int]) -> float:
        """Return what one unit of lamda charges for one unit of group norm; 0 where nothing is charged."""
        return 1.0

    def ignores(self, shape: Sequence[int]) -> bool:
        """Say whether tensors of this shape are left alone: value 0, prox the identity, sub_grad 0."""
        return self.price(shape) == 0.0

    def radius(self, shape: Sequence[int]) -> float:
        """Return the norm up to which prox sends a group to zero at delta 1: the radius of the dual ball."""
        return self.lamda * self.price(shape)

    def threshold(self, shape: Sequence[int], delta: float) -> float:
        """Return the norm up to which prox sends a group to zero: delta times ``radius``."""
        require_number("delta", delta, 0.0)
        return delta * self.radius(shape)

    def lambda_max(self, x: Tensor, delta: float = 1.0) -> float:
        """Return the smallest lamda at which ``prox(x, delta)`` is zero everywhere; infinite when there is none."""
        require_number("delta", delta, 0.0)
        largest = self._largest_norm(x) if x.numel() else 0.0
        return 0.0 if largest <= 0.0 else smallest_factor(largest, delta, self.price(x.shape))

    def _largest_norm(self, x: Tensor) -> float:
        return float(x.detach().abs().max())

    def settings(self) -> dict[str, Any]:
        """Return plain values from which ``get_regularizer(**settings)`` builds an equal regularizer."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.init}
        plain = {key: value.settings() if isinstance(value, Structure) else value for key, value in values.items()}
        return {"name": self.name, **plain}

    def state_dict(self) -> dict[str, Tensor]:
        """Return what changes while training beyond the settings: nothing, unless the regularizer is random."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``state_dict`` returned; CheckpointError when it belongs to another regularizer."""
        if set(state) != set(self.state_dict()):
            expected, found = sorted(self.state_dict()), sorted(state)
            raise CheckpointError(f"{self} expects the state {expected}, but the checkpoint holds {found}")


def smallest_factor(norm: float, delta: float, price: float) -> float:
    """Return the smallest λ, to a float's last digit, with delta·(λ·price) ≥ norm in the order in which prox computes.

    >>> smallest_factor(3.0, delta=0.5, price=2.0)
    3.0
    >>> smallest_factor(3.0, delta=1.0, price=0.0)
    inf
    """
    if delta * price == 0.0:
        return math.inf
    factor = norm / delta / price
    while delta * (factor * price) < norm:
        factor = math.nextafter(factor, math.inf)
    return factor


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype to sum in: fp32 for half and bfloat16, whose sums overflow or stall, else the dtype itself.

    >>> wide(torch.float16), wide(torch.float64)
    (torch.float32, torch.float64)
    """
    return torch.promote_types(dtype, torch.float32)


def zero_value(x: Tensor) -> Tensor:
    """Return 0 as a 0-dim tensor that still hangs on the graph of ``x``, so that backward() works and gives zeros.

    >>> zero_value(torch.ones(3))
    tensor(0.)
    """
    # The sum of no entry at all: costs nothing, and an infinite weight cannot turn it into NaN.
    return x.reshape(-1)[:0].sum(dtype=wide(x.dtype))
