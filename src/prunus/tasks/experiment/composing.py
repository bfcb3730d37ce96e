"""Configurations by name: compose one in Python, and list what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from prunus import conf
from prunus.errors import SettingError

MODULE, NAME, VERSION = conf.__name__, "train", "1.3"
FOLDER = Path(conf.__path__[0])


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> DictConfig:
    """Return the configuration that ``prunus train`` would run with these overrides; nothing is built yet.

    Args:
        overrides: as on the command line: ``experiment=…``, ``trainer.max_epochs=2``, ``datamodule=fashion``.
        config_dir: a folder of your own configurations, searched before prunus's.

    Errors: Hydra's ConfigCompositionException for unknown names and keys; SettingError inside a running Hydra program.
    Use it in notebooks and tests. ``paths.output_dir`` is known inside ``prunus train`` only: elsewhere give one.

    >>> config = compose(["experiment=vision/digits_budget", "trainer.max_epochs=2"])
    >>> config.trainer.max_epochs, config.callbacks.model_pruning.lambda_scheduler.target
    (2, 0.95)
    """
    if GlobalHydra.instance().is_initialized():
        raise SettingError(
            "compose() was called while Hydra runs a program: use the configuration that Hydra handed over"
        )
    search = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"]
    with hydra.initialize_config_module(MODULE, version_base=VERSION):
        return hydra.compose(NAME, overrides=[*search, *overrides])


def options(group: str, config_dir: str | Path | None = None) -> list[str]:
    """Return every choice of a config group, those in folders below it included, sorted.

    >>> [name for name in options("experiment") if name.startswith("vision/")][:1]
    ['vision/digits_bregman']
    >>> options("no such group")
    []
    """
    folders = [FOLDER / group] if config_dir is None else [FOLDER / group, Path(config_dir) / group]
    found = {file.relative_to(folder) for folder in folders for file in folder.rglob("*.yaml")}
    return sorted(file.with_suffix("").as_posix() for file in found)
