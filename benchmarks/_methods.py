"""The rows of comparison.py: each method builds an optimizer and policies, and names the settings it may choose from.

Every method has the same learning-rate curve, a cosine from its own ``lr`` to zero. All matrices and kernels are
pruned, biases stay dense. recipes/fashion_mnist says the same in YAML, under the same names, for 95 %.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn

from benchmarks._training import Plan
from prunus.actions import Action, Prune, Rewire, SetLR, Steer
from prunus.criteria import Random
from prunus.optim import AdaBreg, BregmanOptimizer, LinBreg, sparsify_
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.schedules import Cosine, Cubic, OneShot
from prunus.scopes import ErdosRenyi, Global, Scope
from prunus.steering import LambdaScheduler, SparsityBudget, Steering
from prunus.window import Window

LAMBDA = 0.01
"""Where λ feedback begins."""
DECAY = SetLR(Cosine(final=0.0, initial=1.0))
SCOPES: dict[str, Scope] = {"global": Global(), "erdos_renyi": ErdosRenyi()}
Settings = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A row: its words, how it is built, what it may choose from; ``strength``: the setting in a target's place.

    ``does``, ``before`` and ``optimizer`` are for the recipe: what it does, and how the optimizer is made.
    """

    label: str
    build: Callable[..., Plan]
    choices: dict[str, tuple[Any, ...]]
    strength: str | None = None
    does: str = ""
    before: str = ""
    optimizer: str = ""

    def candidates(self) -> Iterator[Settings]:
        """Yield every combination of the choices."""
        for values in product(*self.choices.values()):
            yield dict(zip(self.choices, values, strict=True))


def split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the weights and the biases."""
    return [p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() <= 1]


def adam(model: nn.Module, lr: float, *policies: Policy | Action) -> Plan:
    """Adam with the policies of a method."""
    return Plan(torch.optim.Adam(model.parameters(), lr, fused=True), [*policies, DECAY])


def dense(model: nn.Module, target: float, lr: float) -> Plan:
    """Adam, and no pruning."""
    return adam(model, lr)


def one_shot(model: nn.Module, target: float, lr: float, at: str) -> Plan:
    """Train dense, prune once over all layers, fine-tune."""
    return adam(model, lr, Policy(Prune(OneShot(target)), Window(at, unit="step", frequency=10**9)))


def gradual(model: nn.Module, target: float, lr: float, end: str, scope: str = "global") -> Plan:
    """Zhu and Gupta's cubic ramp."""
    return adam(model, lr, Policy(Prune(Cubic(target), scope=SCOPES[scope]), Window(0, end, 20, "step")))


def gradual_erdos_renyi(model: nn.Module, target: float, lr: float, end: str) -> Plan:
    """The same ramp, shared among layers by Erdős–Rényi."""
    return gradual(model, target, lr, end, "erdos_renyi")


def rigl(model: nn.Module, target: float, lr: float, every: int) -> Plan:
    """Sparse from the start; the weakest go and those with the largest gradients come."""
    start = Policy(Prune(OneShot(target), Random(), scope=ErdosRenyi()), Window(0, 1))
    return adam(model, lr, start, Policy(Rewire(), Window(every, "0.75dur", every, "step")))


def bregman(kind: type[BregmanOptimizer], model: nn.Module, lamda: float, steering: Steering, **settings: Any) -> Plan:
    """A Bregman optimizer on the weights, steered; biases are not regularized."""
    weights, biases = split(model)
    optimizer = kind([{"params": weights, "reg": RegL1(lamda)}, {"params": biases}], **settings)
    return Plan(optimizer, [Steer(steering), DECAY])


def adabreg_budget(model: nn.Module, target: float, lr: float, ratio: float, rise: float) -> Plan:
    """AdaBreg, λ from ``ratio`` learning rates on, and an exact cap on the survivors; from a dense start."""
    return bregman(AdaBreg, model, ratio * lr, SparsityBudget(target, rise=rise), lr=lr)


def linbreg_budget(model: nn.Module, target: float, lr: float, lamda: float) -> Plan:
    """LinBreg with momentum, the same way; its λ stays."""
    return bregman(LinBreg, model, lamda, SparsityBudget(target), lr=lr, momentum=0.9)


def adabreg_feedback(model: nn.Module, target: float, lr: float, acceleration: float, density: float) -> Plan:
    """AdaBreg with λ feedback after every step, from a sparse start."""
    sparsify_(split(model)[0], density, rescale=True)
    return bregman(AdaBreg, model, LAMBDA, LambdaScheduler(LAMBDA, target, acceleration), lr=lr)


def linbreg_feedback(model: nn.Module, target: float, lr: float, acceleration: float, density: float) -> Plan:
    """LinBreg with λ feedback, the same way."""
    sparsify_(split(model)[0], density, rescale=True)
    return bregman(LinBreg, model, LAMBDA, LambdaScheduler(LAMBDA, target, acceleration), lr=lr)


def torchao(model: nn.Module, lr: float, prox: Settings) -> Plan:
    """Wrap Adam in torchao's PruneOptimizer: a prox after every step until ``HEAL``, then frozen zeros."""
    from torchao.prototype.pat import PruneOptimizer

    weights, biases = split(model)
    group = {"params": weights, "group_type": "ElemGrouper", **prox}
    base = torch.optim.Adam([group, {"params": biases}], lr, fused=True)
    return Plan(base, [DECAY], PruneOptimizer(base, healing_start_step=HEAL))


