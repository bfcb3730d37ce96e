"""A training run in one file: save it in the middle of an epoch, load it, and continue bit for bit."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer

from prunus import __version__
from prunus.checkpoints import rng
from prunus.checkpoints.files import read, write
from prunus.checkpoints.fit import group_shapes, model_misfits, optimizer_misfits, require_fit
from prunus.errors import CheckpointError

FORMAT = "prunus run"
VERSION = 1
HOLDS = ("version", "prunus", "extra", "kinds", "model", "rng", "shapes")


class Stateful(Protocol):
    """What a scheduler or a loader must offer to be part of a run.

    >>> def saved(part: Stateful) -> dict[str, Any]:
    ...     return part.state_dict()
    >>> sorted(saved(nn.Linear(1, 1)))
    ['bias', 'weight']
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain tensors and numbers."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take a state back."""


def save_run(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    scheduler: Stateful | None = None,
    loader: Stateful | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Save a run so that :func:`load_run` continues it as if it had never stopped.

    Besides the parts that are given, the file holds the state of the global random generators and a format version.
    Call it between an optimizer step and the next batch, best when ``scheduler.step % n == 0``; gradients that are
    being accumulated are not kept. In a distributed run each process writes a file of its own, as each has its own
    random state.

    Args:
        path: the file, replaced in one piece (see :func:`prunus.checkpoints.write`).
        model: its ``state_dict()`` is saved.
        optimizer: duals, moments and λ, through ``state_dict()``.
        scheduler: the CompressionScheduler: masks, steering, counters, history.
        loader: a :class:`prunus.integrations.loop.ResumableLoader` or anything with the same two methods.
        extra: plain data of yours, such as ``{"lr": lr_scheduler.state_dict()}``; :func:`load_run` returns it.

    Errors: CheckpointError when a part holds something else than tensors and numbers.

    >>> import tempfile, torch
    >>> model, path = nn.Linear(2, 1), tempfile.mkdtemp() + "/run.ckpt"
    >>> save_run(path, model=model, extra={"note": "before"})
    >>> _ = nn.init.zeros_(model.weight)
    >>> load_run(path, model=model), bool(model.weight.any())
    ({'note': 'before'}, True)
    """
    parts = _given(model=model, optimizer=optimizer, scheduler=scheduler, loader=loader)
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    state |= {"kinds": {name: type(part).__name__ for name, part in parts.items()}, "rng": rng.capture()}
    state["shapes"] = [] if optimizer is None else group_shapes(optimizer)
    write(path, {"format": FORMAT, "version": VERSION, "prunus": __version__, "extra": extra or {}} | state)


def load_run(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    scheduler: Stateful | None = None,
    loader: Stateful | None = None,
) -> dict[str, Any]:
    """Restore a run of :func:`save_run`: all of it, or nothing when anything does not fit. Returns ``extra``.

    Names, shapes and dtypes are compared before the first change; should a part still refuse its state, the parts that
    were already loaded are put back. The random generators are restored last. A part that the file holds and you do
    not pass is left out, so ``load_run(path, model=model)`` is the way to evaluate.

    Args:
        path: the file.
        model, optimizer, scheduler, loader: objects built as for the saved run; they are changed in place.

    Errors: CheckpointError, listing every missing, unexpected and misfitting name with its nearest one, for the
    checkpoint of another model; also for a file of a newer version, and for a part the file does not hold.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.ckpt"
    >>> save_run(path, model=nn.Linear(2, 1))
    >>> load_run(path, model=nn.Linear(3, 1))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: .../run.ckpt is the checkpoint of another model: 'weight' has shape (1, 2) in ...
    """
    state = read(path)
    _require_format(path, state)
    parts = _given(model=model, optimizer=optimizer, scheduler=scheduler, loader=loader)
    _require_parts(path, state, parts)
    require_fit(f"{path} is the checkpoint of another model", model_misfits(model.state_dict(), state["model"]))
    if optimizer is not None:
        faults = optimizer_misfits(group_shapes(optimizer), state["shapes"])
        require_fit(f"{path} does not fit this {type(optimizer).__name__}", faults)
    _load_all(path, parts, state)
    return dict(state["extra"])


def _given(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def _require_format(path: object, state: Mapping[str, Any]) -> None:
    if state.get("format") != FORMAT:
        keys = ", ".join(map(repr, list(state)[:6]))
        raise CheckpointError(f"{path} is not a run of save_run: it holds {keys}. For weights alone use read().")
    if state.get("version", VERSION) > VERSION:
        newer = f"format {state['version']} of prunus {state.get('prunus')}, this is format {VERSION} of {__version__}"
        raise CheckpointError(f"{path} was written by a newer version: {newer}. Upgrade prunus.")
    lost = [name for name in (*HOLDS, *state.get("kinds", ())) if name not in state]
    if lost:
        raise CheckpointError(f"{path} is damaged: it has lost {', '.join(lost)}. Use another copy of it.")


def _require_parts(path: object, state: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    kinds = state["kinds"]
    faults = [f"it holds no {name}; load without it" for name in parts if name not in kinds]
    faults += [
        f"the {name} was a {kinds[name]}, this one is a {type(part).__name__}"
        for name, part in parts.items()
        if name in kinds and name != "model" and kinds[name] != type(part).__name__
    ]
    require_fit(f"{path} does not fit this run", faults)


def _load_all(path: object, parts: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Load every part; on a refusal put all of them back, so that no run continues half restored."""
    before = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
    try:
        _load(parts, state)
        rng.restore(state["rng"])
    except Exception as fault:  # whatever a part raises, the others must not stay changed
        _load(parts, before)
        raise CheckpointError(f"{path} could not be loaded, nothing was changed: {fault}") from fault


def _load(parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        part.load_state_dict(states[name])
