"""Small kernels in C, compiled on first use; where that cannot be, everything works without them, in plain torch."""

from __future__ import annotations

from prunus._native.clearing import Clearing, can_clear, matches
from prunus._native.library import available, why_not

__all__ = ["Clearing", "available", "can_clear", "matches", "why_not"]
