"""Ranking by weights as they act once the batch norm behind them is folded in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import RecipeError, RunError
from prunus.recipes import distiller
from prunus.recipes.distiller import PrunerArgs, PruningPolicy
from prunus.recipes.distiller.folding import folded, norm_after
from prunus.recipes.distiller.pruners import L1RankedStructureParameterPruner
from prunus.select import targets


class Branching(nn.Module):
    """A convolution that two norms read; another that one norm and an addition read; one whose norm comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.norm1, self.norm2, self.norm3 = (nn.BatchNorm2d(2) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.norm1(x) + self.norm2(x)
        y = self.conv2(x)
        x = self.norm3(y) + y
        return self.conv3(x)


class Untraceable(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else x


def test_the_norm_is_the_only_reader() -> None:
    model = Branching()
    assert [norm_after(conv, model) for conv in (model.conv1, model.conv2, model.conv3)] == [None] * 3


@pytest.mark.parametrize("kind", [nn.Sequential, Untraceable])
def test_weights_as_they_act(kind: type[nn.Sequential]) -> None:
    model = kind(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    for tensor in (model[1].running_mean, model[1].running_var, model[1].weight.data, model[1].bias.data):
        nn.init.uniform_(tensor, 0.5, 2.0)
    (target,) = targets(model)
    images = torch.rand(2, 3, 6, 6) + 0.1
    shift = model(torch.zeros(2, 3, 6, 6)) if kind is nn.Sequential else None
    weight = folded(target.parameter.detach(), target, model)
    by_hand = torch.stack(
        [target.parameter[i] * model[1].weight[i] / (model[1].running_var[i] + model[1].eps).sqrt() for i in range(4)]
    ).detach()
    assert torch.allclose(weight, by_hand, rtol=1e-6)
    if shift is not None:
        linear = nn.functional.conv2d(images, weight)
        before_relu = model[1](model[0](images)) - model[1](model[0](torch.zeros(2, 3, 6, 6)))
        assert torch.allclose(linear, before_relu, atol=1e-5)


def test_it_changes_what_is_pruned() -> None:
    def pruned(fold: bool) -> list[bool]:
        model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        model[0].weight.data = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
        model[1].weight.data = torch.tensor([1.0, 0.1])
        scheduler = distiller.load(model, torch.optim.SGD(model.parameters(), lr=0.1))
        pruner = L1RankedStructureParameterPruner(group_type="Filters", desired_sparsity=0.5, weights="0.weight")
        scheduler.add_policy(PruningPolicy(pruner, PrunerArgs(fold_batchnorm=fold)), epochs=[0])
        scheduler.on_epoch_begin(0)
        return (model[0].weight.flatten() == 0).tolist()

    assert (pruned(False), pruned(True)) == ([True, False], [False, True])


def test_without_a_norm_it_is_an_error() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    (target,) = targets(model)
    with pytest.raises(RunError, match=r"fold_batchnorm: 0\.weight is not followed by exactly one batch norm"):
        folded(target.parameter.detach(), target, model)


def test_that_shows_at_load() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    scheduler = distiller.load(model, torch.optim.SGD(model.parameters(), lr=0.1))
    pruner = L1RankedStructureParameterPruner(group_type="Filters", desired_sparsity=0.5, weights="0.weight")
    with pytest.raises(RecipeError, match=r"0\.weight is not followed by exactly one batch norm"):
        scheduler.add_policy(PruningPolicy(pruner, PrunerArgs(fold_batchnorm=True)), epochs=[0])
