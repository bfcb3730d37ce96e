"""Lightning: the callback ``Compression``, a thin shell around the one CompressionScheduler, and its front doors.

``MagnitudePruner`` and ``SafeModelPruning`` make the policies from the arguments of torch's pruning, ``BregmanPruner``
from those of Bregman training or of a steered penalty.
"""

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

from prunus.integrations.lightning.bregman_pruner import BregmanPruner  # noqa: E402
from prunus.integrations.lightning.checkpoint_handler import PrunedCheckpointHandler  # noqa: E402
from prunus.integrations.lightning.compression import Compression  # noqa: E402
from prunus.integrations.lightning.hold_trackers import HoldTrackers  # noqa: E402
from prunus.integrations.lightning.magnitude_pruner import MagnitudePruner  # noqa: E402
from prunus.integrations.lightning.safe_model_pruning import SafeModelPruning  # noqa: E402

__all__ = [
    "BregmanPruner",
    "Compression",
    "HoldTrackers",
    "MagnitudePruner",
    "PrunedCheckpointHandler",
    "SafeModelPruning",
]
