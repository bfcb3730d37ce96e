"""One recipe, many ways in: text, mapping and code, through a plain loop, Lightning and Hugging Face's Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prunus import recipes
from prunus.actions import Prune, Regularize, Rewire, SetLR, Steer
from prunus.criteria import Random
from prunus.integrations.lightning import Compression
from prunus.integrations.loop import ResumableLoader
from prunus.policy import Policy
from prunus.recipes.distiller import DistillerScheduler, PrunerArgs, PruningPolicy, lr_schedulers, pruners, regularizers
from prunus.recipes.faults import Report
from prunus.recipes.nodes import Node
from prunus.recipes.text import parse
from prunus.regularizers import GroupLasso
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear, OneShot
from prunus.scopes import PerLayer
from prunus.select import Select
from prunus.steering import SparsityBudget
from prunus.structures import Row
from prunus.window import Window
from tests.e2e import hf_runs
from tests.e2e.comparing import differences
from tests.e2e.runs import BATCH, DISTILLER, EPOCHS, Module, data, network, optimizer_of, trainer_for

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
]

GRADUAL = """
version: 1
variables: {final: 0.75}
schedules:
  ramp: {cubic: {final: $final}}
selects:
  first: {include: ["*1.weight"]}
windows:
  early: {start: 2, end: 0.6dur, frequency: 3, unit: step}
policies:
  - prune: {schedule: $ramp, select: $first}
    window: $early
  - prune: {schedule: {one_shot: {final: 0.5}}, structure: row, scope: per_layer, select: $first}
    window: {start: 2, end: 3}
  - regularize: {regularizer: {group_lasso: {lamda: 0.001, structure: row}}, select: $first}
    window: {end: 0.5dur}
  - set_lr: {schedule: {linear: {initial: 1, final: 0.25}}}
"""
MOVING = """
version: 1
policies:
  - prune: {schedule: {one_shot: {final: 0.8}}, criterion: random, seed: 3}
    window: {end: 1}
  - rewire: {grow: random, seed: 4}
    window: {start: 3, end: 0.75dur, frequency: 2, unit: step}
"""
BUDGET = """
version: 1
policies:
  - steer: {steering: {budget: {target: 0.8, period: 3}}}
