"""The module in Lightning: it learns, is tested on strangers, prunes, and resumes to the bit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from prunus.errors import RunError, SettingError
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1
from prunus.tasks.speaker import Augment, Encoder, LogMel, SpeakerData, SpeakerModule, Utterances
from prunus.tasks.speaker.networks import XVector
from tests.e2e.comparing import differences


def data(seconds: float = 0.5, each: int = 4) -> SpeakerData:
    return SpeakerData(16, seconds, held_out=4, valid=3, seed=1, cap=each, source="synthetic", per_speaker=each)


def encoder() -> Encoder:
    torch.manual_seed(2)
    return Encoder(LogMel(16), XVector(bands=16, channels=16, pooled=24, embedding=16), 16)


def module(**settings: Any) -> SpeakerModule:
    usual = {"augment": Augment(seconds=0.4, noise=0.5, band=200.0), "draws": 20, "seed": 3}
    return SpeakerModule(encoder(), **{**usual, **settings})


def trainer(folder: Path, **settings: Any) -> Trainer:
    usual: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    usual |= {"default_root_dir": folder, "accelerator": "cpu", "devices": 1, "enable_checkpointing": False}
    return Trainer(**{**usual, **settings})


def test_it_learns_to_tell_strangers_apart(tmp_path: Path) -> None:
    one, voices = module(optimizer=partial(torch.optim.Adam, lr=1e-2), augment=Augment(0.8)), data(1.0, 16)
    run = trainer(tmp_path, max_epochs=3)
    run.fit(one, datamodule=voices)
    trained = dict(run.callback_metrics)
    assert trained["train/accuracy"] > 1.5 / 17 and 0 <= trained["valid/eer"] <= 0.5, trained
    assert one.classifier.weight.shape == (17, 16)
    (found,) = run.test(one, datamodule=voices, verbose=False)
    assert found["test/eer_low"] <= found["test/eer"] <= found["test/eer_high"]
    assert set(found) == {
        f"test/{name}{end}" for name in ("eer", "min_dcf_05", "min_dcf_01") for end in ("", "_low", "_high")
    }
    assert one.trials is not None and len(one.trials.scores) > 1000


def fitted(folder: Path, checkpoint: Path | None = None) -> SpeakerModule:
    """Three epochs of four steps; step=6.ckpt is of the middle of the second."""
    one = module(lr_scheduler={"scheduler": partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)})
    saver = ModelCheckpoint(folder, "{step}", every_n_train_steps=6, save_top_k=-1, enable_version_counter=False)
    run = trainer(folder, max_epochs=3, callbacks=[saver], enable_checkpointing=True, num_sanity_val_steps=0)
    run.fit(one, datamodule=data(), ckpt_path=checkpoint)
    return one


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_resumed_inside_an_epoch_ends_the_same_to_the_bit(tmp_path: Path) -> None:
    whole, resumed = fitted(tmp_path), fitted(tmp_path, tmp_path / "step=6.ckpt")
    assert list(differences(dict(whole.state_dict()), dict(resumed.state_dict()))) == []


def test_a_checkpoint_brings_the_number_of_speakers(tmp_path: Path) -> None:
    fitted(tmp_path)
    loaded = SpeakerModule.load_from_checkpoint(tmp_path / "step=6.ckpt", model=encoder())
    assert loaded.classifier.weight.shape == (17, 16)
    assert loaded(torch.zeros(2, 4000, dtype=torch.int16)).shape == (2, 16)


def test_pruning_groups_reach_the_optimizer_and_leave_features_alone(tmp_path: Path) -> None:
    groups = [
        {"name": "convolutions", "layer_types": ["torch.nn.Conv1d"], "param_names": ["weight"],
         "optimizer_settings": {"reg": RegL1(0.5)}},
        {"name": "classifier", "module_name_patterns": ["^classifier$"], "optimizer_settings": {"reg": RegL1(0.5)}},
    ]  # fmt: skip
    one = module(optimizer=partial(AdaBreg, lr=1e-3), pruning_groups=groups, speakers=17)
    run = trainer(tmp_path, max_epochs=1, limit_train_batches=1, limit_val_batches=0)
    run.fit(one, datamodule=data())
    assert one.pruning_manager is not None and (one.encoder.network.linear.weight != 0).all()
    kinds = {group["name"]: group["reg"].name for group in run.optimizers[0].param_groups}
    assert kinds["convolutions"] == kinds["classifier"] == "l1" and kinds["fallback"] == "none"


def test_the_number_of_speakers_must_come_from_somewhere(tmp_path: Path) -> None:
    voices = data()
    voices.setup()
    with pytest.raises(RunError, match="give speakers="):
        trainer(tmp_path, max_epochs=1).fit(module(), voices.train_dataloader(), voices.val_dataloader())
    once = trainer(tmp_path, max_epochs=1, limit_train_batches=1)
    once.fit(module(speakers=17), voices.train_dataloader(), voices.val_dataloader())


def test_published_weights_need_the_name() -> None:
    with pytest.raises(SettingError, match="published=True needs model by its name"):
        module(published=True)


def test_utterances_know_their_length() -> None:
    assert Utterances(torch.zeros(2, 240_000, dtype=torch.int16), torch.zeros(2), ("ada",)).minutes == 1.0
