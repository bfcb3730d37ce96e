"""One group of parameters: which it takes, how their weights are charged, and how sparse they start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from prunus.regularizers import RegNone, Regularizer
from prunus.select.layers import is_bias, is_protected
from prunus.select.target import Target
from prunus.sparse_init import SparseInit


@dataclass(frozen=True)
class Group:
    """What one entry of ``pruning_groups`` says, checked and with its classes and regularizer at hand.

    A criterion that is empty holds for every parameter. ``settings`` are the optimizer's, without ``reg`` and
    ``lambda_scale``.

    >>> layer = nn.Linear(2, 2)
    >>> weights = Group("weights", layer_types=(nn.Linear,), param_names=("weight",))
    >>> [weights.matches(Target(name, layer, name)) for name in ("weight", "bias")]
    [True, False]
    """

    name: str
    layer_types: tuple[type[nn.Module], ...] = ()
    param_names: tuple[str, ...] = ()
    module_name_patterns: tuple[str, ...] = ()
    exclude_module_name_patterns: tuple[str, ...] = ()
    is_fallback: bool = False
    reg: Regularizer = field(default_factory=RegNone)
    lambda_scale: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: SparseInit = field(default_factory=SparseInit)

    @property
    def charges(self) -> bool:
        """Whether the regularizer does anything at all."""
        return not isinstance(self.reg, RegNone)

    def matches(self, target: Target) -> bool:
        """Say whether the parameter meets every criterion; a fallback meets none by itself."""
        excluded = found(self.exclude_module_name_patterns, target)
        return not (self.is_fallback or excluded) and self.fits(target) and self.is_placed(target)

    def fits(self, target: Target) -> bool:
        """Say whether the layer's type and the parameter's own name are among those asked for."""
        return self.is_typed(target) and (not self.param_names or target.parameter_name in self.param_names)

    def is_typed(self, target: Target) -> bool:
        """Say whether the layer is of one of the types."""
        return not self.layer_types or isinstance(target.module, self.layer_types)

    def is_placed(self, target: Target) -> bool:
        """Say whether a pattern finds the layer's name."""
        return not self.module_name_patterns or found(self.module_name_patterns, target)

    def spares(self, target: Target) -> bool:
        """Say whether the parameter is not charged: a bias or vector, or of a norm, that the group does not name."""
        vector = is_bias(target.parameter_name, target.parameter.dim())
        unnamed = vector and target.parameter_name not in self.param_names
        return self.charges and (unnamed or (is_protected(target.module) and not self._names_norms(target)))

    def _names_norms(self, target: Target) -> bool:
        """Whether ``layer_types`` has a class of norms that the layer belongs to, rather than any module."""
        return any(isinstance(target.module, kind) and kind is not nn.Module for kind in self.layer_types)


def owner(target: Target) -> str:
    """Return the dotted name of the module that holds the parameter, "" for the model itself.

    >>> owner(Target("encoder.0.weight", nn.Linear(1, 1), "weight")), owner(Target("bias", nn.Linear(1, 1), "bias"))
    ('encoder.0', '')
    """
    return target.name.rpartition(".")[0]


def found(patterns: Iterable[str], target: Target) -> bool:
    """Say whether a regular expression is found anywhere in the name of the parameter's module.

    >>> found(["conv"], Target("block.conv1.weight", nn.Linear(1, 1), "weight"))
    True
    """
    return any(re.search(pattern, owner(target)) for pattern in patterns)
