"""``prunus train``: run an experiment from its configuration, through Hydra itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from prunus.cli.compare import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from prunus.tasks.experiment import Outcome

PROGRAM = "prunus train"
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Every argument goes on to Hydra as it is."""


def train(context: typer.Context) -> None:
    """Train an experiment: ``prunus train experiment=vision/digits_budget trainer.max_epochs=2``.

    Arguments are Hydra's. GROUP=CHOICE takes another part (module/optimizer=linbreg), KEY=VALUE changes a setting
    (callbacks.model_pruning.amount=0.95), +KEY=VALUE adds one. -m runs all combinations of comma-separated values
    (-m seed=1,2,3) and compares them. --config-dir DIR adds your own configurations, --cfg job prints the one that
    would run, --hydra-help says more. ckpt_path=last goes on with the last run of the same arguments.
    """
    finished = run(context.args)
    if len(finished) > 1:
        show(finished)


def run(arguments: Sequence[str]) -> list[Outcome]:
    """Hand the arguments to Hydra, perform what it asks for, and return the outcomes, one a job.

    Errors: of prunus as they are; Hydra's as SettingError with the nearest name.

    >>> run(["trainer.max_epoch=2"])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: there is no setting 'trainer.max_epoch'. Did you mean 'trainer.max_epochs'?...
    """
    from prunus.tasks import experiment  # first: it says which extra is missing

    # isort: split
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from prunus.cli.hydra_errors import explained
    from prunus.cli.quiet import lightning_quiet

    OmegaConf.register_new_resolver("prunus.folder", experiment.folder_for, replace=True)
    finished: list[Outcome] = []
    program = hydra.main(version_base=experiment.VERSION, config_path=f"pkg://{experiment.MODULE}", config_name="train")
    try:
        with _as_program(arguments), lightning_quiet():
            program(lambda config: finished.append(_job(config)))()
    except (HydraException, OmegaConfBaseException) as fault:
        raise explained(fault, arguments) from fault
    return finished


def _job(config: DictConfig) -> Outcome:
    """Perform one job in the folder that Hydra made for it."""
    from pathlib import Path

    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from prunus.tasks import experiment

    state = HydraConfig.get()
    folder = Path(state.runtime.output_dir)
    begins = state.mode == RunMode.MULTIRUN and config.ckpt_path == experiment.LAST and not experiment.newest(folder)
    resume = None if begins else experiment.checkpoint_of(config.ckpt_path, folder)
    typer.echo(f"{config.name}  {folder}" + (f"  goes on from {resume}" if resume else ""))
    outcome = experiment.perform(config, folder, resume=resume, overrides=tuple(state.overrides.task))
    show([outcome])
    return outcome


@contextmanager
def _as_program(arguments: Sequence[str]) -> Iterator[None]:
    """Let Hydra find its arguments where it looks for them, and let its errors through instead of printing them."""
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [PROGRAM, *arguments], "1"
    try:
        yield
    finally:
        sys.argv = before
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full
