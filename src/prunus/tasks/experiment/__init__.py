"""Experiments from configuration: compose it, build its parts, train, test the best checkpoint, say what came out.

The configurations are :mod:`prunus.conf`; the command is ``prunus train``.
"""

from __future__ import annotations

from prunus.errors import MissingExtraError

try:
    import hydra  # noqa: F401
except ModuleNotFoundError as fault:
    if (fault.name or "").partition(".")[0] != "hydra":
        raise
    raise MissingExtraError("experiments are configured with Hydra: pip install prunus[lightning]") from fault

import prunus.integrations.lightning  # noqa: F401  # guards against a broken torchvision before Lightning loads
from prunus.tasks.experiment.composing import MODULE, VERSION, compose, options
from prunus.tasks.experiment.lines import EpochLines
from prunus.tasks.experiment.optimizers import Optimization, optimization
from prunus.tasks.experiment.outcome import Outcome, outcomes, read, write
from prunus.tasks.experiment.parts import build, build_all
from prunus.tasks.experiment.perform import perform
from prunus.tasks.experiment.resume import LAST, checkpoint_of, folder_for, newest

__all__ = [
    "LAST",
    "MODULE",
    "VERSION",
    "EpochLines",
    "Optimization",
    "Outcome",
    "build",
    "build_all",
    "checkpoint_of",
    "compose",
    "folder_for",
    "newest",
    "optimization",
    "options",
    "outcomes",
    "perform",
    "read",
    "write",
]
