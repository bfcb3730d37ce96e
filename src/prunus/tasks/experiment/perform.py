"""Perform one experiment: seed, build, train, test, write down."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf, open_dict

import prunus
from prunus import measure
from prunus.checkpoints import save_sparse
from prunus.errors import require_count, require_known
from prunus.integrations.lightning.compression import PREFIXES
from prunus.tasks.experiment.outcome import Outcome, write
from prunus.tasks.experiment.parts import build, build_all

TESTED = ("best", "last", "none")
SPARSE = "weights.sparse"
ASIDE = {"datamodule": ("dataset", "loaders"), "module.model": ("pruning_groups",)}
"""Nodes that are read by interpolation from beside them, and are no arguments."""


def perform(config: DictConfig, folder: Path, *, resume: Path | None = None, overrides: Sequence[str] = ()) -> Outcome:
    """Train the experiment that ``config`` describes, test it, and leave its outcome and sparse weights in ``folder``.

    The random state is seeded with ``config.seed`` before anything is built, so equal configurations train alike; a run
    that goes on from its own checkpoint ends as if it had never stopped. ``config.test`` says which weights are tested:
    those of the best checkpoint (by the monitor of ``callbacks.model_checkpoint``), the last ones, or none.

    Args:
        config: as :func:`prunus.tasks.experiment.compose` returns it; the nodes ``datamodule``, ``module``,
            ``callbacks``, ``logger`` and ``trainer`` are built by their ``_target_``.
        folder: of the run; made when it is missing.
        resume: a checkpoint file to go on from.
        overrides: of the command, for the record.

    Errors: SettingError and others of prunus, naming the node of the configuration.

    >>> import tempfile
    >>> from prunus.tasks.experiment.composing import compose
    >>> where = Path(tempfile.mkdtemp())
    >>> size = ["datamodule.train=64", "datamodule.test=50", "datamodule.validation=32", "trainer.max_epochs=1"]
    >>> quick = ["module=lenet_300_100", "callbacks.progress=null", "trainer.log_every_n_steps=1"]
    >>> outcome = perform(compose([*size, *quick, f"paths.output_dir={where}"]), where)
    >>> sorted(outcome.metrics), outcome.epochs
    (['test/accuracy', 'test/loss'], 1)
    """
    require_count("seed", config.seed, 0)
    require_known("test", config.test, TESTED)
    folder.mkdir(parents=True, exist_ok=True)
    seed_everything(config.seed, workers=True, verbose=False)
    trainer, module, data = _parts(lifted(config), folder)
    trained = _fit(trainer, module, data, resume)
    metrics = _test(trainer, module, data, config.test)
    command = {"tags": tuple(config.tags), "overrides": tuple(overrides), "versions": _versions()}
    found = {**trained, **_weights(module, folder), **command}
    outcome = Outcome(config.name, config.seed, metrics, folder=str(folder), **found)
    if trainer.is_global_zero:
        write(outcome, folder)
    return outcome


def _parts(config: DictConfig, folder: Path) -> tuple[Trainer, LightningModule, LightningDataModule]:
    """Build trainer, module and data of a configuration."""
    data: LightningDataModule = build(config, "datamodule")
    module: LightningModule = build(config, "module")
    callbacks, logger = build_all(config, "callbacks"), build_all(config, "logger") or False
    trainer: Trainer = build(config, "trainer", callbacks=callbacks, logger=logger, default_root_dir=str(folder))
    return trainer, module, data


def lifted(config: DictConfig) -> DictConfig:
    """Return the configuration without the nodes that only say where a setting is written.

    The groups stand beside the model that they divide, ``module.model.pruning_groups``, and are settings of the module;
    lengths and batches stand in ``datamodule.dataset`` and ``datamodule.loaders``. The objects take them under names of
    their own, by interpolation.

    >>> from omegaconf import OmegaConf
    >>> lifted(OmegaConf.create({"datamodule": {"dataset": {"size": 3}, "train": "${.dataset.size}"}}))
    {'datamodule': {'train': 3}}
    """
    config = config.copy()
    for place, names in ASIDE.items():
        node = OmegaConf.select(config, place)
        if isinstance(node, DictConfig):
            OmegaConf.resolve(config[place.partition(".")[0]])
            with open_dict(config):
                for name in set(names) & set(node):
                    del node[name]
    return config


def _fit(trainer: Trainer, module: LightningModule, data: LightningDataModule, resume: Path | None) -> dict[str, Any]:
    """Train, and return what is to be said about it."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        # A run that goes on does so in its own folder, and finds its files there.
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        trainer.fit(module, datamodule=data, ckpt_path=resume)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}
    figures = {name: value for name, value in logged.items() if name.startswith(PREFIXES)}
    return {"seconds": time.perf_counter() - started, "epochs": trainer.current_epoch, "figures": figures}


def _test(trainer: Trainer, module: LightningModule, data: LightningDataModule, which: str) -> dict[str, float]:
    """Test the weights that were asked for; the last ones where no checkpoint was judged the best."""
    if which == "none":
        return {}
    best = next((one.best_model_path for one in _judges(trainer) if one.best_model_path), None)
    tested = trainer.test(module, datamodule=data, ckpt_path=best if which == "best" else None, verbose=False)
    return {name: float(value) for figures in tested for name, value in figures.items()}


def _judges(trainer: Trainer) -> list[ModelCheckpoint]:
    return [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint) and one.monitor]


def _weights(module: LightningModule, folder: Path) -> dict[str, Any]:
    """Count the zeros of the tested weights and write them sparsely."""
    counted = measure.count(module)
    state = module.state_dict()
    save_sparse(folder / SPARSE, state)
    dense = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    size = (folder / SPARSE).stat().st_size
    return {"zeros": counted.zeros, "weights": counted.total, "size": size, "dense_size": dense}


def _versions() -> dict[str, str]:
    versions = {"prunus": prunus.__version__, "torch": torch.__version__, "lightning": lightning.__version__}
    return {**versions, "Python": platform.python_version(), "threads": str(torch.get_num_threads())}
