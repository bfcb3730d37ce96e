"""A target is one parameter in its place; a choice is a target with the reason why it stays out, if it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from prunus.errors import RunError


@dataclass(frozen=True)
class Target:
    """One parameter chosen for compression: its qualified name, its module and its name there.

    >>> model = nn.Sequential(nn.Linear(4, 2))
    >>> target = Target("0.weight", model[0], "weight")
    >>> target.name, tuple(target.parameter.shape)
    ('0.weight', (2, 4))
    """

    name: str
    module: nn.Module = field(repr=False)
    parameter_name: str
    aliases: tuple[str, ...] = ()

    @property
    def parameter(self) -> nn.Parameter:
        """The live parameter, looked up anew so that ``model.to(...)`` is followed.

        When torch.nn.utils.prune takes the parameter over in the middle of a run, it lives on as ``weight_orig``.
        """
        found = self._found
        if found is None:
            raise RunError(
                f"{self.name} is no parameter of the model any more, as parametrizations and assignments of None leave "
                "it; build optimizer and scheduler behind them"
            )
        return found

    @property
    def lives(self) -> bool:
        """Whether the module still has the parameter."""
        return self._found is not None

    @property
    def _found(self) -> nn.Parameter | None:
        live, name = self.module._parameters, self.parameter_name
        return live[name] if name in live else live.get(f"{name}_orig")

    @property
    def transposed(self) -> bool:
        """Whether output channels lie in dim 1, as in transposed convolutions."""
        return isinstance(self.module, nn.modules.conv._ConvTransposeNd)

    def canonical(self, tensor: Tensor) -> Tensor:
        """Return a view with output channels in dim 0; applying it twice gives the tensor back."""
        return tensor.transpose(0, 1) if self.transposed else tensor


@dataclass(frozen=True)
class Choice:
    """What was decided about one parameter and why (``reason`` is empty when it was chosen).

    >>> Choice(Target("weight", nn.Linear(2, 2), "weight"), reason="frozen").chosen
    False
    """

    target: Target
    reason: str = ""

    @property
    def chosen(self) -> bool:
        """Whether the parameter takes part."""
        return not self.reason


def parameters(model: nn.Module) -> Iterator[Target]:
    """Yield every distinct parameter once, under its first name, its other names as aliases.

    >>> [target.name for target in parameters(nn.Sequential(nn.Linear(4, 2)))]
    ['0.weight', '0.bias']
    """
    found: dict[int, tuple[str, nn.Module, str, list[str]]] = {}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, parameter in module._parameters.items():
            if parameter is None or isinstance(parameter, nn.parameter.UninitializedParameter):
                continue
            full = f"{prefix}.{name}" if prefix else name
            if id(parameter) in found:
                found[id(parameter)][3].append(full)
            else:
                found[id(parameter)] = (full, module, name, [])
    for full, module, name, aliases in found.values():
        yield Target(full, module, name, tuple(aliases))
