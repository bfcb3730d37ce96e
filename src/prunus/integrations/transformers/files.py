"""The scheduler's state beside the files of a Trainer's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerState, TrainingArguments

from prunus.checkpoints import read, write
from prunus.errors import CheckpointError

NAME = "prunus.ckpt"
PARTS = {"figures", "global_step", "in_epoch", "scheduler"}


def save(args: TrainingArguments, state: TrainerState, parts: dict[str, Any]) -> None:
    """Write ``prunus.ckpt`` into the checkpoint that Trainer has just written, whole or not at all.

    A trial of a search for hyper-parameters saves nothing: it is never resumed.

    >>> from types import SimpleNamespace
    >>> save(SimpleNamespace(should_save=False), SimpleNamespace(), {})
    """
    if args.should_save and not state.is_hyper_param_search:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write(folder / NAME, {**parts, "global_step": state.global_step})


def load(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    """Return what was saved in the checkpoint that the run goes on from.

    Trainer does not tell callbacks which one that is: it is looked for as ``args.resume_from_checkpoint``, else in
    ``output_dir``, under the step at which the run stands. Errors: CheckpointError when it lacks our file, as one does
    that was written without the callback, or by a process that was killed just then; or when it is of another step.

    >>> from types import SimpleNamespace
    >>> load(SimpleNamespace(resume_from_checkpoint=None, output_dir="out"), SimpleNamespace(global_step=3))
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: out/checkpoint-3 lacks prunus.ckpt, so masks and counters are unknown. Resume from...
    """
    given = args.resume_from_checkpoint
    named = isinstance(given, str) and given.lower() != "true"
    folder = Path(given) if named else Path(args.output_dir) / f"checkpoint-{state.global_step}"
    if not (folder / NAME).exists():
        raise CheckpointError(
            f"{folder} lacks {NAME}, so masks and counters are unknown. Resume from an earlier checkpoint; of one that "
            "lies elsewhere, name the folder in TrainingArguments(resume_from_checkpoint=...) too"
        )
    parts = read(folder / NAME)
    if not set(parts) >= PARTS or parts["global_step"] != state.global_step:
        found = f"step {parts['global_step']}" if "global_step" in parts else f"{sorted(parts)}"
        raise CheckpointError(f"{folder / NAME} holds {found}, expected the state of step {state.global_step}")
    return parts
