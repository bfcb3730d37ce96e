"""Adaptive: its pace is that of a plain twin, it resumes anywhere, and it says when it did not arrive."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from random import Random as Random_
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prunus import recipes
from prunus.actions import Adaptive, Prune, Regularize, Rewire, SetLR, Steer
from prunus.actions._pace import Pace
from prunus.criteria import Gradient, Random
from prunus.errors import NoEffect, RecipeError, SettingError
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear
from prunus.steering import LambdaScheduler
from prunus.structures import Row
from prunus.window import Window
from tests.models import mlp
from tests.twins import sensitivity as twin

METRICS = st.lists(st.one_of(st.none(), st.just(math.nan), st.integers(0, 20).map(lambda n: n / 20)), min_size=1)
CHOICES: dict[str, list[Any]] = {
    "budget": [0.0, 0.05, 0.3],
    "step": [0.125, 0.3, 1.0],
    "back_off": [0.0, 0.5, 1.0],
    "patience": [0, 1, 2, 3],
    "mode": ["max", "min"],
    "reference": [None, 0.5],
}
SETTINGS = st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in CHOICES.items()})


def told(value: float | None) -> dict[str, float]:
    return {} if value is None else {"accuracy": value}


def run(policy: Any, metrics: list[float | None]) -> list[float]:
    """Return the progress at which each epoch begins."""
    scheduler = CompressionScheduler(nn.Linear(10, 10), [policy])
    path = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        for epoch in scheduler.epochs(len(metrics)):
            path.append(scheduler.metrics()["adaptive_progress"])
            scheduler.epoch_end(told(metrics[epoch]))
    return path


@settings(max_examples=15)
@given(METRICS, SETTINGS)
def test_the_pace_is_that_of_the_twin(metrics: list[float | None], chosen: dict[str, Any]) -> None:
    adaptive = Adaptive(Prune(Linear(0.9)), "accuracy", **chosen)
    assert run(adaptive, metrics) == pytest.approx(twin.pace(metrics, **chosen))


def law_the_pace_is_that_of_the_twin(kind: type[Pace]) -> None:
    """Many short histories, without a model; the planted paces of tests/broken go through it."""
    random = Random_(3)
    for _ in range(400):
        metrics = [random.choice([None, math.nan, *(n / 20 for n in range(21))]) for _ in range(random.randint(1, 9))]
        settings: dict[str, Any] = {name: random.choice(choices) for name, choices in CHOICES.items()}
        pace, path = kind(step=settings["step"]), []
        for value in metrics:
            pace.move(**{name: setting for name, setting in settings.items() if name != "step"})
            path.append(pace.progress)
            if value is not None:
                pace.take(value, settings["mode"])
        assert path == pytest.approx(twin.pace(metrics, **settings))


def test_the_law_of_the_pace() -> None:
    law_the_pace_is_that_of_the_twin(Pace)


@settings(max_examples=15)
@given(METRICS, SETTINGS)
def test_masks_only_tighten_and_hold_exactly_the_level_of_the_schedule(
    metrics: list[float | None], chosen: dict[str, Any]
) -> None:
    schedule, model = Cubic(0.9, 0.1), nn.Linear(10, 10)
    scheduler = CompressionScheduler(model, [Adaptive(Prune(schedule), "accuracy", **chosen)])
    before = torch.ones(10, 10, dtype=torch.bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        for epoch in scheduler.epochs(len(metrics)):
            mask = scheduler.masks["weight"]
            assert not (mask & ~before).any()
            assert int((~mask).sum()) == math.floor(100 * schedule(scheduler.metrics()["adaptive_progress"]) + 1e-9)
            before = mask
            scheduler.epoch_end(told(metrics[epoch]))


def test_ten_tenths_are_the_whole() -> None:
    assert run(Adaptive(Prune(Linear(0.9)), "accuracy", budget=1.0), [0.5] * 12)[-2:] == [1.0, 1.0]


def test_by_hand() -> None:
    """Hold while the accuracy is more than 0.02 below its best; halve the step once for each stretch of that."""
    accuracies: list[float | None] = [0.90, 0.91, 0.88, 0.88, 0.89, 0.95, 0.94, math.nan, 0.94]
    expected = [0.0, 0.4, 0.8, 0.8, 0.8, 1.0, 1.0, 1.0, 1.0]
    assert run(Adaptive(Prune(Linear(0.9)), "accuracy", 0.02, step=0.4), accuracies) == pytest.approx(expected)


def test_epochs_before_the_window_make_the_reference_and_only_new_metrics_count() -> None:
    policy = Policy(Adaptive(Prune(Linear(0.9)), "accuracy", 0.05, step=0.5), Window(2, 9, frequency=2))
    metrics = [0.9, 0.8, 0.7, 0.86, None, None, 0.86, 0.86, 0.86]
    #          best      first firing at 2; at 4 the last metric counts; at 6 there is no new one; at 8 there is
    assert run(policy, metrics) == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1.0]


def test_in_a_window_of_steps_each_metric_is_judged_once() -> None:
    """A criterion that needs gradients fires between them and the update."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    adaptive = Adaptive(Prune(Linear(0.8), Gradient()), "loss", 10.0, mode="min", step=0.5)
    policy = Policy(adaptive, Window(unit="step"))
    scheduler = CompressionScheduler(model, [policy], optimizer=optimizer, steps_per_epoch=3)
    path = []
    for _ in scheduler.epochs(3):
        for _ in range(3):
            scheduler.loss(model(torch.ones(2, 8)).square().sum()).backward()
            optimizer.step()
            path.append(scheduler.metrics()["adaptive_progress"])
        scheduler.epoch_end({"loss": 1.0})
    assert path == [0, 0, 0, 0.5, 0.5, 0.5, 1, 1, 1]


