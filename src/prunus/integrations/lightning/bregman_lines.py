"""The lines that BregmanPruner writes: sparsity by epoch and by parameter, and every step of λ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from prunus._echo import Echo
from prunus.measure import count
from prunus.optim import BregmanOptimizer
from prunus.scheduler import CompressionScheduler


def epoch_line(epoch: int, sparsity: float) -> str:
    """Say how sparse the weights are.

    >>> epoch_line(0, 0.12543)
    'Epoch 0: Sparsity of pruned modules = 12.543%'
    """
    return f"Epoch {epoch}: Sparsity of pruned modules = {sparsity:.3%}"


def update_line(sparsity: float, target: float, old: float, new: float) -> str:
    """Say how λ answers to the sparsity.

    >>> update_line(0.12543, 0.8, 1.0, 1.00067457)
    'Sparsity 12.543% vs target 80.0% → Lambda ↗ 1.00000000 → 1.00067457'
    """
    arrow = "↗" if new > old else "↘" if new < old else "="
    return f"Sparsity {sparsity:.3%} vs target {target:.1%} → Lambda {arrow} {old:.8f} → {new:.8f}"


def step_line(step: int, sparsity: float, strength: float) -> str:
    """Say where the run stands at an optimizer step.

    >>> step_line(100, 0.12543, 1.00067457)
    'Step 100: Sparsity=12.543%, lambda=1.0007'
    """
    return f"Step {step}: Sparsity={sparsity:.3%}, lambda={strength:.4f}"


def parameter_lines(model: nn.Module, parameters: Iterable[Tensor]) -> Iterator[str]:
    """Say how sparse each of the parameters is, in the order of the model.

    >>> import torch
    >>> model = nn.Linear(4, 2)
    >>> _ = model.weight.data.copy_(torch.eye(2, 4))
    >>> list(parameter_lines(model, [model.weight]))
    ['  weight: 75.000% of 8']
    """
    wanted = {id(parameter) for parameter in parameters}
    for name, parameter in model.named_parameters():
        if id(parameter) in wanted:
            counted = count(parameter)
            yield f"  {name}: {counted.sparsity:.3%} of {counted.total:,}"


def group_lines(optimizer: BregmanOptimizer) -> Iterator[str]:
    """Say of each group of the optimizer how it is charged and how sparse it is.

    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> group = {"name": "linear", "params": [torch.eye(2, requires_grad=True)], "reg": RegL1(0.1)}
    >>> list(group_lines(AdaBreg([group], lr=0.1)))
    ['linear: RegL1(lamda=0.1), lambda_scale 1, 4 weights, 50.000% zeros']
    """
    for name, group in zip(group_names(optimizer), optimizer.param_groups, strict=True):
        counted = count(group["params"])
        weights = f"{counted.total:,} weights, {counted.sparsity:.3%} zeros"
        yield f"{name}: {group['reg']!r}, lambda_scale {group['lambda_scale']:g}, {weights}"


def group_names(optimizer: BregmanOptimizer) -> list[str]:
    """Return the name of each group, group0, group1, … where none was given.

    >>> import torch
    >>> from prunus.optim import LinBreg
    >>> group_names(LinBreg([torch.ones(1, requires_grad=True)], lr=0.1))
    ['group0']
    """
    return [str(group.get("name", f"group{index}")) for index, group in enumerate(optimizer.param_groups)]


@dataclass
class Report:
    """The lines of one run, on the rank that may write them.

    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = AdaBreg([torch.zeros(2, requires_grad=True)], lr=0.1, reg=RegL1(0.1))
    >>> Report(level=2, echo=print).groups(optimizer)
    group0: RegL1(lamda=0.1), lambda_scale 1, 2 weights, 100.000% zeros
    """

    level: int
    echo: Echo
    step: int = 0
    strength: float = 0.0

    def groups(self, optimizer: BregmanOptimizer) -> None:
        """Describe the groups, at level 2."""
        if self.level >= 2:
            self._say(group_lines(optimizer))

    def epoch(self, scheduler: CompressionScheduler) -> None:
        """Say where an epoch stands, at level 2 each parameter, too."""
        if self.level >= 1:
            self._say([epoch_line(scheduler.epoch, scheduler.sparsity())])
        if self.level >= 2:
            self._say(parameter_lines(scheduler.model, scheduler.policies[0].bound.parameters))

    def update(self, scheduler: CompressionScheduler, every: int, target: float, strength: float) -> None:
        """Say how λ moved, once for every ``every`` optimizer steps."""
        if self.level >= 1 and scheduler.step != self.step and scheduler.step % every == 0:
            found = scheduler.sparsity()
            lines = [update_line(found, target, self.strength, strength), step_line(scheduler.step, found, strength)]
            self.step, self.strength = scheduler.step, strength
            self._say(lines)

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.echo(line)
