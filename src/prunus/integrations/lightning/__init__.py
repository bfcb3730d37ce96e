"""Lightning: the callback ``Compression``, a thin shell around the one CompressionScheduler."""

from __future__ import annotations

from prunus.errors import MissingExtraError
from prunus.integrations._torchvision import guard_torchvision

guard_torchvision()  # before the first import of Lightning, which a broken torchvision would take down

try:
    import lightning.pytorch  # noqa: F401
except ModuleNotFoundError as fault:
    if (fault.name or "").partition(".")[0] != "lightning":
        raise
    raise MissingExtraError("prunus.integrations.lightning needs Lightning: pip install prunus[lightning]") from fault

from prunus.integrations.lightning.compression import Compression  # noqa: E402

__all__ = ["Compression"]
