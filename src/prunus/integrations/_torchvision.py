"""Let Lightning and torchmetrics load beside a torchvision that cannot be imported.

A torchvision built for another torch fails while it is imported ("operator torchvision::nms does not exist"). Both
libraries take the installed version as proof that it works, import it, and fail with it. prunus needs neither
torchvision nor what they would use it for, so a broken one is made to look absent, which both handle.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError

NAME = "torchvision"


class _NotInstalled(MetaPathFinder):
    """Answer a question for the installed version of torchvision with "not installed"; leave the rest to others."""

    def find_spec(self, *_: object) -> ModuleSpec | None:
        return None

    @staticmethod
    def find_distributions(context: DistributionFinder.Context) -> Iterable[Distribution]:
        if (context.name or "").lower() == NAME:
            raise PackageNotFoundError(NAME)
        return ()


def guard_torchvision() -> bool:
    """Make a torchvision that is installed but cannot be imported look absent in this process; return whether it does.

    Call it before the first import of Lightning or torchmetrics. A torchvision that works, or is not there, is left
    alone. Otherwise ``import torchvision`` raises ModuleNotFoundError from here on, ``find_spec`` finds nothing and
    ``importlib.metadata`` knows no version, and one line of the log says why.

    >>> guard_torchvision() == guard_torchvision()
    True
    """
    if any(isinstance(finder, _NotInstalled) for finder in sys.meta_path):
        return True
    fault = _fault()
    if fault is None:
        return False
    for module in [name for name in sys.modules if name.startswith(f"{NAME}.")]:
        del sys.modules[module]
    sys.modules[NAME] = None  # type: ignore[assignment]  # how Python itself marks a module as not importable
    sys.meta_path.insert(0, _NotInstalled())
    logging.getLogger(__name__).warning("torchvision cannot be imported (%s); it is treated as not installed", fault)
    return True


def _fault() -> Exception | None:
    if NAME in sys.modules:
        return None
    try:
        importlib.import_module(NAME)
    except ModuleNotFoundError as fault:
        return None if fault.name == NAME else fault
    except Exception as fault:  # a mismatched build fails in any way it likes
        return fault
    return None