"""


def gradual() -> list[Any]:
    first = Select(("*1.weight",))
    rows = Prune(OneShot(0.5), structure=Row(), scope=PerLayer(), select=first)
    return [
        Policy(Prune(Cubic(0.75), select=first), Window(2, "0.6dur", 3, "step")),
        Policy(rows, Window(2, 3)),
        Policy(Regularize(GroupLasso(0.001, Row()), first), Window(end="0.5dur")),
        SetLR(Linear(initial=1.0, final=0.25)),
    ]


def moving() -> list[Any]:
    start = Policy(Prune(OneShot(0.8), Random(), seed=3), Window(end=1))
    return [start, Policy(Rewire(grow=Random(), seed=4), Window(3, "0.75dur", 2, "step"))]


def budget() -> list[Any]:
    return [Steer(SparsityBudget(0.8, period=3))]


def distiller() -> DistillerScheduler:
    model = network()
    scheduler = DistillerScheduler(model, optimizer_of("adam", model))
    inside = PrunerArgs(
        mask_on_forward_only=True, use_double_copies=True, keep_mask=True, mini_batch_pruning_frequency=3
    )
    gradual = pruners.AutomatedGradualPruner(0.1, 0.75, ("1.weight",))
    half = PruningPolicy(pruners.SparsityLevelParameterPruner({"4.weight": 0.5}), inside)
    scheduler.add_policy(gradual, starting_epoch=0, ending_epoch=4)
    scheduler.add_policy(half, epochs=[1, 2])
    scheduler.add_policy(regularizers.L1Regularizer({"1.weight": 0.001}), starting_epoch=0, ending_epoch=3)
    scheduler.add_policy(lr_schedulers.MultiStepLR([2], 0.5), starting_epoch=0, ending_epoch=4)
    return scheduler


CASES = {
    "gradual": (GRADUAL, gradual, "adam"),
    "moving": (MOVING, moving, "adam"),
    "budget": (BUDGET, budget, "adabreg"),
}


def as_mapping(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: as_mapping(pair.value) for name, pair in node.value.items()}
    return [as_mapping(item) for item in node.value] if isinstance(node.value, list) else node.value


def in_a_loop(source: Any, optimizer_name: str) -> dict[str, Any]:
    """A scheduler that is ready brings its model and optimizer."""
    ready = isinstance(source, CompressionScheduler)
    model = source.model if ready else network()
    optimizer = source.optimizer if ready else optimizer_of(optimizer_name, model)
    loader = ResumableLoader(*data(), batch_size=BATCH, seed=3)
    scheduler = recipes.opened(source).scheduler(model, optimizer, steps_per_epoch=len(loader))
    torch.manual_seed(11)
    for _ in scheduler.epochs(EPOCHS):
        for x, y in loader:
            scheduler.step_begin()
            scheduler.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            optimizer.zero_grad()
    return found(dict(model.named_parameters()), scheduler)


class Given(Module):
    """A module that trains what the scheduler was made for."""

    def __init__(self, scheduler: CompressionScheduler) -> None:
        super().__init__("adam")
        self.net, self.given = scheduler.model, scheduler.optimizer

    def configure_optimizers(self) -> Any:
        return self.given


def in_lightning(source: Any, optimizer_name: str, folder: Path, root: str = "net") -> dict[str, Any]:
    callback = Compression(source, root=root)
    module = Given(source) if isinstance(source, CompressionScheduler) else Module(optimizer_name)
    loader = ResumableLoader(*data(), batch_size=BATCH, seed=3)
    trainer_for(folder, [callback], enable_checkpointing=False).fit(module, loader)
    assert callback.scheduler is not None
    return found(dict(module.net.named_parameters()), callback.scheduler)


def in_transformers(source: Any, optimizer_name: str, folder: Path, root: str = "net") -> dict[str, Any]:
    callback = hf_runs.Compression(source, root=root)
    trainer = hf_runs.trainer_for(folder, optimizer_name, [callback])
    torch.manual_seed(11)
    trainer.train()
    assert callback.scheduler is not None
    return found(dict(trainer.model.net.named_parameters()), callback.scheduler)


def found(weights: dict[str, Tensor], scheduler: CompressionScheduler) -> dict[str, Any]:
    masks = {name.removeprefix("net."): scheduler.masks[name] for name in scheduler.masks}
    sparsities = [row["sparsity"] for row in scheduler.history]
    return {"weights": {name: w.detach() for name, w in weights.items()}, "masks": masks, "sparsities": sparsities}


def unlike(one: dict[str, Any], others: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {way: different for way, other in others.items() if (different := list(differences(one, other)))}


@pytest.mark.parametrize("case", CASES)
def test_every_way_gives_the_same_bits(case: str, tmp_path: Path) -> None:
    text, in_code, optimizer_name = CASES[case]
    by_hand = in_a_loop(in_code(), optimizer_name)
    assert 0.3 < by_hand["sparsities"][-1] < 1.0
    ways = {
        "text": in_a_loop(recipes.load(text), optimizer_name),
        "mapping": in_a_loop(recipes.load(as_mapping(parse(text, "<text>", Report()))), optimizer_name),
        "written and read again": in_a_loop(recipes.load(recipes.load(text).to_yaml()), optimizer_name),
        "Lightning": in_lightning(text, optimizer_name, tmp_path, root=""),
        "Lightning, in code": in_lightning(in_code(), optimizer_name, tmp_path),
        "Hugging Face": in_transformers(text, optimizer_name, tmp_path, root=""),
        "Hugging Face, in code": in_transformers(in_code(), optimizer_name, tmp_path),
    }
    assert unlike(by_hand, ways) == {}


def test_every_way_of_a_distiller_schedule_gives_the_same_bits(tmp_path: Path) -> None:
    """Masks before the forward pass only, dense copies, a penalty and a learning rate."""
    by_hand = in_a_loop(distiller(), "adam")
    assert 0.3 < by_hand["sparsities"][-1] < 1.0
    ways = {
        "text": in_a_loop(DISTILLER, "adam"),
        "mapping": in_a_loop(as_mapping(parse(DISTILLER, "<text>", Report())), "adam"),
        "Lightning": in_lightning(DISTILLER, "adam", tmp_path),
        "Lightning, in code": in_lightning(distiller(), "adam", tmp_path),
        "Hugging Face": in_transformers(DISTILLER, "adam", tmp_path),
    }
    assert unlike(by_hand, ways) == {}


def test_the_comparison_notices_another_recipe() -> None:
    other = in_a_loop(recipes.load(GRADUAL, variables={"final": 0.7}), "adam")
    assert list(differences(in_a_loop(gradual(), "adam"), other))
    half = in_a_loop(DISTILLER.replace("gamma: 0.5", "gamma: 0.25"), "adam")
    assert list(differences(in_a_loop(DISTILLER, "adam"), half))
