"""A regularizer that tosses coins goes on with the same coins after a resume."""

import torch
from torch import nn

from prunus.checkpoints import load_run, save_run
from prunus.optim import AdaBreg
from prunus.regularizers import RegSoftBernoulli


def start():
    torch.manual_seed(0)
    model = nn.Linear(5, 4, bias=False)
    return model, AdaBreg(model.parameters(), lr=0.1, reg=RegSoftBernoulli(0.1, probability=0.3))


def go(model, optimizer, gradients):
    for gradient in gradients:
        model.weight.grad = gradient.clone()
        optimizer.step()


def test_a_saved_run_tosses_the_same_coins(tmp_path):
    gradients = [torch.randn(4, 5, generator=torch.Generator().manual_seed(i)) for i in range(10)]
    whole = start()
    go(*whole, gradients)
    cut = start()
    go(*cut, gradients[:5])
    save_run(tmp_path / "run.pt", model=cut[0], optimizer=cut[1])
    resumed = start()
    load_run(tmp_path / "run.pt", model=resumed[0], optimizer=resumed[1])
    go(*resumed, gradients[5:])
    assert torch.equal(whole[0].weight, resumed[0].weight)
