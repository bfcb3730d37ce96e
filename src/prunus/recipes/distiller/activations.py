"""Figures of activations, gathered by hooks between one decision and the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from prunus.errors import RunError, did_you_mean
from prunus.recipes.distiller.contract import Scene, Verdict
from prunus.recipes.distiller.names import unwrapped
from prunus.recipes.distiller.ranked import Choosing
from prunus.recipes.distiller.rectified import before_relu
from prunus.select import Target

Figure = Callable[[Tensor], Tensor]
"""What is averaged of each activation: a map of tensors, value by value."""


def activation_of(name: str) -> str:
    """Return the name of the module whose activations stand for a parameter: Distiller's rule, .conv becomes .relu.

    >>> activation_of("layer1.0.conv2.weight"), activation_of("conv1.weight")
    ('layer1.0.relu2', 'relu1')
    """
    return f".{name.rpartition('.')[0]}".replace(".conv", ".relu").removeprefix(".")


class Source(NamedTuple):
    """A module whose outputs are the activations, or become them in a ReLU.

    >>> Source(nn.ReLU()).rectify
    False
    """

    module: nn.Module
    rectify: bool = False


def sources_of(chosen: Sequence[Target], written: Mapping[str, str], model: nn.Module) -> dict[str, Source]:
    """Return where each parameter's activations come from: as ``written``, by Distiller's rule, or from the graph.

    A parameter is left out where the model lacks the module that is written, or nothing is found.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    >>> target = Target("0.weight", model[0], "weight")
    >>> sources_of([target], {"0.weight": "1"}, model), sources_of([target], {}, model)
    ({'0.weight': Source(module=ReLU(), rectify=False)},
     {'0.weight': Source(module=Conv2d(1, 2, kernel_size=(1, 1), stride=(1, 1)), rectify=True)})
    """
    modules = modules_of(model)
    named = {one.name: _module(written.get(one.name, activation_of(one.name)), modules) for one in chosen}
    # A layer stands for itself only where that is written.
    fits = [one for one in chosen if one.name in written or named[one.name] is not one.module]
    found = {one.name: Source(module) for one in fits if (module := named[one.name]) is not None}
    rest = [one for one in chosen if one.name not in found and one.name not in written]
    traced = before_relu([one.module for one in rest], model) if rest else {}
    return found | {one.name: Source(traced[one.module], rectify=True) for one in rest if one.module in traced}


def lacking(name: str, written: str | None, model: nn.Module) -> str:
    """Say that no module is known whose activations stand for a parameter, and what was looked for.

    >>> lacking("conv1.weight", "relu", nn.Sequential(nn.ReLU()))
    "the model has no module 'relu', whose activations shall stand for conv1.weight. Known: 0."
    """
    if written is not None:
        near = did_you_mean(written, modules_of(model))
        return f"the model has no module {written!r}, whose activations shall stand for {name}. {near}"
    rule = activation_of(name)
    hint = f"name one, as in activations: {{{name}: layer1.act}}"
    looked = f"by Distiller's rule {rule}; no ReLU is known to read it"
    near = did_you_mean(rule, modules_of(model))
    return f"no module is known whose activations stand for {name} ({looked}); {hint}. {near}"


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules inside a model by name.

    >>> list(modules_of(nn.Sequential(nn.ReLU())))
    ['0']
    """
    return {name: module for name, module in model.named_modules() if name}


def _module(written: str, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    """Return the module of this name, else the one whose name differs in ``module.`` alone, as parameters do."""
    if written in modules:
        return modules[written]
    return {unwrapped(name): module for name, module in modules.items()}.get(unwrapped(written))


@dataclass
class Gathering:
    """The mean of a figure over all values of each channel, of the forward passes since it was last asked for.

    Training and validation count alike; sums are in double precision.

    >>> gathering = Gathering(lambda values: (values != 0).double())
    >>> gathering.add(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    >>> gathering.take("conv1.weight", 2)
    tensor([1.0000, 0.5000], dtype=torch.float64)
    """

    figure: Figure
    rectify: bool = False
    sums: Tensor | None = None
    count: int = 0
    latest: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """Add the output, as a forward hook; an object, so that a copied model feeds the copy."""
        self.add(output)

    @torch.no_grad()
    def add(self, values: Tensor) -> None:
        """Add the activations (batch, channels, ...) of one forward pass."""
        values = values.relu() if self.rectify else values
        rest = [at for at in range(values.dim()) if at != 1]
        found = self.figure(values.detach()).sum(dim=rest, dtype=torch.float64).cpu()
        if self.sums is not None and self.sums.shape != found.shape:
            raise RunError(f"the module is called with {len(self.sums)} and with {len(found)} channels; it is shared")
        self.sums = found if self.sums is None else self.sums + found
        self.count += values.numel() // max(1, values.shape[1])

    def take(self, name: str, channels: int) -> Tensor:
        """Return the means and begin anew; without a forward pass since, those of before."""
        if self.sums is not None and self.count:
            self.latest, self.sums, self.count = self.sums / self.count, None, 0
        if self.latest is None:
            raise RunError(f"no forward pass yet, so no activations to rank {name} by; start the policy in epoch 1")
        if len(self.latest) != channels:
            raise RunError(f"{name} has {channels} filters, its activations {len(self.latest)} channels")
        return self.latest


@dataclass(eq=False)
class ActivationRanking(Choosing):
    """Rank filters by a figure of their activations: the largest go.

    Args:
        sources: whose outputs stand for a parameter, by its name.
        figure: what is averaged.
        sign: -1.0 drops the largest, 1.0 the smallest.

    >>> ActivationRanking.__name__
    'ActivationRanking'
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    figure: Figure = torch.abs
    sign: float = -1.0

    def __post_init__(self) -> None:
        self.gathered = {name: Gathering(self.figure, one.rectify) for name, one in self.sources.items()}
        self.handles: list[RemovableHandle] = []

    def begin(self) -> None:
        """Hang on the modules."""
        if not self.handles:
            hooks = ((one.module, self.gathered[name]) for name, one in self.sources.items())
            self.handles = [module.register_forward_hook(hook) for module, hook in hooks]

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return the verdicts, and begin to gather for the next ones."""
        targets = {target.name: target for target in self.chosen}
        self.means = {name: one.take(name, len(targets[name].parameter)) for name, one in self.gathered.items()}
        return super().masks(scene)

    def scores(self, target: Target, scene: Scene) -> Tensor:
        """Return the means, with the sign."""
        return self.sign * self.means[target.name].to(target.parameter.device)

    def state_dict(self) -> dict[str, Any]:
        """Return sums, counts and the latest means."""
        return {name: [one.sums, one.count, one.latest] for name, one in self.gathered.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        for name, (sums, count, latest) in state.items():
            one = self.gathered[name]
            one.sums, one.count, one.latest = sums, int(count), latest
