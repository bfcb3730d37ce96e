from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from prunus.actions import Prune, Regularize, SetLR, Steer
from prunus.errors import CheckpointError, MissingExtraError, NoEffect, RunError, SettingError
from prunus.integrations.lightning import Compression
from prunus.integrations.lightning.run_length import epochs, steps_per_epoch
from prunus.integrations.loop import ResumableLoader
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear, OneShot
from prunus.steering import LambdaScheduler
from prunus.window import Window
from tests.e2e.comparing import differences
from tests.e2e.runs import BATCH, BATCHES, EPOCHS, Module, data, network, summary, trainer_for

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
FEEDBACK = "adabreg_feedback"


def feedback() -> list[Any]:
    return [Steer(LambdaScheduler(initial_lambda=0.02, target_sparsity=0.8))]


def train_loader() -> ResumableLoader:
    return ResumableLoader(*data(), batch_size=BATCH, seed=3)


def both_loaders() -> tuple[Any, ...]:
    return train_loader(), ResumableLoader(*data(), batch_size=BATCH, shuffle=False)


def torch_loaders() -> tuple[Any, ...]:
    rows = TensorDataset(*data())
    return DataLoader(rows, batch_size=BATCH, shuffle=True), DataLoader(rows, batch_size=BATCH)


def fit(folder: Path, callback: Compression, *others: Callback, module: Any = None, **settings: Any) -> dict[str, Any]:
    loaders, ckpt_path = settings.pop("loaders", both_loaders), settings.pop("ckpt_path", None)
    module = module or Module(FEEDBACK)
    settings.setdefault("enable_checkpointing", bool(others))
    trainer = trainer_for(folder, [callback, *others], **settings)
    trainer.fit(module, *loaders(), ckpt_path=ckpt_path)
    assert callback.scheduler is not None
    return summary(module, trainer.optimizers[0], callback.scheduler)


class Drawing(ResumableLoader):
    """Draws from the global generator when an iterator is made, as loaders with workers do for their seeds."""

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        torch.rand(())
        return super().__iter__()


class Estimating(Module):
    """Asks for the number of steps before Lightning has read the checkpoint, as many modules do."""

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        steps = int(self.trainer.estimated_stepping_batches)
        plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plan, "interval": "step"}}


def drawing_loader() -> tuple[Any, ...]:
    return (Drawing(*data(), batch_size=BATCH, seed=3),)


