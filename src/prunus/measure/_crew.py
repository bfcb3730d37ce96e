"""Evaluations side by side: each worker process has a model of its own, the figures are those of one process."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch
from torch import Tensor

from prunus.errors import RunError, SettingError
from prunus.measure._bench import Bench
from prunus.measure.readings import Reading

Job = tuple[int, float]
"""Which target, which level."""

_shipped: dict[str, bytes] = {}
_unpacked: dict[str, Bench] = {}


def readings(bench: Bench, jobs: Sequence[Job], workers: int) -> Iterator[Reading]:
    """Yield the reading of each job, in order, from this process (``workers`` 0) or from so many others.

    >>> list(readings(None, [], workers=2))
    []
    """
    if not workers or not jobs:
        yield from (bench.read(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork copies the locks of threads that it leaves behind
    crew = ProcessPoolExecutor(min(workers, len(jobs)), context, _receive, (pack(bench), torch.get_num_threads()))
    try:
        with crew:
            yield from crew.map(_read, jobs)
    except BrokenProcessPool as fault:
        raise RunError(
            "a worker process ended before its work was done: it may have run out of memory, or the script that called "
            'sensitivity(workers=…) runs on import; put the call under if __name__ == "__main__":'
        ) from fault


def pack(bench: Bench) -> bytes:
    """Return the bench, gradients included, as bytes; SettingError when model or metric cannot travel.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.structures import Element
    >>> pack(Bench(torch.nn.Linear(1, 1), lambda model: 0.0, (), Element(), Magnitude()))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: workers= needs a model and a metric that can be pickled...
    """
    gradients = [target.parameter.grad for target in bench.targets]
    try:
        return pickle.dumps((bench, gradients))  # plain pickle copies; torch's own would share the memory
    except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as fault:
        raise SettingError(
            "workers= needs a model and a metric that can be pickled, such as classes and functions at the top of a "
            f"module, no lambda: {fault}"
        ) from fault


def unpack(shipped: bytes) -> Bench:
    """Return the bench that :func:`pack` packed.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.structures import Element
    >>> bench = Bench(torch.nn.Linear(1, 1), torch.nn.Linear.extra_repr, (), Element(), Magnitude())
    >>> unpack(pack(bench)).model
    Linear(in_features=1, out_features=1, bias=True)
    """
    found: tuple[Bench, list[Tensor | None]] = pickle.loads(shipped)
    for target, gradient in zip(found[0].targets, found[1], strict=True):
        target.parameter.grad = gradient
    return found[0]


def _receive(shipped: bytes, threads: int) -> None:
    """Begin a worker; what may fail waits for the first job, whose error reaches the caller."""
    torch.set_num_threads(threads)  # sums depend on how they are cut, in their last bits
    _shipped["bench"] = shipped


def _read(job: Job) -> Reading:
    if not _unpacked:
        _unpacked["bench"] = unpack(_shipped.pop("bench"))
    return _unpacked["bench"].read(*job)
