"""How much each tensor minds being pruned: one at a time, every cell from the untouched weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from prunus.criteria import Criterion, Magnitude
from prunus.errors import RunError, SettingError, require_count
from prunus.measure._bench import Bench
from prunus.measure._crew import readings
from prunus.measure._sheet import Sheet
from prunus.measure.readings import Metric, Reading, Sensitivity, require_levels
from prunus.select import Select, targets
from prunus.structures import Element, Structure

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
Watch = Callable[[int, int, Reading], None]
"""Told after every cell: how many are done, of how many, and the reading."""


def sensitivity(
    model: nn.Module,
    metric: Metric,
    *,
    select: Select | None = None,
    levels: Sequence[float] | None = None,
    structure: Structure = Element(),
    criterion: Criterion = Magnitude(),
    seed: int = 0,
    csv: str | Path | None = None,
    resume: bool = False,
    workers: int = 0,
    watch: Watch | None = None,
) -> Sensitivity:
    r"""Prune each tensor alone to each level, judge the model, and put the tensor back.

    .. math:: r_{t,s} = \text{metric}\big(\theta \text{ with } \theta_t \odot m_{t,s}\big), \qquad
              m_{t,s} \text{ prunes the } \lfloor s\,n_t \rfloor \text{ lowest scores of } \theta_t

    The masks are those of ``Prune(OneShot(s), criterion, structure)`` on that tensor alone. No cell sees another one's
    mask. Afterwards the model is what it was, bit for bit, also when the metric raises. N targets and L levels take
    N · L + 1 evaluations and at no time more than a copy and a mask of one tensor.

    Args:
        model: judged as it stands; its training mode is put back after every evaluation.
        metric: takes the model, returns a number or several by name. It must not change the model (BatchNorm in
            training mode does), or RunError says what it changed. Every evaluation begins with the same state of
            torch's random generators.
        select: which parameters. Default: every weight matrix and kernel.
        levels: sparsities in (0, 1]. Default: 0.1 to 0.9, 0.95, 0.99; for n:m its only one.
        structure: what is pruned together. Default: single weights.
        criterion: what makes a weight worth keeping. Default: absolute value. One that needs gradients reads those
            that are there.
        seed: of the evaluations and of random criteria.
        csv: a file to which every cell is appended as soon as it is known.
        resume: go on with that file: cells that it holds are not evaluated again, others are added, so more levels or
            targets are welcome. A file of other weights, settings or dense figures is refused.
        workers: processes that evaluate side by side, each with a model of its own and as many threads as this one
            (``torch.set_num_threads``), so that the figures are the same; 0 is this process. Model and metric must be
            picklable. Worth it on several cores, from some seconds of work on.
        watch: told after every cell, for a progress bar.

    Raises:
        SelectionError, StructureError, SettingError: settings that do not fit. RunError: a metric that returns
            something else, or changes the model. And what the metric itself raises.

    Use it to see what must stay dense, and for :func:`prunus.measure.allocate`. It says nothing about what retraining
    recovers, nor of tensors pruned together.
    Source: Han et al. 2015 (arXiv:1506.02626), figure 6; Li et al. 2017 (arXiv:1608.08710), section 3.2; Distiller's
    sensitivity analysis, whose masks add up from level to level on one copy.

    >>> import torch
    >>> model = nn.Linear(4, 1, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[4.0, 1.0, 3.0, 2.0]]))
    >>> scan = sensitivity(model, lambda model: model.weight.sum(), levels=(0.25, 0.5))
    >>> [(row.target, row.level, row.pruned, row.metrics["metric"]) for row in scan.rows]
    [('weight', 0.25, 1, 9.0), ('weight', 0.5, 2, 7.0)]
    """
    require_count("seed", seed, 0)
    require_count("workers", workers, 0)
    bench = Bench(model, metric, tuple(targets(model, select)), structure, criterion, seed)
    chosen = _levels(levels, structure)
    bench.check()
    _require_place(csv, resume)
    dense = bench.dense()
    sheet = None if csv is None else Sheet(Path(csv), bench, dense)
    known = {} if sheet is None else dict(sheet.readings)
    every = {(place, level): (t.name, level) for place, t in enumerate(bench.targets) for level in chosen}
    missing = [job for job, cell in every.items() if cell not in known]
    for done, reading in enumerate(readings(bench, missing, workers), start=len(every) - len(missing) + 1):
        _require_names(reading, dense)
        known[reading.target, reading.level] = reading
        if sheet is not None:
            sheet.add(reading)
        if watch is not None:
            watch(done, len(every), reading)
    return Sensitivity(dense, tuple(known[cell] for cell in every.values()), structure, criterion, seed)


def _levels(levels: Sequence[float] | None, structure: Structure) -> tuple[float, ...]:
    """Return the levels; a structure that is one sparsity, such as n:m, has no other."""
    only = structure.level
    if levels is None:
        return LEVELS if only is None else (only,)
    chosen = require_levels(levels)
    if only is not None and chosen != (only,):
        raise SettingError(f"levels is {levels!r}, but {structure!r} is sparsity {only:g} and no other")
    return chosen


def _require_place(csv: str | Path | None, resume: bool) -> None:
    if csv is None and resume:
        raise SettingError("resume is True, but there is no csv file to go on with")
    if csv is not None and not resume and Path(csv).exists() and Path(csv).stat().st_size:
        raise SettingError(f"{csv} exists: pass resume=True to go on with it, or choose another file")


def _require_names(reading: Reading, dense: dict[str, float]) -> None:
    if reading.metrics.keys() != dense.keys():
        found, wanted = ", ".join(reading.metrics), ", ".join(dense)
        raise RunError(f"the metric returned {found} for {reading.target}, but {wanted} for the dense model")
