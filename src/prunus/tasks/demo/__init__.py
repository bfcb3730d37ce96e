"""The demonstration: dense, gradual magnitude pruning and two ways of Bregman training, side by side on real images."""

from __future__ import annotations

from prunus.tasks.demo.records import perform, perform_all, report
from prunus.tasks.demo.runs import RUNS, SUBSET, Run, epochs_for, recipe

__all__ = ["RUNS", "SUBSET", "Run", "epochs_for", "perform", "perform_all", "recipe", "report"]
