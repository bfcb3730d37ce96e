"""Cycles of pruning: the documented behaviour, exact counts, and resuming in any cycle."""

import copy
import warnings

import pytest
import torch
from torch import nn

from prunus import checkpoints
from prunus.errors import CheckpointError, NoEffect, RunError, SelectionError, SettingError
from prunus.iterative import IterativeMagnitudePruner, MagnitudePruner
from prunus.keep import pruned_count
from prunus.scopes import Global
from tests.twins import iterative as twin

WIDTH = 32
LAYERS = ["fc1", "fc2", "output_proj"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.output_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.output_proj(self.fc2(self.fc1(x).relu()))


def quiet(*settings, **options):
    def never(line):
        raise AssertionError(f"said {line!r} although verbose was False")

    return IterativeMagnitudePruner(*settings, **options, echo=never)


def step(pruner, model, **parts):
    return pruner.prune_step(model, verbose=False, **parts)


# The seven behaviours that document 003's own tests assert.


def test_a_threshold_alone_prunes_and_remembers_masks():
    pruner = MagnitudePruner(threshold=0.01)
    stats = pruner.prune_model(Net(), verbose=False)
    assert list(stats) == list(pruner.masks) == LAYERS
    assert all(count > 0 for count in stats.values())


def test_half_is_half_of_every_layer():
    model, pruner = Net(), MagnitudePruner()
    pruner.prune_model(model, sparsity=0.5, verbose=False)
    assert pruner.get_model_sparsity(model) == dict.fromkeys(LAYERS, 0.5)


def test_zeros_survive_a_training_step():
    model, pruner = Net(), MagnitudePruner()
    pruner.prune_model(model, sparsity=0.5, verbose=False)
    before = [weight == 0 for weight in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model(torch.randn(4, WIDTH)).sum().backward()
    optimizer.step()
    pruner.apply_masks(model)
    assert all(torch.equal(weight == 0, zero) for weight, zero in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("initial", "final", "cycles"), [(0.2, 0.8, 5), (0.2, 0.7, 3), (0.1, 0.999, 17), (0.3, 0.3, 2)]
)
def test_levels_grow_by_one_factor_to_exactly_the_last(initial, final, cycles):
    levels = IterativeMagnitudePruner(initial, final, cycles).sparsity_schedule
    assert levels == pytest.approx(twin.levels(initial, final, cycles), rel=1e-12)
    assert levels[0] >= initial
    assert levels[-1] == final == max(levels)
    assert levels == sorted(levels)


def test_the_default_levels_are_the_documented_ones():
    assert IterativeMagnitudePruner().sparsity_schedule == pytest.approx(
        [0.2639, 0.3482, 0.4595, 0.6063, 0.8], abs=5e-5
    )


def test_patterns_choose_layers():
    model = Net()
    assert IterativeMagnitudePruner(prune_layers=["output_proj", "fc"]).layer_names(model) == LAYERS
    assert IterativeMagnitudePruner(prune_layers=["fc"]).layer_names(model) == ["fc1", "fc2"]
    assert IterativeMagnitudePruner(prune_layers=["*2", "output_proj"]).layer_names(model) == ["fc2", "output_proj"]
    assert IterativeMagnitudePruner().layer_names(model) == LAYERS


def test_a_step_returns_the_documented_keys_and_counts_itself():
    model, pruner = Net(), quiet()
    stats = step(pruner, model)
    assert list(stats) == ["iteration", "target_sparsity", "pruning_stats", "sparsity_stats", "avg_sparsity"]
    assert (stats["iteration"], stats["target_sparsity"]) == (0, pruner.sparsity_schedule[0])
    assert (pruner.current_iteration, pruner.history) == (1, [stats])


def test_the_summary_after_two_of_two():
    model, pruner = Net(), quiet(0.2, 0.6, 2)
    assert pruner.get_pruning_summary() == {}
    model.fc1.weight.data[0] = 0.0
    step(pruner, model)
    last = step(pruner, model)
    summary = pruner.get_pruning_summary()
    assert list(summary) == [
        "num_iterations",
        "initial_sparsity",
        "final_sparsity",
        "target_final_sparsity",
        "history",
    ]
    assert (summary["num_iterations"], summary["target_final_sparsity"]) == (2, 0.6)
    assert summary["initial_sparsity"] == WIDTH / (5 * WIDTH * WIDTH)
    assert summary["final_sparsity"] == last["avg_sparsity"] == pytest.approx(0.6, abs=1e-3)
    summary["history"].clear()
    assert len(pruner.history) == 2


# What the original got wrong.


def test_every_cycle_is_exact_and_tightens():
    model, pruner = Net(), quiet(0.3, 0.95, 4)
    dead = {name: torch.zeros(()).bool() for name in LAYERS}
    for level in pruner.sparsity_schedule:
        stats = step(pruner, model)
        for name, layer in model.named_children():
            count = pruned_count(level, layer.weight.numel())
            assert stats["pruning_stats"][name] == count == int((layer.weight == 0).sum())
            assert not (dead[name] & (layer.weight != 0)).any()
            dead[name] = layer.weight == 0
            layer.weight.data.normal_()
        pruner.train_step_with_mask(model)
        assert all(torch.equal(layer.weight == 0, dead[name]) for name, layer in model.named_children())


def test_the_average_is_weighted_by_size():
    model = nn.Sequential(nn.Linear(100, 100), nn.Linear(100, 1))
    pruner = quiet(0.5, 0.5, 1, scope=Global())
    model[1].weight.data.fill_(9.0)
    stats = step(pruner, model)
    assert stats["sparsity_stats"] == {"0": 5050 / 10000, "1": 0.0}
    assert stats["avg_sparsity"] == 0.5


def test_after_the_last_cycle_nothing_happens_and_it_is_said():
    model, lines = Net(), []
    pruner = IterativeMagnitudePruner(num_iterations=1, echo=lines.append)
    step(pruner, model)
    before = copy.deepcopy(model.state_dict())
    with pytest.warns(NoEffect, match="all 1 iterations are done"):
        assert pruner.prune_step(model) == {}
    with pytest.warns(NoEffect):
        assert step(pruner, model) == {}
    assert lines == ["All pruning iterations complete"]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert pruner.current_iteration == len(pruner.history) == 1


@pytest.mark.parametrize(
    ("settings", "options", "error", "said"),
    [
        ((0.0, 0.8), {}, SettingError, "no factor grows out of zero"),
        ((0.8, 0.2), {}, SettingError, "final_sparsity is 0.2, expected at least"),
        ((0.2, 1.2), {}, SettingError, "final"),
        ((20, 80), {}, SettingError, "for 80 % write 0.8"),
        ((0.2, 0.8, 0), {}, SettingError, "num_iterations is 0"),
        ((0.2, 0.8, 2.0), {}, SettingError, "num_iterations is 2.0"),
        ((), {"prune_layers": "fc"}, SelectionError, r"\['fc'\]"),
        ((), {"prune_layers": []}, SelectionError, "empty"),
        ((), {"rewind": "weight"}, SettingError, "Did you mean 'weights'"),
    ],
)
def test_settings_are_refused(settings, options, error, said):
    with pytest.raises(error, match=said):
        IterativeMagnitudePruner(*settings, **options)


def test_a_pattern_without_a_layer_is_an_error_and_prunes_nothing():
    model, pruner = Net(), quiet(prune_layers=["fc", "output_porj"])
    with pytest.raises(SelectionError, match="'output_porj' matches no layer. Did you mean 'output_proj'"):
        step(pruner, model)
    assert not any((weight == 0).any() for weight in model.parameters())
    assert pruner.current_iteration == 0


def test_the_documented_lines(capsys):
    model = nn.ModuleDict({"fc": nn.Linear(10, 10), "output_proj": nn.Linear(10, 2)})
    IterativeMagnitudePruner(0.2, 0.8, 2, ["fc"]).prune_step(model)
    said = [
        "=" * 60,
        "ITERATIVE PRUNING - Iteration 1/2",
        "Target sparsity: 40.0%",
        "=" * 60,
        "Pruning 1 layers matching patterns: ['fc']",
        "",
        "Pruning layer: fc",
        "Pruned 40/100 weights (40.00%)",
        "",
        "Average sparsity: 40.00%",
        "Total weights pruned: 40",
    ]
    assert capsys.readouterr().out.splitlines() == said


# Rewinding, against loops over plain numbers.

CURVATURE = [0.5, 1.0, 1.5, 2.0, 0.7, 1.1, 0.9, 1.3]
GOAL = [0.9, -0.1, 0.4, -0.7, 0.05, 0.3, -0.2, 0.6]
PROBLEM = {"lr": 0.2, "momentum": 0.5, "drop": 4}


class Quadratic(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.layer = nn.Linear(len(start), 1, bias=False, dtype=torch.float64)
        self.layer.weight.data = torch.tensor([start], dtype=torch.float64)

    def loss(self):
        curvature, goal = torch.tensor([CURVATURE, GOAL], dtype=torch.float64)
        return 0.5 * (curvature * (self.layer.weight[0] - goal).square()).sum()


def training(start):
    model = Quadratic(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=PROBLEM["lr"], momentum=PROBLEM["momentum"])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [PROBLEM["drop"]], gamma=0.1)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model.loss().backward()
            optimizer.step()
            schedule.step()

    return model, optimizer, schedule, train


@pytest.mark.parametrize("rewind", [None, "lr", "weights"])
def test_cycles_equal_the_twin(rewind):
    start = [0.1 * i - 0.4 for i in range(8)]
    model, optimizer, schedule, train = training(start)
    pruner = quiet(0.25, 0.75, 3, rewind=rewind)
    pruner.attach(model, optimizer)
    train(2)
    pruner.capture(model, optimizer, schedule)
    train(6)
    expected = twin.cycles(
        start, pruner.sparsity_schedule, rewind, point=2, steps=6, curvature=CURVATURE, goal=GOAL, **PROBLEM
    )
    for weights in expected:
        step(pruner, model, optimizer=optimizer, lr_scheduler=schedule)
        train(6)
        assert model.layer.weight[0].tolist() == pytest.approx(weights, rel=1e-12, abs=1e-14)


def test_the_three_ways_differ():
    start = [0.1 * i - 0.4 for i in range(8)]
    ways = [
        list(twin.cycles(start, [0.25, 0.5], way, point=2, steps=6, curvature=CURVATURE, goal=GOAL, **PROBLEM))
        for way in (None, "lr", "weights")
    ]
    assert ways[0] != ways[1] != ways[2] != ways[0]


def test_pruning_looks_at_the_trained_weights_and_keeps_the_early_ones():
    model = nn.Linear(2, 1, bias=False)
    pruner = quiet(0.5, 0.5, 1, rewind="weights")
    model.weight.data = torch.tensor([[1.0, 2.0]])
    pruner.capture(model)
    model.weight.data = torch.tensor([[4.0, 3.0]])
    step(pruner, model)
    assert model.weight.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("rewind", ["lr", "weights"])
def test_rewinding_without_a_point_prunes_nothing(rewind):
    model, optimizer, schedule, _ = training([1.0, 2.0])
    pruner = quiet(rewind=rewind)
    with pytest.raises(RunError, match="no point was captured"):
        step(pruner, model, optimizer=optimizer, lr_scheduler=schedule)
    assert (pruner.current_iteration, pruner.pruner.masks) == (0, {})


@pytest.mark.parametrize("rewind", [None, "lr", "weights"])
@pytest.mark.parametrize("stop", [1, 5, 9, 17, 23])
def test_a_run_killed_in_any_cycle_ends_in_the_same_bits(tmp_path, rewind, stop):
    def run(first, last, load=None):
        model, optimizer, schedule, train = training([0.1 * i - 0.4 for i in range(8)])
        pruner = quiet(0.25, 0.75, 3, rewind=rewind)
        pruner.attach(model, optimizer)
        if load:
            extra = checkpoints.load_run(load, model=model, optimizer=optimizer, scheduler=pruner)
            schedule.load_state_dict(extra)
        for time in range(first, last):
            if time == 2:
                pruner.capture(model, optimizer, schedule)
            if time in (8, 14, 20):
                step(pruner, model, optimizer=optimizer, lr_scheduler=schedule)
            train(1)
        checkpoints.save_run(
            tmp_path / f"{last}.ckpt", model=model, optimizer=optimizer, scheduler=pruner, extra=schedule.state_dict()
        )
        return model, pruner

    model, pruner = run(0, 26)
    run(0, stop)
    again, resumed = run(stop, 26, load=tmp_path / f"{stop}.ckpt")
    assert torch.equal(model.layer.weight, again.layer.weight)
    assert resumed.history == pruner.history
    assert resumed.get_pruning_summary() == pruner.get_pruning_summary()
    assert resumed.pruner.pruning_history == pruner.pruner.pruning_history


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"final_sparsity": 0.9}, "final_sparsity was 0.8, is 0.9"),
        ({"rewind": None}, "rewind was 'lr', is None"),
        ({"prune_layers": ["fc"]}, r"prune_layers was None, is \['fc'\]"),
        ({"scope": Global()}, r"scope was 'PerLayer\(\)', is 'Global\(\)'"),
    ],
)
def test_the_state_of_other_settings_is_refused(other, said):
    pruner = quiet(rewind="lr")
    with pytest.raises(CheckpointError, match=said):
        quiet(**{"rewind": "lr", **other}).load_state_dict(pruner.state_dict())


def test_a_damaged_state_changes_nothing():
    pruner, model = quiet(), Net()
    step(pruner, model)
    before = pruner.state_dict()
    for key in before:
        with pytest.raises(CheckpointError):
            pruner.load_state_dict({name: value for name, value in before.items() if name != key})
    with pytest.raises(CheckpointError, match="damaged"):
        pruner.load_state_dict(
            {**before, "history": [], "pruner": {"masks": {"fc1.weight": {}}, "pruning_history": []}}
        )
    assert pruner.current_iteration == len(pruner.history) == 1
    assert torch.equal(pruner.pruner.masks["fc1"], model.fc1.weight != 0)


def test_without_rewinding_capturing_is_neutral():
    model, optimizer, schedule, _ = training([1.0, 2.0])
    pruner = quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruner.capture(model, optimizer, schedule)
    assert pruner.state_dict()["rewinder"] == {"rewind": None, "point": {}}
