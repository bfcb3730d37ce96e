"""The configuration on the page about parameter groups is read by Hydra, built, trained and printed as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import SelectionError
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1, RegL1L2Conv, RegNone
from prunus.select import PruningManager

PAGE = (Path(__file__).parents[2] / "docs/methods/parameter_groups.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Return what Hydra composes from the page's YAML."""
    hydra = pytest.importorskip("hydra", reason="hydra-core is not installed")
    (tmp_path / "page.yaml").write_text(block("yaml"), encoding="utf-8")
    with hydra.initialize_config_dir(str(tmp_path), version_base=None):
        return hydra.compose("page", overrides=["module.optimizer.lr=1e-3"])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv1d(4, 16, 3), nn.BatchNorm1d(16)
        self.conv2, self.norm2 = nn.Conv1d(16, 16, 3), nn.LayerNorm(16)
        self.embed = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.norm1(self.conv1(x)).relu()).mean(-1)
        return self.embed(self.norm2(x).relu())


@pytest.mark.parametrize("convert", ["none", "all", "by us"])
def test_hydra_builds_what_the_page_configures(config: Any, convert: str) -> None:
    from hydra.utils import instantiate

    groups = config.module.model.pruning_groups
    built = groups if convert == "by us" else instantiate(groups, _convert_=convert)
    model = Net()
    manager = PruningManager(model, built)
    kept = manager.apply_initial_sparsity()
    assert kept == {"conv1.weight": 2, "conv2.weight": 8, "embed.weight": 2}
    optimizer = manager.build(instantiate(config.module.optimizer))
    assert isinstance(optimizer, AdaBreg)
    found = {g["name"]: (g["reg"], g["lambda_scale"], g["param_names"]) for g in optimizer.param_groups}
    assert found == {
        "conv_layers": (RegL1L2Conv(0.01), 1.0, ["conv1.weight", "conv2.weight"]),
        "linear_layers": (RegL1(0.01), 1.0, ["embed.weight"]),
        "norm_params": (RegNone(), 0.0, ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]),
        "fallback": (RegNone(), 0.0, ["conv1.bias", "conv2.bias", "embed.bias"]),
    }
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 4, 9)).square().mean().backward()
        optimizer.step()
    assert {group["lr"] for group in optimizer.param_groups} == {1e-3}


def test_hydra_builds_the_callback_too(config: Any) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    from hydra.utils import instantiate

    pruner = instantiate(config.callbacks.model_pruning)
    assert type(pruner).__name__ == "BregmanPruner"


def test_paths_of_the_original_are_answered_with_ours(config: Any) -> None:
    from omegaconf import OmegaConf

    text = OmegaConf.to_yaml(config.module.model.pruning_groups)
    theirs = re.sub(r"prunus\.regularizers", "src.callbacks.pruning.bregman.bregman_regularizers", text)
    with pytest.raises(SelectionError) as caught:
        PruningManager(Net(), OmegaConf.create(theirs))
    for name in ("RegL1L2Conv", "RegL1", "RegNone"):
        assert f"Did you mean 'prunus.regularizers.{name}'?" in str(caught.value)


def test_the_groups_are_printed_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), "parameter_groups.md", "exec"), {})
    assert capsys.readouterr().out == block("text")
