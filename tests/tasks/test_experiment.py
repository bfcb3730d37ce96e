"""Experiments from configuration: every shipped one builds, and what is wrong is named with its place."""

from __future__ import annotations

import json
import os
from itertools import zip_longest
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from prunus.cli.hydra_errors import keys
from prunus.errors import MissingExtraError, SettingError
from prunus.tasks import experiment
from prunus.tasks.experiment.perform import lifted
from prunus.tasks.experiment.resume import folder_for

GROUPS = ("callbacks", "callbacks/model_pruning", "datamodule", "logger", "module", "module/lr_scheduler")
GROUPS += ("module/optimizer", "module/pruning", "trainer")
BASES = ("sv/sv_base", "speaker", "vision")
"""Choices that others build on."""

# Every key of the original's two experiments that acts here; docs/train.md says what became of the others.
BOTH = """
tags seed trainer.min_epochs trainer.max_epochs trainer.gradient_clip_val trainer.num_sanity_val_steps
callbacks.model_checkpoint.mode callbacks.model_checkpoint.monitor callbacks.early_stopping.mode
callbacks.early_stopping.monitor callbacks.early_stopping.patience
datamodule.dataset.max_duration datamodule.loaders.train.batch_size datamodule.loaders.valid.batch_size
module.lr_scheduler.scheduler.mode module.lr_scheduler.scheduler.factor module.lr_scheduler.scheduler.min_lr
module.lr_scheduler.scheduler.patience module.lr_scheduler.extras.monitor module.lr_scheduler.extras.interval
module.lr_scheduler.extras.frequency module.optimizer._target_ module.optimizer._partial_ module.optimizer.lr
"""
BREGMAN = """
sparsity_threshold collect_metrics verbose lambda_scheduler._target_ lambda_scheduler._partial_
lambda_scheduler.initial_lambda lambda_scheduler.target_sparsity lambda_scheduler.acceleration_factor
lambda_scheduler.min_lambda lambda_scheduler.max_lambda
"""
MAGNITUDE = """
pruning_fn amount use_global_unstructured make_pruning_permanent parameters_to_prune pruning_dim pruning_norm verbose
scheduled_pruning epochs_to_ramp schedule_type
"""
GROUP = """
name layer_types param_names module_name_patterns optimizer_settings.reg.lamda optimizer_settings.lambda_scale
pruning_config.pruning_type pruning_config.sparsity_rate
"""


def shipped() -> list[str]:
    return [name for name in experiment.options("experiment") if name not in BASES]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_experiment_builds(name: str, tmp_path: Path) -> None:
    config = lifted(experiment.compose([f"experiment={name}", f"paths.output_dir={tmp_path}"]))
    module, data = experiment.build(config, "module"), experiment.build(config, "datamodule")
    callbacks, logger = experiment.build_all(config, "callbacks"), experiment.build_all(config, "logger")
    trainer = experiment.build(config, "trainer", callbacks=callbacks, logger=logger)
    assert module.configure_optimizers()["optimizer"].param_groups and data.batch_size > 0
    assert config.name == name.rpartition("/")[2] and trainer.max_epochs == config.trainer.max_epochs
    assert [callback for callback in callbacks if callback not in trainer.callbacks] == []


def choices(group: str) -> list[str]:
    return [f"{group}={name}" for name in experiment.options(group) if name not in BASES and "/" not in name]


def test_every_choice_of_every_group_composes() -> None:
    """As few compositions as do: each takes the next choice of every group."""
    for overrides in zip_longest(*map(choices, GROUPS)):
        assert experiment.compose([one for one in overrides if one]).name == "train"


@pytest.mark.parametrize(
    ("name", "prefix", "wanted"),
    [
        ("bregman", "", BOTH),
        ("magnitude", "", BOTH),
        ("bregman", "callbacks.model_pruning.", BREGMAN),
        ("magnitude", "callbacks.model_pruning.", MAGNITUDE),
        ("bregman", "module.model.pruning_groups.0.", GROUP),
    ],
)
def test_the_keys_of_the_original_experiments_are_there(name: str, prefix: str, wanted: str) -> None:
    found = set(keys(experiment.compose([f"experiment=sv/sv_pruning_{name}"])))
    assert [key for key in wanted.split() if prefix + key not in found] == []


def test_keys_may_be_changed_under_either_name(tmp_path: Path) -> None:
    changed = ["datamodule.dataset.max_duration=2.0", "datamodule.loaders.valid.batch_size=8"]
    config = lifted(experiment.compose(["experiment=sv/sv_dense", *changed, "datamodule.batch_size=16"]))
    data = experiment.build(config, "datamodule")
    assert (data.seconds, data.batch_size, data.eval_batch_size) == (2.0, 16, 8)


def test_groups_reach_the_optimizer() -> None:
    scale = "module.model.pruning_groups.1.optimizer_settings.reg.lamda=0.5"
    module = experiment.build(lifted(experiment.compose(["experiment=sv/sv_pruning_bregman", scale])), "module")
    groups = {group["name"]: group for group in module.configure_optimizers()["optimizer"].param_groups}
    assert list(groups)[:2] == ["conv_layers", "linear_layers"]
    assert [groups[name]["reg"].lamda for name in ("conv_layers", "linear_layers")] == [0.01, 0.5]


