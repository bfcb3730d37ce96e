"""The parameter manager: choose by layer type, and say in a table what was chosen and what was skipped, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from prunus.errors import SelectionError, require_count
from prunus.select.layers import unknown_layer
from prunus.select.rules import Select, explain, require_some
from prunus.select.target import Choice, Target, parameters

HEADINGS = ("parameter", "layer", "shape", "weights", "decision")


@dataclass(frozen=True)
class Selection:
    """What was chosen and what was skipped, in model order; printed, it is a table.

    >>> print(ParameterManager(min_param_elements=1).collect(nn.Linear(4, 2)))
    parameter  layer   shape  weights  decision
    weight     Linear  2x4    8        chosen
    bias       Linear  2      2        bias or vector
    """

    choices: tuple[Choice, ...]

    @property
    def chosen(self) -> list[Target]:
        """The parameters that take part."""
        return [choice.target for choice in self.choices if choice.chosen]

    @property
    def skipped(self) -> list[Choice]:
        """The parameters that stay out, each with its reason."""
        return [choice for choice in self.choices if not choice.chosen]

    @property
    def names(self) -> tuple[str, ...]:
        """The qualified names of the chosen parameters."""
        return tuple(target.name for target in self.chosen)

    def __str__(self) -> str:
        """One line a parameter: name, layer type, shape, number of weights, and the reason if it was skipped."""
        lines = [HEADINGS, *map(_line, self.choices)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
        padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(line.rstrip() for line in padded)


@dataclass(frozen=True)
class ParameterManager:
    """Choose the parameters to prune by layer type: known layers, never norms, others by their ``weight``.

    A parameter takes part when :class:`Select` has nothing against it (trainable, floating, no norm or PReLU, large
    enough, no bias unless asked, tied weights once) and its layer is known (linear, convolution, recurrent, embedding,
    attention) or holds a parameter named ``weight``.

    Args:
        min_param_elements: smallest number of weights of a parameter, at least 0.
        prune_bias: whether biases and other vectors take part, too.
        pruning_dim: the dimension along which slices will be cut; skips what has no such slices.
        parameters_to_prune: a list instead of the search: qualified names (or patterns, or names of modules), or pairs
            (module, parameter name). What it names literally needs no known layer and may be a bias or a norm; the
            other rules hold.

    Errors: SelectionError for a name without a match (with the nearest one), for a pair that is not of the model, and
    when nothing is left; SettingError for other values.
    Use it as the front of the pruning callbacks; in a plain loop ``Prune(select=Select(...))`` says more.
    Source: the parameter manager of sparse speaker-verification training, without its defects.

    >>> model = nn.Sequential(nn.Embedding(50, 8), nn.LSTM(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    >>> ParameterManager().collect(model).names
    ('0.weight', '1.weight_ih_l0', '1.weight_hh_l0')
    >>> ParameterManager(parameters_to_prune=[(model[3], "weight")], min_param_elements=1).collect(model).names
    ('3.weight',)
    """

    min_param_elements: int = 100
    prune_bias: bool = False
    pruning_dim: int | None = None
    parameters_to_prune: Sequence[str | tuple[nn.Module, str]] | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could satisfy."""
        require_count("min_param_elements", self.min_param_elements, 0)
        if self.pruning_dim is not None:
            require_count("pruning_dim", self.pruning_dim, 0)
        if isinstance(self.parameters_to_prune, str):
            wanted = f"a list of names or of (module, name) pairs: [{self.parameters_to_prune!r}]"
            raise SelectionError(f"parameters_to_prune is the string {self.parameters_to_prune!r}, expected {wanted}")

    def collect(self, model: nn.Module) -> Selection:
        """Return every parameter of the model with the decision about it; SelectionError when none is chosen."""
        select = Select(self._include(model), min_elements=self.min_param_elements, biases=self.prune_bias)
        found = explain(model, select)
        selection = Selection(tuple(Choice(one.target, one.reason or self._reason(one.target)) for one in found))
        require_some(selection.choices)
        return selection

    def _reason(self, target: Target) -> str:
        """What speaks against a parameter that the shared rules let through."""
        if self.parameters_to_prune is None and (reason := unknown_layer(target.module)):
            return reason
        if self.pruning_dim is not None and target.parameter.dim() <= max(1, self.pruning_dim):
            return f"no slices along dimension {self.pruning_dim} of {target.parameter.dim()}"
        return ""

    def _include(self, model: nn.Module) -> tuple[str, ...]:
        if self.parameters_to_prune is None:
            return ("*",)
        return tuple(one if isinstance(one, str) else _name_of(one, model) for one in self.parameters_to_prune)


def _name_of(pair: tuple[nn.Module, str], model: nn.Module) -> str:
    """The qualified name of a (module, parameter name) pair."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], nn.Module):
        raise SelectionError(f"parameters_to_prune holds {pair!r}, expected a name or a pair (module, parameter name)")
    module, name = pair
    parameter = module._parameters.get(name)
    for target in parameters(model):
        if target.parameter is parameter:
            return target.name
    known = ", ".join(module._parameters) or "none"
    raise SelectionError(f"({type(module).__name__}, {name!r}) is no parameter of the model; the module has: {known}")


def _line(choice: Choice) -> tuple[str, str, str, str, str]:
    target, parameter = choice.target, choice.target.parameter
    shape = "x".join(map(str, parameter.shape)) or "scalar"
    kind = type(target.module).__name__
    return target.name, kind, shape, f"{parameter.numel():,}", choice.reason or "chosen"