def train(metrics: list[float], stop: int | None = None, state: Any = None) -> Any:
    """Train for a few epochs under noise-free settings; return the state, after ``stop`` epochs when that is given."""
    torch.manual_seed(1)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    adaptive = Adaptive(Prune(Linear(0.9), Random(), Row(), seed=3), "accuracy", 0.02, step=0.3, patience=1)
    scheduler = CompressionScheduler(model, [adaptive], optimizer=optimizer, steps_per_epoch=2)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
    for epoch in scheduler.epochs(len(metrics)):
        for step in range(2):
            generator = torch.Generator().manual_seed(10 * epoch + step)
            loss = model(torch.rand(4, 8, generator=generator)).square().sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        scheduler.epoch_end({"accuracy": metrics[epoch]})
        if stop == epoch + 1:
            break
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from flat(entry)
    elif isinstance(value, (list, tuple)):
        yield from itertools.chain.from_iterable(map(flat, value))
    else:
        yield value.tolist() if isinstance(value, torch.Tensor) else value


@pytest.mark.filterwarnings("ignore:Adaptive")
@pytest.mark.parametrize("stop", range(1, 8))
def test_a_run_that_was_stopped_after_any_epoch_ends_bit_for_bit_the_same(stop: int, tmp_path: Any) -> None:
    metrics = [0.9, 0.9, 0.85, 0.84, 0.89, 0.8, 0.9, 0.9]
    whole = train(metrics)
    torch.save(train(metrics, stop), tmp_path / "run.pt")
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    assert list(flat(train(metrics, state=state))) == list(flat(whole))


def test_a_recipe_says_it_and_comes_back() -> None:
    text = """version: 1
policies:
- adaptive:
    action:
      prune:
        schedule:
          linear: {final: 0.9}
        structure: filter
    metric: accuracy
    budget: 0.01
    patience: 2
  window: {start: 2}
"""
    policies = recipes.load(text)
    again = recipes.load(recipes.dump(policies))
    assert policies == again and isinstance(policies[0].action, Adaptive) and policies[0].action.patience == 2
    with pytest.raises(RecipeError, match="Did you mean 'prune'"):
        recipes.load(text.replace("prune:", "prun:"))
    with pytest.raises(RecipeError, match="Did you mean 'budget'"):
        recipes.load(text.replace("budget:", "buget:"))


