"""A checkpoint of torch's pruning, or of Lightning's ModelPruning, goes on in a clean module."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelPruning
from torch import Tensor, nn
from torch.nn.utils import prune

from prunus.actions import Prune
from prunus.errors import CheckpointError, SettingError, SparsityDecreaseError
from prunus.integrations import torch_prune
from prunus.integrations.lightning import Compression, MagnitudePruner, PrunedCheckpointHandler
from prunus.integrations.loop import ResumableLoader
from prunus.measure import sparsity
from prunus.schedules import Linear
from prunus.scopes import PerLayer
from tests.e2e.runs import BATCH, BATCHES, EPOCHS, Module, data, trainer_for

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]
HALF, STEP = 2, 10


class Decaying(Module):
    """Trained by AdamW, whose moments show at once when they belong to another parameter."""

    def __init__(self, prune_first: bool = False) -> None:
        super().__init__("adam")
        if prune_first:
            prune_layers(self.net)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=5e-3, weight_decay=0.1)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("test_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.net(batch[0])


def prune_layers(net: nn.Sequential) -> None:
    for layer in (net[1], net[4]):
        prune.l1_unstructured(layer, "weight", amount=0.6)


def loader() -> ResumableLoader:
    return ResumableLoader(*data(), batch_size=BATCH, seed=3)


def effective(module: nn.Module) -> dict[str, Tensor]:
    """Weights as the forward pass sees them, under their clean names."""
    copied = copy.deepcopy(module.state_dict())
    pruned = [key.removesuffix("_orig") for key in copied if key.endswith("_orig")]
    for name in pruned:
        copied[name] = copied.pop(f"{name}_orig") * copied.pop(f"{name}_mask")
    return dict(copied)


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = effective(one), effective(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def fit(folder: Path, module: Any, callbacks: list[Callback], epochs: int, ckpt_path: Path | None = None) -> Trainer:
    torch.manual_seed(11)
    settings: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False}
    inside = ModelCheckpoint(filename="{step}", every_n_train_steps=STEP, save_top_k=-1, **settings)
    at_end = ModelCheckpoint(filename=f"{epochs}", save_on_train_epoch_end=True, every_n_epochs=1, **settings)
    trainer = trainer_for(folder, [*callbacks, inside, at_end], max_epochs=epochs)
    trainer.fit(module, loader(), ckpt_path=ckpt_path)
    return trainer


class NoDropout(Decaying):
    """Without dropout the random state, which Lightning does not keep, plays no part."""

    def __init__(self, prune_first: bool = False) -> None:
        super().__init__(prune_first)
        self.net[3] = nn.Identity()


def model_pruning(**settings: Any) -> ModelPruning:
    """No lottery tickets: Lightning rewinds to copies that share storage with what it trains, so runs do not repeat."""
    settings = {"amount": 0.3, "make_pruning_permanent": False, "use_lottery_ticket_hypothesis": False} | settings
    return ModelPruning("l1_unstructured", parameter_names=["weight"], **settings)


@pytest.fixture(scope="module", params=["built after pruning", "built before pruning", "ModelPruning"])
def halfway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NoDropout]:
    """A checkpoint inside a run, in the torch format, and that run to its end."""
    kind, folder = request.param, tmp_path_factory.mktemp("run")

    class Late(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
            prune_layers(pl_module.net)

    whole = NoDropout(prune_first=kind == "built after pruning")
    callbacks = {"ModelPruning": [model_pruning()], "built before pruning": [Late()]}.get(kind, [])
    fit(folder, whole, list(callbacks), EPOCHS)
    path = folder / f"step={STEP}.ckpt"
    assert {"net.1.weight_orig", "net.1.weight_mask"} <= torch.load(path, weights_only=True)["state_dict"].keys()
    return path, whole


def further(whole: nn.Module) -> list[Callback]:
    """The callback that pruned the whole run further, if one did."""
    return [model_pruning()] if sparsity([effective(whole)["net.1.weight"]]) > 0.65 else []


def test_a_clean_module_goes_on_as_the_run_that_never_stopped(halfway: tuple[Path, NoDropout], tmp_path: Path) -> None:
    """Bit for bit, so the moments belong to the parameters they belonged to and the zeros stay."""
    path, whole = halfway
    module = NoDropout()
    fit(tmp_path, module, [PrunedCheckpointHandler(verbose=0), *further(whole)], EPOCHS, path)
    assert same(module, whole)


def test_without_the_handler_lightning_refuses(halfway: tuple[Path, NoDropout], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="weight_orig"):
        fit(tmp_path, NoDropout(), [], EPOCHS, halfway[0])


def test_evaluation_takes_the_checkpoint_too(halfway: tuple[Path, NoDropout], tmp_path: Path) -> None:
    path, _ = halfway
    content = torch.load(path, weights_only=True)["state_dict"]
    for entry in ("validate", "test", "predict"):
        module = NoDropout()
        trainer = trainer_for(tmp_path, [PrunedCheckpointHandler(0)], enable_checkpointing=False)
        settings = {} if entry == "predict" else {"verbose": False}
        getattr(trainer, entry)(module, ResumableLoader(*data(), batch_size=BATCH), ckpt_path=path, **settings)
        expected = content["net.1.weight_orig"] * content["net.1.weight_mask"]
        assert torch.equal(module.net[1].weight, expected)
        assert not module._load_state_dict_pre_hooks


def test_a_module_that_torch_prunes_stays_pruned(halfway: tuple[Path, NoDropout], tmp_path: Path) -> None:
    path, whole = halfway
    content, module = torch.load(path, weights_only=True)["state_dict"], NoDropout(prune_first=True)
    trainer = trainer_for(tmp_path, [PrunedCheckpointHandler(0)], enable_checkpointing=False)
    trainer.validate(module, ResumableLoader(*data(), batch_size=BATCH), ckpt_path=path, verbose=False)
    assert all(torch.equal(value, content[name]) for name, value in module.state_dict().items())
    fit(tmp_path, module, [PrunedCheckpointHandler(0)], EPOCHS, path)
    assert "net.1.weight_orig" in module.state_dict() and same(module, whole) == (not further(whole))


def test_the_schedule_of_compression_goes_on_without_losing_what_was_pruned(
    halfway: tuple[Path, NoDropout], tmp_path: Path
) -> None:
    path, _ = halfway
    content = torch.load(path, weights_only=True)["state_dict"]
    levels = []

    class Watching(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            levels.append(sparsity(pl_module))
            weight, mask = pl_module.net[1].weight, content["net.1.weight_mask"]
            assert not weight[mask == 0].any()

    ramp = Compression([Prune(Linear(0.9), scope=PerLayer())])
    module = NoDropout()
    trainer = fit(tmp_path, module, [PrunedCheckpointHandler(0), ramp, Watching()], EPOCHS, path)
    assert ramp.scheduler is not None and ramp.scheduler.epoch == EPOCHS
    assert ramp.scheduler.step == trainer.global_step == EPOCHS * BATCHES
    assert [row["epoch"] for row in ramp.scheduler.history] == list(range(STEP // BATCHES, EPOCHS))
    first = sparsity([effective(module)["net.1.weight"]])
    assert levels == sorted(levels) and levels[0] >= 0.3 and first == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("amount", [0.9, 0.6])
def test_a_ramp_of_magnitude_pruner_goes_on_from_masks_above_it(amount: float, tmp_path: Path) -> None:
    """They stay until the ramp passes them; torch, which rounds to the nearest, may stand a little above the goal."""
    fit(tmp_path, NoDropout(prune_first=True), [], EPOCHS)
    path, module = tmp_path / f"step={STEP}.ckpt", NoDropout()
    pruner = MagnitudePruner(amount=amount, scheduled_pruning=True, epochs_to_ramp=EPOCHS, min_param_elements=1)
    fit(tmp_path, module, [PrunedCheckpointHandler(0), pruner], EPOCHS, path)
    assert pruner.scheduler is not None
    found = [row["sparsity"] for row in pruner.scheduler.history]
    assert found == sorted(found) and found[0] >= 0.6 and found[-1] == pytest.approx(amount, abs=1e-3)


def test_a_goal_below_the_masks_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, NoDropout(prune_first=True), [], EPOCHS)
    pruner = MagnitudePruner(amount=0.5, scheduled_pruning=True, epochs_to_ramp=EPOCHS, min_param_elements=1)
    with pytest.raises(SparsityDecreaseError, match=r"old 0\.6004, new 0\.5000"):
        fit(tmp_path, NoDropout(), [PrunedCheckpointHandler(0), pruner], EPOCHS, tmp_path / f"step={STEP}.ckpt")


def test_what_compression_took_up_it_resumes_by_itself(halfway: tuple[Path, NoDropout], tmp_path: Path) -> None:
    """Taken up, saved at the next checkpoint and resumed equals taken up and never stopped."""
    path, _ = halfway
    whole, resumed = NoDropout(), NoDropout()
    fit(tmp_path, whole, [PrunedCheckpointHandler(0), Compression([Prune(Linear(0.9))])], EPOCHS, path)
    again = tmp_path / f"step={2 * STEP}.ckpt"
    fit(tmp_path, resumed, [PrunedCheckpointHandler(0), Compression([Prune(Linear(0.9))])], EPOCHS, again)
    assert sparsity(whole) == pytest.approx(0.9, abs=1e-3) and same(resumed, whole)


def test_masks_survive_a_second_resumption_without_anybody_else_to_keep_them(tmp_path: Path) -> None:
    fit(tmp_path, NoDropout(prune_first=True), [], 1)
    fit(tmp_path, NoDropout(), [PrunedCheckpointHandler(0)], HALF, tmp_path / "1.ckpt")
    content = torch.load(tmp_path / f"{HALF}.ckpt", weights_only=True)
    assert not [key for key in content["state_dict"] if key.endswith("_orig")]
    last, whole = NoDropout(), NoDropout(prune_first=True)
    fit(tmp_path, last, [PrunedCheckpointHandler(0)], EPOCHS, tmp_path / f"{HALF}.ckpt")
    fit(tmp_path, whole, [], EPOCHS)
    assert same(last, whole)


def test_a_plain_checkpoint_and_a_plain_run_are_left_alone(tmp_path: Path) -> None:
    plain, handled = NoDropout(), NoDropout()
    fit(tmp_path, plain, [], HALF)
    fit(tmp_path, plain, [], EPOCHS, tmp_path / f"{HALF}.ckpt")
    fit(tmp_path, NoDropout(), [PrunedCheckpointHandler(0)], HALF)
    fit(tmp_path, handled, [PrunedCheckpointHandler(0)], EPOCHS, tmp_path / f"{HALF}.ckpt")
    assert same(plain, handled)


def test_the_module_can_be_copied_and_pickled_while_the_handler_waits(tmp_path: Path) -> None:
    class Copying(Callback):
        def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
            assert pl_module._load_state_dict_pre_hooks
            pickle.loads(pickle.dumps(pl_module.net))
            made.append(copy.deepcopy(pl_module.net))

        def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
            assert not pl_module._load_state_dict_pre_hooks
            assert not trainer.optimizers[0]._optimizer_load_state_dict_pre_hooks

    made: list[nn.Module] = []
    module, handler = NoDropout(), PrunedCheckpointHandler(0)
    module.register_load_state_dict_pre_hook(handler._intake)
    assert same(pickle.loads(pickle.dumps(module)), copy.deepcopy(module))
    fit(tmp_path, NoDropout(), [handler, Copying()], 1)
    assert made


def test_masks_that_do_not_fit_name_each_key_and_leave_no_hook(tmp_path: Path) -> None:
    fit(tmp_path, NoDropout(prune_first=True), [], 1)
    content = torch.load(tmp_path / "1.ckpt", weights_only=True)
    del content["state_dict"]["net.1.weight_mask"]
    content["state_dict"]["net.4.weight_mask"] = torch.ones(3)
    torch.save(content, tmp_path / "broken.ckpt")
    module = NoDropout()
    with pytest.raises(CheckpointError, match=r"(?s)net\.1\.weight_orig.*net\.4\.weight_mask.*\[3\]"):
        fit(tmp_path, module, [PrunedCheckpointHandler(0)], HALF, tmp_path / "broken.ckpt")
    assert not module._load_state_dict_pre_hooks


def test_it_says_what_it_did(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, NoDropout(prune_first=True), [], 1)
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
    with caplog.at_level(logging.INFO):
        fit(tmp_path, NoDropout(), [PrunedCheckpointHandler(2)], HALF, tmp_path / "1.ckpt")
    assert "2 parameters resume pruned, 60.04% of 1,584 weights at zero" in caplog.text
    assert "net.4.weight keeps 19 of 48" in caplog.text


@pytest.mark.parametrize("settings", [{"verbose": 3}, {"verbose": True}, {"optimizer_built": "later"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        PrunedCheckpointHandler(**settings)


def test_the_live_module_can_be_read_after_the_run(tmp_path: Path) -> None:
    module = NoDropout()
    fit(tmp_path, module, [model_pruning()], 1)
    expected = effective(module)
    torch_prune.read(module)
    assert all(torch.equal(value, expected[name]) for name, value in module.state_dict().items())