def test_your_own_configurations_come_first(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults: [override /datamodule: fashion]\nname: mine\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text.replace("[override", "[{override").replace("n]", "n}]"))
    assert "mine" in experiment.options("experiment", tmp_path)
    assert experiment.compose(["experiment=mine"], tmp_path).datamodule.source == "fashion"


def test_a_fault_names_the_node_that_failed_and_keeps_its_kind() -> None:
    inner = {"_target_": "prunus.steering.SparsityBudget", "target": 90}
    config = OmegaConf.create({"callbacks": {"pruning": {"_target_": "prunus.actions.Steer", "steering": inner}}})
    with pytest.raises(
        SettingError, match=r"^callbacks.pruning.steering \(prunus.steering.SparsityBudget\): target is"
    ):
        experiment.build_all(config, "callbacks")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"_target_": "prunus.optim.AdamBreg"}, r"part \(prunus.optim.AdamBreg\): .*Did you mean .*AdaBreg"),
        ({"_target_": "torch.nn.Linear", "inputs": 1}, r"part \(torch.nn.Linear\): TypeError.*inputs"),
        ({"inputs": 1}, "part has no _target_"),
        (None, "part has no _target_"),
    ],
)
def test_what_cannot_be_built_is_said_with_its_place(node: object, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        experiment.build(OmegaConf.create({"part": node}), "part")


def test_an_error_of_prunus_keeps_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunus.tasks.vision import digits

    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"^data \(prunus.tasks.vision.digits.load\): no images found"):
        experiment.build(OmegaConf.create({"data": {"_target_": "prunus.tasks.vision.digits.load"}}), "data")


def test_groups_need_an_optimizer_that_reads_them() -> None:
    groups = [{"name": "weights", "param_names": ["weight"], "optimizer_settings": {"reg": "l1"}}]
    with pytest.raises(SettingError, match="SGD would ignore them"):
        experiment.optimization(nn.Linear(2, 2), lambda p: torch.optim.SGD(p, lr=0.1), pruning_groups=groups)


def test_every_fault_of_a_learning_rate_schedule_is_named() -> None:
    with pytest.raises(SettingError) as caught:
        wrong = {"schedular": None, "extras": {"monitr": "valid/eer"}}
        experiment.optimization(nn.Linear(2, 2), lambda p: torch.optim.SGD(p, lr=0.1), wrong)
    for words in ("Did you mean 'scheduler'?", "Did you mean 'monitor'?", "scheduler is missing"):
        assert words in str(caught.value)


def run_folder(home: Path, name: str, overrides: list[str], when: int) -> Path:
    folder = home / name
    for part in (".hydra", "checkpoints"):
        (folder / part).mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(overrides), folder / ".hydra" / "overrides.yaml")
    (folder / "checkpoints" / "last.ckpt").touch()
    os.utime(folder / "checkpoints" / "last.ckpt", (when, when))
    return folder


def test_last_is_the_youngest_run_of_the_same_command(tmp_path: Path) -> None:
    first = run_folder(tmp_path, "1", ["seed=1", "experiment=a"], 1)
    second = run_folder(tmp_path, "2", ["experiment=a", "seed=1", "ckpt_path=last"], 2)
    run_folder(tmp_path, "3", ["experiment=a", "seed=2"], 3)
    asked = ["experiment=a", "seed=1", "hydra.verbose=true", "ckpt_path=last"]
    assert folder_for(str(tmp_path), "fresh", "last", asked) == str(second)
    assert folder_for(str(tmp_path), "fresh", str(first), asked) == str(first)
    assert folder_for(str(tmp_path), "fresh", None, asked) == str(tmp_path / "fresh")
    with pytest.raises(SettingError, match="of the overrides seed=9; the youngest there is .*3 with"):
        folder_for(str(tmp_path), "fresh", "last", ["seed=9"])


def test_a_run_goes_on_from_its_youngest_checkpoint(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "1", [], 5)
    assert experiment.checkpoint_of("last", folder) == folder / "checkpoints" / "last.ckpt"
    (folder / "checkpoints" / "step.ckpt").touch()
    assert experiment.checkpoint_of(folder, tmp_path) == folder / "checkpoints" / "step.ckpt"
    file = folder / "checkpoints" / "last.ckpt"
    assert experiment.checkpoint_of(str(file), tmp_path) == file
    with pytest.raises(SettingError, match="no checkpoint in"):
        experiment.checkpoint_of("last", tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"tags": [], "overrides": [], "colour": 1}'])
def test_a_damaged_outcome_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "outcome.json").write_text(content)
    with pytest.raises(SettingError, match=r"outcome.json is not the outcome of a run"):
        experiment.outcomes([tmp_path])


def test_outcomes_are_found_below_a_folder_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        experiment.write(experiment.Outcome(name, 0, {"test/eer": 0.1}, tags=("x",)), tmp_path / name)
    found = experiment.outcomes([tmp_path, tmp_path / "a"])
    assert [one.name for one in found] == ["a", "b"] and found[0].tags == ("x",)
    assert "folder" not in json.loads((tmp_path / "a" / "outcome.json").read_text())
    (tmp_path / "c").mkdir()
    with pytest.raises(SettingError, match="no run has finished there"):
        experiment.outcomes([tmp_path / "c"])
