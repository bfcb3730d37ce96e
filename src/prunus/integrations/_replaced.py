"""Weights that were replaced behind the last epoch: by their average, or by those of the best checkpoint."""

from __future__ import annotations

import warnings

from prunus.errors import NoEffect


def say_what_fell(before: float, now: float) -> None:
    """Warn NoEffect when the sparsity at the end of a run is below that at the end of its last epoch.

    >>> say_what_fell(before=0.9, now=0.9)
    """
    if now < before:
        text = f"the sparsity fell from {before:.4g} to {now:.4g} behind the last epoch, for the weights were replaced"
        warnings.warn(f"{text}: by their average, or by those of an earlier checkpoint", NoEffect, stacklevel=2)
