"""What Compression accepts in Lightning: recipes of both languages, parts of a module, schedulers that are ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from prunus.actions import Prune
from prunus.errors import RecipeError, RunError, SelectionError
from prunus.integrations.lightning import Compression, PrunedCheckpointHandler
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.schedules import Cubic, OneShot
from tests.e2e.comparing import differences
from tests.e2e.runs import DISTILLER, EPOCHS, Module, network, summary, trainer_for
from tests.integrations.test_lightning import train_loader

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]


def fit(folder: Path, callback: Compression, *others: Any, ckpt_path: Any = None, **settings: Any) -> dict[str, Any]:
    module = Module("adam")
    saves = any(isinstance(one, ModelCheckpoint) for one in others)
    trainer = trainer_for(folder, [callback, *others], enable_checkpointing=saves, **settings)
    trainer.fit(module, train_loader(), ckpt_path=ckpt_path)
    assert callback.scheduler is not None
    return summary(module, trainer.optimizers[0], callback.scheduler)


def test_a_file_is_read_when_the_callback_is_made(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text(DISTILLER)
    callback = Compression(path, root="net")
    path.unlink()
    fit(tmp_path, callback)
    assert isinstance(callback.scheduler, DistillerScheduler)
    assert callback.scheduler.epoch == EPOCHS
    with pytest.raises(RecipeError, match=r"schedule\.yaml.*cannot be read"):
        Compression(path)
    with pytest.raises(RecipeError, match="Did you mean 'AutomatedGradualPruner'"):
        Compression(DISTILLER.replace("AutomatedGradualPruner", "AutomatedGradualPrunner"))


def test_a_schedule_resumes_from_every_step_of_an_epoch(tmp_path: Path) -> None:
    saver = ModelCheckpoint(dirpath=tmp_path, filename="{step:03d}", save_top_k=-1, every_n_train_steps=1)
    whole = fit(tmp_path, Compression(DISTILLER, root="net"), saver)
    for step in (7, 8, 10, 13, 14):
        found = fit(tmp_path, Compression(DISTILLER, root="net"), ckpt_path=tmp_path / f"step={step:03d}.ckpt")
        assert list(differences(whole, found)) == [], step


def test_masks_before_the_forward_pass_hold_through_accumulation(tmp_path: Path) -> None:
    """All batches of a step see the masked weights, and the update goes to the dense ones."""
    seen: list[tuple[bool, int]] = []

    class Watching(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append((batch_idx % 3 == 0, int((self.net[4].weight == 0).sum())))
            return super().training_step(batch, batch_idx)

    callback = Compression(DISTILLER, root="net")
    trainer = trainer_for(tmp_path, [callback], enable_checkpointing=False, accumulate_grad_batches=3)
    trainer.fit(Watching("adam"), train_loader())
    assert {zeros for _, zeros in seen[7:21]} == {24}
    assert callback.scheduler is not None and callback.scheduler.step == 3 * EPOCHS


def test_names_count_from_the_root(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'net\.1\.weight'"):
        fit(tmp_path, Compression(DISTILLER))
    with pytest.raises(SelectionError, match="root is 'nett'.*Did you mean 'net'"):
        fit(tmp_path, Compression(DISTILLER, root="nett"))


def test_a_scheduler_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    model = network()
    ready = distiller.load(model, torch.optim.Adam(model.parameters()), DISTILLER)
    with pytest.raises(RunError, match=r"is no part of the Module that trains\n.*give it to both"):
        fit(tmp_path, Compression(ready))


def test_masks_of_a_pruned_checkpoint_are_taken_up_below_the_root(tmp_path: Path) -> None:
    module = Module("adam")
    torch.nn.utils.prune.l1_unstructured(module.net[1], "weight", amount=700)
    saver = ModelCheckpoint(dirpath=tmp_path, filename="old", enable_version_counter=False)
    trainer_for(tmp_path, [saver], max_epochs=1).fit(module, train_loader())
    callback = Compression([Prune(OneShot(0.1))], root="net")
    fit(tmp_path, callback, PrunedCheckpointHandler(verbose=0), ckpt_path=tmp_path / "old.ckpt")
    assert callback.scheduler is not None
    assert int((~callback.scheduler.masks["1.weight"]).sum()) == 700


def test_a_second_fit_on_the_same_optimizer_is_free_of_the_masks_of_the_first(tmp_path: Path) -> None:
    module, callback = Module("adam"), Compression([Prune(Cubic(0.9))])
    kept = module.configure_optimizers()
    module.configure_optimizers = lambda: kept  # type: ignore[method-assign]
    for _ in range(2):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter.data)
        trainer_for(tmp_path, [callback]).fit(module, train_loader())
        assert callback.scheduler is not None
        assert [round(row["sparsity"], 2) for row in callback.scheduler.history] == [0.0, 0.63, 0.87, 0.9]
