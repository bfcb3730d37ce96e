"""Hugging Face: the callback ``Compression`` for ``Trainer``, a thin shell around the one CompressionScheduler."""

from __future__ import annotations

from prunus.errors import MissingExtraError
from prunus.integrations._torchvision import guard_torchvision

guard_torchvision()  # before the first import of transformers, which a broken torchvision would take down

try:
    import accelerate  # noqa: F401
    import transformers  # noqa: F401
except ModuleNotFoundError as fault:
    if (fault.name or "").partition(".")[0] not in ("accelerate", "transformers"):
        raise
    raise MissingExtraError(
        f"prunus.integrations.transformers needs {fault.name}: pip install prunus[transformers]"
    ) from fault

from prunus.integrations.transformers.compression import Compression  # noqa: E402

__all__ = ["Compression"]