STEPS: dict[str, Any] = {"every_n_train_steps": 1}
CASES: dict[str, tuple[type[Module], Callable[[], Any], dict[str, Any], dict[str, Any]]] = {
    "any step": (Module, both_loaders, STEPS, {}),
    "without validation": (Module, lambda: (train_loader(),), STEPS, {}),
    "steps estimated": (Estimating, both_loaders, STEPS, {}),
    "accumulation": (Module, both_loaders, STEPS, {"accumulate_grad_batches": 3}),
    "validation inside": (Module, both_loaders, {}, {"val_check_interval": 3}),
    "shorter epochs": (Module, both_loaders, STEPS, {"limit_train_batches": 5}),
    "max_steps": (Module, both_loaders, {"save_on_train_epoch_end": True}, {"max_steps": 21, "max_epochs": -1}),
    "bf16": (Module, both_loaders, {"every_n_train_steps": 5}, {"precision": "bf16-mixed"}),
    "a loader that draws": (Module, drawing_loader, {"every_n_train_steps": 5}, {}),
    "torch loader, end of validation": (Module, torch_loaders, {}, {}),
    "torch loader, end of epoch": (Module, torch_loaders, {"save_on_train_epoch_end": True}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_resuming_from_every_checkpoint_of_a_run_ends_the_same(case: str, tmp_path: Path) -> None:
    """Only a validation at the very step of the checkpoint is not repeated by Lightning, so its figure may lack."""
    kind, loaders, saving, settings = CASES[case]
    saver = ModelCheckpoint(dirpath=tmp_path, filename="{step:03d}", save_top_k=-1, **saving)
    settings = {**settings, "loaders": loaders}
    whole = fit(tmp_path, Compression(feedback()), saver, module=kind(FEEDBACK), **settings)
    paths = sorted(tmp_path.glob("*.ckpt"))
    last = f"step={int(whole['scheduler']['place'][1]):03d}"
    resumable = [path for path in paths if not (path.stem.startswith(last) and "every_n_train_steps" not in saving)]
    assert len(resumable) >= 2
    for path in resumable:
        found = fit(tmp_path, Compression(feedback()), module=kind(FEEDBACK), ckpt_path=path, **settings)
        wrong = [one for one in differences(whole, found) if not one.endswith("only one has val_loss")]
        assert wrong == [], path.name


def plain_run(policies: list[Any], accumulate: int = 1, clip: float | None = None) -> nn.Module:
    """The loop that Lightning must equal: the penalty is in the loss, which is averaged over the micro-batches."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    loader = train_loader()
    steps = -(-len(loader) // accumulate)
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=steps)
    torch.manual_seed(11)
    for _ in scheduler.epochs(EPOCHS):
        for index, (x, y) in enumerate(loader, 1):
            (scheduler.loss(F.cross_entropy(model(x), y)) / accumulate).backward()
            if index % accumulate == 0:
                if clip:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                optimizer.zero_grad()
    return model


def lightning_run(folder: Path, policies: list[Any], **settings: Any) -> nn.Module:
    module = Module("adam")
    fit(folder, Compression(policies), module=module, loaders=lambda: (train_loader(),), **settings)
    return module.net


@pytest.mark.parametrize(("accumulate", "clip"), [(1, None), (1, 0.05), (7, None), (7, 0.05)])
def test_a_penalty_is_worth_what_it_is_in_the_loss(accumulate: int, clip: float | None, tmp_path: Path) -> None:
    expected = plain_run([Regularize(RegL1(0.01))], accumulate, clip)
    settings = {"accumulate_grad_batches": accumulate, "gradient_clip_val": clip}
    found = lightning_run(tmp_path, [Regularize(RegL1(0.01))], **settings)
    free = lightning_run(tmp_path, [], **settings)
    for one, two, three in zip(expected.parameters(), found.parameters(), free.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
        assert (one - three).abs().max() > 1e-3


@pytest.mark.parametrize("fused", [False, True])
def test_a_penalty_is_not_scaled_with_the_loss(fused: bool, tmp_path: Path) -> None:
    """float16 off, so that only the scaler's factor 2¹⁶ could make a difference."""

    class Scaling(Module):
        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=5e-3, fused=fused)

    def run(plugins: list[Any]) -> nn.Module:
        module = Scaling("adam")
        fit(
            tmp_path,
            Compression([Regularize(RegL1(0.01))]),
            module=module,
            loaders=lambda: (train_loader(),),
            plugins=plugins,
        )
        return module.net

    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    plugin.autocast_context_manager = lambda: torch.autocast("cpu", enabled=False)  # type: ignore[method-assign]
    for one, other in zip(run([]).parameters(), run([plugin]).parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_pruning_between_gradients_and_update_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    policies = [Policy(Prune(Cubic(0.9)), Window(2, 20, 3, "step"))]
    expected, found = plain_run(policies).state_dict(), lightning_run(tmp_path, policies).state_dict()
    assert list(differences(dict(expected), dict(found))) == []


def test_no_policies_change_nothing(tmp_path: Path) -> None:
    def run(callbacks: list[Callback]) -> dict[str, Tensor]:
        module = Module("adam")
        trainer_for(tmp_path, callbacks, enable_checkpointing=False).fit(module, *torch_loaders())
        return module.state_dict()

    assert list(differences(run([]), run([Compression([])]))) == []


def test_figures_are_logged_and_kept(tmp_path: Path) -> None:
    class Watching(Callback):
        seen: ClassVar[list[float]] = []

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if "prunus/sparsity" in trainer.callback_metrics:
                self.seen.append(float(trainer.callback_metrics["prunus/sparsity"]))

    callback = Compression(feedback(), log_every_n_steps=2, verbose=True)
    module = Module(FEEDBACK)
    trainer = trainer_for(tmp_path, [callback, Watching()], enable_checkpointing=False)
    trainer.fit(module, *both_loaders())
    assert callback.scheduler is not None
    rows = callback.scheduler.history
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3] and "val_loss" in rows[0]
    assert float(trainer.callback_metrics["prunus/sparsity"]) == pytest.approx(rows[-1]["sparsity"])
    assert float(trainer.callback_metrics["prunus/lambda"]) == pytest.approx(rows[-1]["lambda"])
    assert {"prunus/sparsity", "prunus/lambda"} <= set(trainer.progress_bar_metrics)
    assert len(set(Watching.seen)) > EPOCHS


def test_a_checkpoint_keeps_its_state_through_validation_and_a_new_fit_starts_anew(tmp_path: Path) -> None:
    saver = ModelCheckpoint(dirpath=tmp_path, filename="a", every_n_train_steps=10, enable_version_counter=False)
    whole = fit(tmp_path, Compression(feedback()), saver)
    callback = Compression(feedback())
    trainer = trainer_for(tmp_path, [callback], enable_checkpointing=False)
    trainer.validate(Module(FEEDBACK), both_loaders()[1], ckpt_path=tmp_path / "a.ckpt", verbose=False)
    assert callback.state_dict()["scheduler"]["place"][1] == 20
    assert list(differences(whole, fit(tmp_path, callback))) == []


def test_what_cannot_be_compressed_is_refused(tmp_path: Path) -> None:
    class Two(Module):
        def configure_optimizers(self) -> Any:
            return [Module.configure_optimizers(self) for _ in range(2)]

    two = Two(FEEDBACK)
    two.automatic_optimization = False
    with pytest.raises(RunError, match="drives one optimizer, configure_optimizers returned 2"):
        fit(tmp_path, Compression(feedback()), module=two)
    with pytest.raises(SettingError, match=r"prunus\.optim"):
        fit(tmp_path, Compression(feedback()), module=Module("adam"))
    with pytest.raises(SettingError, match="log_every_n_steps is -1"):
        Compression([], log_every_n_steps=-1)
    with pytest.raises(RunError, match="built when training starts"):
        Compression([]).on_train_batch_end(*[None] * 5)  # type: ignore[arg-type]


def test_checkpoints_of_other_runs_are_refused(tmp_path: Path) -> None:
    saver = ModelCheckpoint(dirpath=tmp_path, filename="a", every_n_train_steps=5, enable_version_counter=False)
    trainer_for(tmp_path, [saver]).fit(Module(FEEDBACK), *both_loaders())
    with pytest.raises(RunError, match="stands at step 25 without Compression's state.*start a new run"):
        fit(tmp_path, Compression(feedback()), ckpt_path=tmp_path / "a.ckpt")
    fit(tmp_path, Compression(feedback()), saver)
    with pytest.raises(CheckpointError, match="policies"):
        fit(tmp_path, Compression([Prune(Cubic(0.5))]), ckpt_path=tmp_path / "a.ckpt")
    state = Compression([])
    with pytest.raises(CheckpointError, match="state of Compression is damaged"):
        state.load_state_dict({"scheduler": {}})


def test_random_states_are_those_of_as_many_processes(tmp_path: Path) -> None:
    saver = ModelCheckpoint(dirpath=tmp_path, filename="a", every_n_train_steps=5, enable_version_counter=False)
    fit(tmp_path, Compression(feedback()), saver)
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["callbacks"]["Compression"]["rng"] *= 2
    torch.save(content, tmp_path / "b.ckpt")
    with pytest.raises(CheckpointError, match="is of 2 processes, this run has 1"):
        fit(tmp_path, Compression(feedback()), ckpt_path=tmp_path / "b.ckpt")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (BATCHES, EPOCHS)),
        ({"accumulate_grad_batches": 3}, (3, EPOCHS)),
        ({"max_steps": 14}, (BATCHES, 2)),
        ({"max_steps": 15}, (BATCHES, None)),
        ({"max_steps": 1000}, (BATCHES, EPOCHS)),
        ({"max_epochs": -1, "max_steps": 21}, (BATCHES, 3)),
        ({"fast_dev_run": True}, (1, 1)),
    ],
)
def test_the_length_of_the_run_is_found(settings: dict[str, Any], expected: tuple[Any, Any], tmp_path: Path) -> None:
    class Asking(Callback):
        def on_train_start(self, trainer: Trainer, *_: Any) -> None:
            found.append((steps_per_epoch(trainer), epochs(trainer)))
            trainer.should_stop = True

    found: list[Any] = []
    trainer = trainer_for(tmp_path, [Asking()], enable_checkpointing=False, **settings)
    trainer.fit(Module("adam"), train_loader())
    assert found == [expected]