def test_other_actions_with_a_schedule_are_moved_too() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    slow = Adaptive(SetLR(Linear(initial=1.0, final=0.0)), "accuracy", 0.1, step=0.5)
    scheduler = CompressionScheduler(model, [slow], optimizer=optimizer, steps_per_epoch=1)
    rates = []
    for _ in scheduler.epochs(3):
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.epoch_end({"accuracy": 0.5})
    assert rates == pytest.approx([0.4, 0.2, 0.0])
    with pytest.raises(SettingError, match="two policies move the learning rate"):
        both = [slow, SetLR(Linear(initial=1.0, final=0.0))]
        CompressionScheduler(mlp(), both, optimizer=optimizer, steps_per_epoch=1, epochs=2).epoch_begin()


def test_a_metric_that_never_came_is_named_with_the_nearest_one() -> None:
    scheduler = CompressionScheduler(mlp(), [Adaptive(Prune(Linear(0.9)), "acuracy", 0.1)])
    with pytest.warns(NoEffect, match=r"Adaptive\(Prune\) never moved, .* 'acuracy'. Did you mean 'accuracy'"):
        for _ in scheduler.epochs(2):
            scheduler.epoch_end({"accuracy": 0.9, "loss": 1.0})


def test_a_level_out_of_reach_is_said() -> None:
    scheduler = CompressionScheduler(mlp(), [Adaptive(Prune(Linear(0.9)), "accuracy", 0.1, step=0.5)])
    with pytest.warns(NoEffect, match="went 50% of the way: accuracy was out of the budget at 2 of 4 firings"):
        for epoch in scheduler.epochs(4):
            scheduler.epoch_end({"accuracy": [0.9, 0.5, 0.5, 0.9][epoch]})


def test_a_window_with_too_few_firings_for_its_steps_is_said() -> None:
    scheduler = CompressionScheduler(mlp(), [Adaptive(Prune(Linear(0.9)), "accuracy", 0.1, step=0.5)])
    with pytest.warns(NoEffect, match="went 50% of the way: 2 firings are too few for steps of 0.5; widen the window"):
        for _ in scheduler.epochs(2):
            scheduler.epoch_end({"accuracy": 0.9})


def test_a_run_that_arrives_says_nothing() -> None:
    scheduler = CompressionScheduler(nn.Linear(10, 10), [Adaptive(Prune(Linear(0.9)), "accuracy", 0.1, step=1.0)])
    for _ in scheduler.epochs(2):
        scheduler.epoch_end({"accuracy": 0.9})
    assert scheduler.sparsity() == 0.9


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("action is 'prune'", {"action": "prune"}),
    ("action is Regularize", {"action": Regularize(RegL1(0.1))}),
    ("action is Steer", {"action": Steer(LambdaScheduler())}),
    ("action is Adaptive", {"action": Adaptive(Prune(Linear(0.9)), "accuracy", 0.1)}),
    ("metric is ''", {"metric": ""}),
    ("metric is 3", {"metric": 3}),
    ("budget is -0.1", {"budget": -0.1}),
    ("budget is nan", {"budget": math.nan}),
    ("mode is 'maximum'.*Did you mean 'max'", {"mode": "maximum"}),
    ("step is 0", {"step": 0.0}),
    ("step is 2", {"step": 2}),
    ("back_off is 1.5", {"back_off": 1.5}),
    ("patience is 0.5", {"patience": 0.5}),
    ("reference is nan", {"reference": math.nan}),
]


@pytest.mark.parametrize(("message", "settings"), WRONG, ids=[message for message, _ in WRONG])
def test_wrong_settings_are_refused(message: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=message):
        Adaptive(**{"action": Prune(Linear(0.9)), "metric": "accuracy", "budget": 0.1, **settings})


def test_rewiring_may_be_held_too() -> None:
    assert Adaptive(Rewire(), "accuracy", 0.1).unit == "step"
