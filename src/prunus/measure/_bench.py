"""One cell of a sensitivity scan: prune one tensor, judge the model, put the tensor back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunus._groups import require_fit, score
from prunus._pieces import count, gathered
from prunus.criteria import Criterion
from prunus.errors import Faults, RunError, StructureError
from prunus.keep import exactly, exactly_in_rows, pruned_count
from prunus.measure.readings import Metric, Reading, figures
from prunus.select import Target
from prunus.structures import Structure


@dataclass(frozen=True)
class Bench:
    """A model, what judges it and how its tensors are pruned; it keeps no tensor of its own.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.select import targets
    >>> from prunus.structures import Element
    >>> model = nn.Linear(2, 1, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[3.0, -1.0]]))
    >>> bench = Bench(model, lambda model: model.weight.sum(), tuple(targets(model)), Element(), Magnitude())
    >>> bench.dense(), bench.read(0, 0.5).metrics, model.weight.tolist()
    ({'metric': 2.0}, {'metric': 3.0}, [[3.0, -1.0]])
    """

    model: nn.Module
    metric: Metric
    targets: tuple[Target, ...]
    structure: Structure
    criterion: Criterion
    seed: int = 0

    def check(self) -> None:
        """Raise one StructureError for all targets that do not fit; RunError where gradients are needed and missing."""
        faults = Faults(f"{self.structure!r} does not fit what was selected; name other layers with select=")
        for target in self.targets:
            try:
                require_fit(target, self.structure)
            except StructureError as fault:
                faults.add(str(fault))
        faults.raise_as(StructureError)
        missing = [target.name for target in self.targets if target.parameter.grad is None]
        if self.criterion.needs_gradient and missing:
            names = ", ".join(missing[:8])
            raise RunError(f"{self.criterion!r} needs gradients, which {names} lacks: call loss.backward() before")

    def dense(self) -> dict[str, float]:
        """Return the figures of the model as it is."""
        with self._undisturbed():
            return figures(self.metric(self.model))

    def read(self, place: int, level: float) -> Reading:
        """Prune target number ``place`` to ``level``, judge, and put every bit back, also when the metric raises."""
        target = self.targets[place]
        mask, pruned, members = self._mask(target, level)
        with _without(target, mask), self._undisturbed():
            found = figures(self.metric(self.model))
        return Reading(target.name, level, pruned, members, target.parameter.numel(), found)

    @torch.no_grad()
    def _mask(self, target: Target, level: float) -> tuple[Tensor, int, int]:
        """Return where the target is pruned, how many members that is, and of how many; scores are gone by then."""
        generator = torch.Generator().manual_seed(self.seed)
        scores = score(target, self.criterion, self.structure, generator)
        size = self.structure.budget
        if size:
            kept = exactly_in_rows(scores.view(-1, size), size - pruned_count(level, size)).view(-1)
        else:
            (kept,) = exactly([scores], scores.numel() - pruned_count(level, scores.numel()))
        shape = target.canonical(target.parameter).shape
        mask = target.canonical(self.structure.expand(kept, shape)).logical_not_()
        return mask, kept.numel() - count(gathered(kept)), kept.numel()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Give every evaluation the same random numbers, and refuse a metric that changes the model."""
        modes = [(module, module.training) for module in self.model.modules()]
        before = self._versions()
        devices = {p.device.index for p in self.model.parameters() if p.is_cuda}
        try:
            with torch.random.fork_rng(devices=sorted(devices)):
                torch.manual_seed(self.seed)
                yield
        finally:
            for module, training in modes:
                module.training = training
        after = self._versions()
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            raise RunError(
                f"the metric changed {', '.join(sorted(changed)[:8])} of the model, so the next figures would be of "
                "another one: evaluate with model.eval(), or a copy of the model"
            )

    def _versions(self) -> dict[str, tuple[int, int]]:
        """Return which tensors the model has and how often each was written to; no value is read."""
        found: dict[str, Tensor | None] = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        if self.criterion.needs_gradient:
            found |= {f"the gradient of {target.name}": target.parameter.grad for target in self.targets}
        return {n: (id(t), 0 if t.is_inference() else t._version) for n, t in found.items() if t is not None}


@contextmanager
def _without(target: Target, mask: Tensor) -> Iterator[None]:
    """Hold a copy of one tensor while its masked places are zero; the mask is used up."""
    copy = target.parameter.detach().clone()
    try:
        with torch.no_grad():
            target.parameter.masked_fill_(mask, 0.0)
        yield
    finally:
        with torch.no_grad():
            target.parameter.copy_(copy)
