"""Rewinding beyond its laws: torch's schedules, tensors as learning rates, duals, and what is refused."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from prunus import checkpoints
from prunus.errors import CheckpointError, RunError, SettingError
from prunus.iterative import Rewinder
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1
from tests import models
from tests.laws.iterative import same, snapshot

SCHEDULES = {
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 20),
    "linear": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=6),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=30),
    "sequential": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.8)], [3]
    ),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
}


def rates(optimizer, schedule, steps):
    """What a schedule moves, over some steps."""
    found = []
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append({key: copy.copy(optimizer.param_groups[0].get(key)) for key in ("lr", "momentum", "betas")})
    return found


OPTIMIZERS = {
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.1),
}


@pytest.mark.parametrize("rewind", ["lr", "weights"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_schedule_runs_again_from_the_point(kind, name, rewind, tmp_path):
    model = models.mlp()
    optimizer = OPTIMIZERS[kind](model)
    schedule, rewinder = SCHEDULES[name](optimizer), Rewinder(rewind)
    rates(optimizer, schedule, 2)
    rewinder.capture(model, optimizer, schedule)
    here = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    first = rates(optimizer, schedule, 8)
    checkpoints.write(tmp_path / "point.ckpt", rewinder.state_dict())
    for again in (rewinder, Rewinder(rewind)):
        again.load_state_dict(checkpoints.read(tmp_path / "point.ckpt"))
        again.restore(model, optimizer, schedule)
        assert {key: optimizer.param_groups[0][key] for key in here} == here
        assert rates(optimizer, schedule, 8) == first


def test_a_plateau_is_forgotten():
    model = models.mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule, rewinder = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0), Rewinder("lr")
    rewinder.capture(model, optimizer, schedule)
    for loss in (1.0, 2.0, 2.0):
        schedule.step(loss)
    assert optimizer.param_groups[0]["lr"] < 0.1
    rewinder.restore(model, optimizer, schedule)
    assert (optimizer.param_groups[0]["lr"], schedule.best, schedule.num_bad_epochs) == (0.1, float("inf"), 0)


def test_a_learning_rate_tensor_stays_the_same_tensor():
    model = models.mlp()
    optimizer, rewinder = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1)), Rewinder("lr")
    rewinder.capture(model, optimizer)
    rate = optimizer.param_groups[0]["lr"]
    rate.fill_(0.001)
    rewinder.restore(model, optimizer)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.1)


def test_duals_go_back_with_the_weights_and_lambda_stays_live():
    model = models.mlp()
    optimizer = AdaBreg(model.parameters(), lr=0.01, reg=RegL1(0.1))
    rewinder = Rewinder("weights")

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.ones(2, 8)).square().sum().backward()
            optimizer.step()

    train(2)
    rewinder.capture(model, optimizer)
    point = snapshot([model, optimizer])
    regularizer = optimizer.param_groups[0]["reg"]
    train(3)
    rewinder.restore(model, optimizer)
    assert same(snapshot([model, optimizer]), point)
    assert optimizer.param_groups[0]["reg"].lamda == regularizer.lamda == 0.1


def test_running_statistics_and_shared_weights_go_back():
    for model in (models.normed(), models.Tied()):
        rewinder, before = Rewinder("weights"), copy.deepcopy(model.state_dict())
        rewinder.capture(model)
        for value in model.state_dict().values():
            value.add_(1)
        rewinder.restore(model)
        assert same(dict(model.state_dict()), dict(before))


def parts():
    model = models.mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return {"optimizer": optimizer, "lr_scheduler": lr_scheduler.StepLR(optimizer, 1), "model": model}


@pytest.mark.parametrize(
    ("captured", "restored", "said"),
    [
        ({"optimizer"}, {"optimizer", "lr_scheduler"}, "captured without lr_scheduler=, but is to be restored with it"),
        ({"optimizer", "lr_scheduler"}, {"optimizer"}, "captured with lr_scheduler=, but is to be restored without it"),
        ({"optimizer"}, set(), "captured with optimizer="),
    ],
)
def test_the_parts_must_be_the_same(captured, restored, said):
    rewinder, every = Rewinder("weights"), parts()
    rewinder.capture(every["model"], **{name: every[name] for name in captured})
    with pytest.raises(RunError, match=said):
        rewinder.restore(every["model"], **{name: every[name] for name in restored})


def test_another_model_or_optimizer_is_refused_and_stays():
    rewinder, every = Rewinder("weights"), parts()
    rewinder.capture(every["model"], every["optimizer"])
    other = nn.Sequential(nn.Linear(8, 15), nn.ReLU(), nn.Linear(15, 4))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(CheckpointError, match=r"(?s)of another model.*'0\.weight' has shape \(16, 8\)"):
        rewinder.restore(other, every["optimizer"])
    assert same(dict(other.state_dict()), dict(before))
    first, second = list(every["model"].parameters())[:2], list(every["model"].parameters())[2:]
    grouped = torch.optim.SGD([{"params": first}, {"params": second}], lr=0.1)
    with pytest.raises(CheckpointError, match="1 parameter groups, the optimizer 2"):
        rewinder.restore(every["model"], grouped)


@pytest.mark.parametrize("mode", ["learning_rate", "Weights", True, 1])
def test_unknown_modes_are_refused(mode):
    with pytest.raises(SettingError, match="rewind is"):
        Rewinder(mode)


def test_lr_needs_the_optimizer():
    with pytest.raises(SettingError, match="needs the optimizer"):
        Rewinder("lr").capture(models.mlp())


def test_a_point_of_another_mode_is_refused():
    with pytest.raises(CheckpointError, match="rewind 'weights', this one is 'lr'"):
        Rewinder("lr").load_state_dict(Rewinder("weights").state_dict())
    with pytest.raises(CheckpointError):
        Rewinder("lr").load_state_dict({"rewind": "lr"})
