"""The run of tests/e2e/runs.py in Hugging Face's Trainer, on the same batches in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from prunus.checkpoints import write
from prunus.integrations.loop import ResumableLoader
from prunus.integrations.transformers import Compression
from tests.e2e.runs import BATCH, EPOCHS, data, die_at, network, optimizer_of, policies_of, summary


class TinyConfig(PretrainedConfig):
    model_type = "tiny"


class TinyModel(PreTrainedModel):
    """The network of the other runs behind the interface of transformers."""

    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.net = network()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """The network comes with its weights."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        logits = self.net(images)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


class Images(Dataset[dict[str, Tensor]]):
    def __init__(self) -> None:
        self.images, self.labels = data()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"images": self.images[row], "labels": self.labels[row]}


class Order(Sampler[int]):
    """The order of ResumableLoader."""

    def __init__(self) -> None:
        self.loader = ResumableLoader(*data(), batch_size=BATCH, seed=3)

    def set_epoch(self, epoch: int) -> None:
        self.loader.set_epoch(epoch)

    def __len__(self) -> int:
        return self.loader.rows

    def __iter__(self) -> Iterator[int]:
        return iter(self.loader.order().tolist())


class Ordered(Trainer):
    """Trainer with a loader that draws nothing from the global generator."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        loader = DataLoader(Images(), batch_size=BATCH, sampler=Order(), generator=torch.Generator())
        return self.accelerator.prepare(loader)


class Killer(TrainerCallback):
    """Die when a step is over, before a checkpoint of it is written."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at = kill_at

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        die_at(state.global_step, self.kill_at)


def accuracy(found: Any) -> dict[str, float]:
    return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}


def arguments(folder: Path, **settings: Any) -> TrainingArguments:
    usual: dict[str, Any] = {"output_dir": str(folder), "num_train_epochs": EPOCHS, "lr_scheduler_type": "constant"}
    usual |= {"report_to": [], "disable_tqdm": True, "use_cpu": True, "max_grad_norm": 0.0, "seed": 11}
    usual |= {"logging_strategy": "no", "save_strategy": "no", "remove_unused_columns": False}
    return TrainingArguments(**{**usual, "per_device_eval_batch_size": 64, **settings})


def trainer_for(folder: Path, recipe: str, callbacks: list[TrainerCallback], **settings: Any) -> Ordered:
    model = TinyModel(TinyConfig())
    optimizers = (optimizer_of(recipe, model.net), None)
    told = {"eval_dataset": Images(), "compute_metrics": accuracy}
    return Ordered(model, arguments(folder, **settings), callbacks=callbacks, optimizers=optimizers, **told)


def transformers(recipe: str, folder: Path, out: Path, every: int, kill_at: int | None) -> None:
    """Train with a checkpoint every few steps, resumed with nothing but ``resume_from_checkpoint``."""
    torch.set_num_threads(1)
    compression = Compression(policies_of(recipe), root="net")
    callbacks = [compression, Killer(kill_at)]
    trainer = trainer_for(folder, recipe, callbacks, save_strategy="steps", save_steps=every)
    torch.manual_seed(11)
    trainer.train(resume_from_checkpoint=True if any(folder.iterdir()) else None)
    assert compression.scheduler is not None
    write(out, summary(trainer.model, compression.scheduler.optimizer, compression.scheduler))
