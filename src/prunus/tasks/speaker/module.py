"""The module that trains a speaker encoder: margin loss on training speakers, error rates on unknown ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Adam, Optimizer

from prunus.errors import RunError, SettingError, require_count
from prunus.integrations.loop import SPREAD
from prunus.select import PruningManager
from prunus.tasks.experiment.optimizers import optimization
from prunus.tasks.speaker.augment import Augment
from prunus.tasks.speaker.data_module import SpeakerData
from prunus.tasks.speaker.encoders import Encoder, build
from prunus.tasks.speaker.margin import AAMSoftmax
from prunus.tasks.speaker.sound import unpacked
from prunus.tasks.speaker.trials import Trials, all_pairs

USUAL = Augment(seconds=2.0, noise=0.6, snr=(10.0, 30.0), band=400.0)
COSTS = {"min_dcf_05": 0.05, "min_dcf_01": 0.01}


class SpeakerModule(LightningModule):
    """Speaker verification, ready for ``Trainer.fit(module, datamodule=SpeakerData(...))``.

    Trains the encoder with an additive angular margin over the training speakers. Logs ``train/loss`` and
    ``train/accuracy``; after each epoch ``valid/eer``, ``valid/min_dcf_05`` and ``valid/min_dcf_01`` over all pairs of
    validation utterances (lower is better); in a test the same under ``test/``, and the ends of the 95 % bootstrap
    intervals over speakers with ``_low`` and ``_high``. ``trials`` keeps the last scored trials.

    Augmentation is drawn from ``seed`` and the step, so a resumed run continues to the bit. ``classifier`` is known
    with the number of speakers: at once, or when the trainer has asked the data module.

    Args:
        model: a name in MODELS, or an Encoder.
        optimizer: makes the optimizer from parameters or groups (``_partial_: true``); None is Adam at 1e-3.
        lr_scheduler: mapping with ``scheduler`` (makes it from the optimizer) and ``extras`` (monitor, interval, …).
        pruning_groups: settings of :class:`prunus.select.PruningManager`, with an optimizer of prunus.optim.
        margin, scale: of :func:`prunus.tasks.speaker.aam_logits`.
        speakers: training classes; None asks the data module of the trainer.
        published: start from the published weights (resemblyzer only).
        augment: what is done to training waves; None is a crop of 2 s, noise and silenced bands (USUAL).
        draws: bootstrap resamples of a test.
        seed: of initial weights and augmentation.

    Errors: SettingError for settings out of range, RunError when the number of speakers cannot be known.

    >>> SpeakerModule("x_vector_small", speakers=5).classifier.weight.shape
    torch.Size([5, 128])
    """

    def __init__(
        self,
        model: str | Encoder = "ecapa_tdnn_small",
        optimizer: Callable[[Iterable[Any]], Optimizer] | None = None,
        lr_scheduler: Mapping[str, Any] | None = None,
        pruning_groups: Sequence[Mapping[str, Any]] | None = None,
        margin: float = 0.2,
        scale: float = 30.0,
        *,
        speakers: int | None = None,
        published: bool = False,
        augment: Augment | None = None,
        draws: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_count("draws", draws)
        require_count("seed", seed, 0)
        if published and not isinstance(model, str):
            raise SettingError("published=True needs model by its name, or build('resemblyzer', published=True)")
        self.encoder = build(model, seed, published=published) if isinstance(model, str) else model
        self.optimizer = partial(Adam, lr=1e-3) if optimizer is None else optimizer
        self.lr_scheduler, self.pruning_groups = lr_scheduler, pruning_groups
        self.margin, self.scale, self.draws, self.seed = margin, scale, draws, seed
        self.augment = USUAL if augment is None else augment
        self.pruning_manager: PruningManager | None = None
        self.trials: Trials | None = None
        self.classifier = self._classifier(2 if speakers is None else speakers)
        self._told = speakers is not None
        self._heard: list[tuple[Tensor, Tensor]] = []

    def forward(self, waves: Tensor) -> Tensor:
        """Return the embeddings of waves (batch, time) at 8 kHz, int16 or floats in [-1, 1]."""
        embeddings: Tensor = self.encoder(unpacked(waves) if waves.dtype == torch.int16 else waves)
        return embeddings

    def setup(self, stage: str) -> None:
        """Make the classifier as wide as the data module has speakers, unless that is known."""
        if self._told or stage != "fit":
            return
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, SpeakerData):
            raise RunError("the number of speakers is unknown: fit with a SpeakerData, or give speakers=")
        self.classifier, self._told = self._classifier(data.speakers), True

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the number of speakers from the checkpoint where it was not given."""
        if not self._told:
            speakers = len(checkpoint["state_dict"]["classifier.weight"])
            self.classifier, self._told = self._classifier(speakers), True

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        waves, labels = batch
        generator = torch.Generator().manual_seed((self.seed * SPREAD + self.global_step) % 2**32)
        embeddings = self(self.augment(unpacked(waves), generator))
        loss: Tensor = self.classifier(embeddings, labels)
        right = (self.classifier.cosines(embeddings.detach()).argmax(dim=1) == labels).float().mean()
        self.log_dict(
            {"train/loss": loss, "train/accuracy": right}, on_step=False, on_epoch=True, batch_size=len(labels)
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the embeddings of a validation batch."""
        self._heard.append((self(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        """Log the error rates over all pairs."""
        trials = self._scored()
        self.log("valid/eer", trials.eer, prog_bar=True)
        self.log_dict({f"valid/{name}": trials.min_dcf(prior) for name, prior in COSTS.items()})

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the embeddings of a test batch."""
        self._heard.append((self(batch[0]), batch[1]))

    def on_test_epoch_end(self) -> None:
        """Log the error rates over all pairs, with bootstrap intervals over speakers."""
        for name, found in self._scored().intervals(self.draws, self.seed).items():
            self.log_dict({f"test/{name}": found.value, f"test/{name}_low": found.low, f"test/{name}_high": found.high})

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the optimizer and its schedule; the pruning groups stay at hand as ``pruning_manager``."""
        made = optimization(self, self.optimizer, self.lr_scheduler, self.pruning_groups)
        self.pruning_manager = made.pruning_manager
        return made.for_lightning()

    def _classifier(self, speakers: int) -> AAMSoftmax:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return AAMSoftmax(self.encoder.dim, speakers, self.margin, self.scale)

    def _scored(self) -> Trials:
        """All pairs of what was heard since the last time."""
        embeddings, labels = (torch.cat(parts).cpu() for parts in zip(*self._heard, strict=True))
        self._heard = []
        self.trials = all_pairs(embeddings, labels)
        return self.trials
