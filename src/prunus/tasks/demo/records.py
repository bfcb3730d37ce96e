"""Perform the runs of the demonstration and gather what the report shows of them."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import prunus
from prunus import measure
from prunus.checkpoints import save_sparse
from prunus.errors import require_count
from prunus.report.records import Histogram, Point, Report, RunRecord
from prunus.select import targets
from prunus.tasks.demo.runs import BATCH, METHODS, RUNS, Run, epochs_for, recipe
from prunus.tasks.vision import ImageSet, build, train

NETWORK = "lenet5"
TITLE = "LeNet-5"
SPAN = 0.4
"""Half the range of the weight histograms; what lies outside is counted in the outermost bins."""
BINS = 81


def perform(
    run: Run, data: ImageSet, folder: Path, *, epochs: int, seed: int = 0, watch: Callable[[Point], None] | None = None
) -> RunRecord:
    """Train one run, write its sparse checkpoint into ``folder`` and return everything the report shows of it.

    >>> import tempfile
    >>> images, labels = torch.rand(8, 1, 28, 28), torch.arange(8)
    >>> data = ImageSet("noise", "made by hand.", images, labels, images, labels)
    >>> record = perform(Run("magnitude", "magnitude", 0.9), data, Path(tempfile.mkdtemp()), epochs=2)
    >>> str(record.count)
    '90.00 % (43,050 of 430,500 left)'
    """
    model = build(NETWORK, seed)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, policies = recipe(run, model, epochs * math.ceil(len(data.train_labels) / BATCH), seed)
    before = _weights(model)
    history = train(model, data, policies, optimizer, epochs=epochs, batch_size=BATCH, seed=seed, watch=watch)
    return RunRecord(
        name=run.title,
        method=run.method,
        asked=run.asked,
        count=measure.count(model),
        accuracy=history.accuracy,
        size=_saved(model, folder / f"{run.key}.ckpt"),
        seconds=history.seconds,
        points=tuple(history.points),
        layers=tuple(measure.table(model)),
        histogram=histogram(before, _weights(model)),
    )


def histogram(before: Tensor, after: Tensor) -> Histogram:
    """Return the histograms of the non-zero weights before and after training on the range [-SPAN, SPAN].

    >>> drawn = histogram(torch.tensor([0.1, 9.0]), torch.tensor([0.0, 0.1]))
    >>> sum(drawn.before), sum(drawn.after), drawn.before[-1]
    (2, 1, 1)
    """
    counts = [values[values != 0].clamp(-SPAN, SPAN).histc(BINS, -SPAN, SPAN) for values in (before, after)]
    return Histogram(-SPAN, SPAN, *(tuple(map(int, values.tolist())) for values in counts))


def perform_all(
    data: ImageSet,
    folder: Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    watch: Callable[[Run, Point], None] | None = None,
) -> Iterator[RunRecord]:
    """Yield the record of every run in turn; ``epochs`` None means as many as make about STEPS steps."""
    epochs = epochs_for(len(data.train_labels)) if epochs is None else epochs
    require_count("epochs", epochs)
    folder.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        seen = None if watch is None else partial(watch, run)
        yield perform(run, data, folder, epochs=epochs, seed=seed, watch=seen)


def report(runs: tuple[RunRecord, ...], data: ImageSet, command: str) -> Report:
    """Return the report of finished runs.

    >>> images, labels = torch.zeros(1, 1, 28, 28), torch.zeros(1)
    >>> run = RunRecord("dense", "dense", None, measure.Count(0, 1), 0.5, 10, 1.0)
    >>> report((run,), ImageSet("toy", "made by hand.", images, labels, images, labels), "prunus demo").task
    'LeNet-5 on toy'
    """
    versions = {"prunus": prunus.__version__, "torch": torch.__version__, "Python": platform.python_version()}
    versions |= {"threads": str(torch.get_num_threads()), "cores": str(os.cpu_count())}
    return Report(f"{TITLE} on {data.name}", data.source, command, runs, versions, (), METHODS)


def _weights(model: nn.Module) -> Tensor:
    return torch.cat([target.parameter.detach().flatten() for target in targets(model)])


def _saved(model: nn.Module, path: Path) -> int:
    save_sparse(path, model.state_dict())
    return path.stat().st_size