def torchao_lasso(model: nn.Module, target: float, lr: float, threshold: float) -> Plan:
    """ProxLasso has no target: λ times the sum of the learning rates reaches ``threshold``, which is searched."""
    passed = sum(DECAY.schedule(step / STEPS) for step in range(HEAL))
    return torchao(model, lr, {"prox_type": "ProxLasso", "reg_lambda": threshold / (lr * passed)})


def torchao_count(model: nn.Module, target: float, lr: float) -> Plan:
    """GlobalMinSparsityConstraint with its cubic schedule."""
    prox = {"prox_type": "GlobalMinSparsityConstraint", "min_sparsity": target, "min_sparsity_schedule": True}
    return torchao(model, lr, {**prox, "score_type": "l2"})


STEPS = 8 * (55_000 // 256)
"""Length of a run, which torchao's optimizer has to be told in steps."""
HEAL = STEPS * 7 // 10
LR = (1e-3, 3e-3, 1e-2)
DUAL_LR = (0.3, 1.0, 3.0)
FEEDBACK = {"acceleration": (0.05, 0.25), "density": (0.01,)}

ADAM = "torch.optim.Adam(model.parameters(), {lr:g})"
GROUPS = '[{{"params": weights, "reg": RegL1({lamda:g})}}, {{"params": biases}}]'
SPARSE = "sparsify_(weights, {density:g}, rescale=True)\n"

METHODS: dict[str, Method] = {
    "dense": Method("dense, Adam", dense, {"lr": LR}),
    "gradual_global": Method(
        "gradual magnitude (GMP), global",
        gradual,
        {"lr": LR, "end": ("0.5dur", "0.7dur")},
        optimizer=ADAM,
        does="follows the cubic ramp of Zhu and Gupta (2017), one ranking over all layers.",
    ),
    "rigl": Method(
        "RigL, Erdős–Rényi",
        rigl,
        {"lr": (3e-3, 1e-2, 3e-2), "every": (50, 100)},
        optimizer=ADAM,
        does="sparse from the start; now and then the weakest weights go and those with the largest gradients come.",
    ),
    "linbreg_feedback": Method(
        "LinBreg, λ feedback",
        linbreg_feedback,
        {"lr": DUAL_LR, **FEEDBACK},
        optimizer=f"LinBreg({GROUPS}, lr={{lr:g}})",
        before=SPARSE,
        does="starts sparse; after every step λ rises while the model is too dense and falls while it is too sparse.",
    ),
    "linbreg_budget": Method(
        "LinBreg, sparsity budget",
        linbreg_budget,
        {"lr": DUAL_LR, "lamda": (0.001, 0.01)},
        optimizer=f"LinBreg({GROUPS}, lr={{lr:g}}, momentum=0.9)",
        does="starts dense; a small fixed λ and an exact cap on the survivors, with room for dead weights to return.",
    ),
    "adabreg_feedback": Method(
        "AdaBreg, λ feedback",
        adabreg_feedback,
        {"lr": LR, **FEEDBACK},
        optimizer=f"AdaBreg({GROUPS}, lr={{lr:g}})",
        before=SPARSE,
        does="starts sparse; after every step λ rises while the model is too dense and falls while it is too sparse.",
    ),
    "adabreg_budget": Method(
        "AdaBreg, sparsity budget",
        adabreg_budget,
        {"lr": LR, "ratio": (5.0,), "rise": (0.0, 0.03, 0.06)},
        optimizer=f"AdaBreg({GROUPS}, lr={{lr:g}})",
        does="starts dense; an exact cap on the survivors, room for the dead to return, and a λ that rises meanwhile.",
    ),
}
EXTRAS: dict[str, Method] = {
    "one_shot": Method(
        "one shot, then fine-tuning",
        one_shot,
        {"lr": LR, "at": ("0.6dur",)},
        optimizer=ADAM,
        does="trains dense, prunes once over all layers, fine-tunes.",
    ),
    "gradual_erdos_renyi": Method(
        "gradual magnitude, Erdős–Rényi",
        gradual_erdos_renyi,
        {"lr": LR, "end": ("0.7dur",)},
        optimizer=ADAM,
        does="follows the cubic ramp of Zhu and Gupta (2017), shared among layers by Erdős and Rényi's rule.",
    ),
}
THRESHOLDS = (0.02, 0.05, 0.12, 0.3, 0.7)
TORCHAO: dict[str, Method] = {
    "torchao_lasso": Method(
        "torchao PruneOptimizer, ProxLasso", torchao_lasso, {"lr": LR, "threshold": THRESHOLDS}, strength="threshold"
    ),
    "torchao_count": Method("torchao PruneOptimizer, GlobalMinSparsityConstraint", torchao_count, {"lr": LR}),
}
METHODS |= TORCHAO | EXTRAS


def runnable() -> dict[str, Method]:
    """Return the methods that can run here: all, or those without torchao."""
    try:
        import torchao.prototype.pat  # noqa: F401
    except ImportError as error:
        print(f"the rows of torchao are left out: {error}", file=sys.stderr)
        return {name: method for name, method in METHODS.items() if name not in TORCHAO}
    return METHODS
