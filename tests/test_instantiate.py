"""Settings that name code: where a path leads, what is offered instead, and what Hydra's containers become."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from prunus import _instantiate
from prunus._instantiate import instantiate, locate, plain
from prunus.errors import MissingExtraError, SettingError
from prunus.iterative import IterativeMagnitudePruner
from prunus.optim import OPTIMIZERS
from prunus.regularizers import REGULARIZERS, GroupLasso, RegL1, RegSoftBernoulli
from prunus.select import PruningManager
from prunus.steering import STEERING
from prunus.structures import Row

MEMBERS = [*OPTIMIZERS.values(), *REGULARIZERS.values(), *STEERING.values(), IterativeMagnitudePruner, PruningManager]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_is_offered_for_its_name_under_another_path(member: type) -> None:
    with pytest.raises(SettingError, match="Did you mean 'prunus") as refused:
        locate(f"src.callbacks.{member.__name__}")
    assert locate(str(refused.value).split("'")[-2]) is member


def test_an_offer_does_without_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_instantiate, "HOMES", ("prunus.integrations.lightning", "prunus.optim"))
    monkeypatch.setattr(_instantiate, "import_module", partial(_without, "prunus.integrations.lightning"))
    with pytest.raises(SettingError, match="Did you mean 'prunus.optim.LinBreg'"):
        locate("old.LinBreg")


def _without(missing: str, name: str) -> ModuleType:
    if name == missing:
        raise MissingExtraError("pip install prunus[lightning]")
    return import_module(name)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("src.callbacks.pruning.bregman.bregman_optimizers.LinBreg", "Did you mean 'prunus.optim.LinBreg'"),
        (
            "src.callbacks.pruning.bregman.lambda_scheduler.LambdaScheduler",
            "Did you mean 'prunus.steering.LambdaScheduler'",
        ),
        (
            "src.callbacks.pruning.bregman.utils.pruning_manager.PruningManager",
            "Did you mean 'prunus.select.PruningManager'",
        ),
        ("absent.module.Thing", "^no module is named 'absent'$"),
        ("torch.nn.Linaer", "torch.nn has no 'Linaer'. Did you mean 'Linear'"),
        ("torch.nn.Linear.forwrd", "torch.nn.Linear has no 'forwrd'. Did you mean 'forward'"),
        ("RegL1", "'RegL1' is no dotted path such as 'package.module.Class'. Did you mean 'prunus.regularizers.RegL1'"),
        ("torch.nn.", "is no dotted path"),
    ],
)
def test_a_path_that_leads_nowhere_comes_with_the_nearest(path: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        locate(path)


def test_modules_classes_and_methods_are_found() -> None:
    assert locate("torch.nn") is nn
    assert locate("torch.nn.modules.conv.Conv2d") is nn.Conv2d
    assert locate("torch.nn.Linear.forward") is nn.Linear.forward


def test_partial_binds_and_nested_targets_come_first() -> None:
    made = instantiate({"_target_": "prunus.optim.AdaBreg", "_partial_": True, "reg": {"_target_": RegL1, "lamda": 2}})
    assert isinstance(made, partial) and made.keywords == {"reg": RegL1(2)}
    listed = {"_target_": "builtins.dict", "entries": [{"_target_": "prunus.structures.Row"}, {"a": (1, 2)}]}
    assert instantiate(listed) == {"entries": [Row(), {"a": (1, 2)}]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": "torch.nn.Linear", "in_features": 2}, "torch.nn.Linear: missing a required argument: 'out_f"),
        ({"_target_": "torch.nn.Linear", "in_featurs": 2}, "it does not take 'in_featurs'. Did you mean 'in_features'"),
        ({"_target_": "torch.nn.Linear", "_partial_": True, "bais": 2}, "it does not take 'bais'. Did you mean 'bias'"),
        ({"_target_": "torch.pi"}, "torch.pi is 3.14.*, which cannot be called"),
    ],
)
def test_arguments_are_checked_before_the_call(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        instantiate(config)


def test_containers_of_omegaconf_become_pythons() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"rate": 0.1, "groups": [{"lr": "${rate}", "betas": [0.9, 0.99]}]})
    assert plain(config.groups) == [{"lr": 0.1, "betas": [0.9, 0.99]}]
    assert plain({"groups": config.groups}) == {"groups": [{"lr": 0.1, "betas": [0.9, 0.99]}]}
    with pytest.raises(SettingError, match="the configuration cannot be resolved: .*absent"):
        plain(omegaconf.OmegaConf.create(["${absent}"]))
    with pytest.raises(SettingError, match="cannot be resolved: .*Missing mandatory value"):
        plain(omegaconf.OmegaConf.create({"a": "???"}))


@pytest.mark.parametrize("convert", ["none", "partial", "object", "all"])
def test_regularizers_that_hydra_has_built_survive_its_containers(convert: str) -> None:
    """Hydra takes a dataclass for settings, and keeps a regularizer as its fields unless told to convert."""
    hydra, omegaconf = pytest.importorskip("hydra.utils"), pytest.importorskip("omegaconf")
    regs = [
        {"_target_": "prunus.regularizers.RegL1", "lamda": 0.1},
        {"_target_": "prunus.regularizers.GroupLasso", "lamda": 0.1, "structure": "row"},
        {"_target_": "prunus.regularizers.RegSoftBernoulli", "lamda": 0.1, "seed": 3},
    ]
    groups = [
        {"name": f"g{i}", "module_name_patterns": [f"^{i}$"], "optimizer_settings": {"reg": reg, "betas": [0.8, 0.9]}}
        for i, reg in enumerate(regs)
    ]
    built = hydra.instantiate(omegaconf.OmegaConf.create({"groups": groups}), _convert_=convert)["groups"]
    manager = PruningManager(nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in regs)), built)
    found = [group["reg"] for group in manager.get_optimizer_param_groups()]
    assert found == [RegL1(0.1), GroupLasso(0.1, Row()), RegSoftBernoulli(0.1, seed=3)]
    assert isinstance(found[2].generator, torch.Generator) and found[2].prox(torch.ones(2)).shape == (2,)
    assert manager.get_optimizer_param_groups()[0]["betas"] == [0.8, 0.9]
