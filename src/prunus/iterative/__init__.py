"""Prune, retrain, repeat: magnitude pruners for any loop, and the rewinding that makes retraining strong."""

from __future__ import annotations

from prunus.iterative.cycles import IterativeMagnitudePruner
from prunus.iterative.magnitude import MagnitudePruner
from prunus.iterative.rewind import Rewinder

__all__ = ["IterativeMagnitudePruner", "MagnitudePruner", "Rewinder"]