def test_a_plan_of_accumulation_leaves_the_length_open(tmp_path: Path) -> None:
    plan = GradientAccumulationScheduler({0: 1, 2: 7})
    policies = [Policy(Prune(Linear(0.5)), Window(0, 10, 1, "step"))]
    found = fit(tmp_path, Compression(policies), plan, module=Module("adam"), enable_checkpointing=False)
    assert found["scheduler"]["place"][:2] == [4, 2 * BATCHES + 2]
    with pytest.raises((RunError, SettingError), match=r"dur|length|end"):
        fit(
            tmp_path,
            Compression([Policy(Prune(Linear(0.5)), Window(0, "0.5dur", 1, "step"))]),
            plan,
            module=Module("adam"),
        )


def test_a_policy_that_never_acts_is_named(tmp_path: Path) -> None:
    with pytest.warns(NoEffect, match=r"never (fires|acted)"):
        policies = [Policy(Prune(OneShot(0.5)), Window(90, 99))]
        fit(tmp_path, Compression(policies), module=Module("adam"))


def test_without_lightning_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("prunus.integrations.lightning")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lightning", "lightning.pytorch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install prunus\[lightning\]"):
        importlib.import_module("prunus.integrations.lightning")


@pytest.mark.parametrize("policies", [[SetLR(Linear(0.0, 1.0))], [Policy(SetLR(Linear(0.0, 1.0)), Window(0, 2))]])
def test_two_hands_on_the_learning_rate_are_refused(policies: list[Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the recipe and OneCycleLR both move the learning rate: leave one of them out"):
        fit(tmp_path, Compression(policies), module=Estimating(FEEDBACK))
