"""Which parameters take part: patterns, layer types, sizes, and the reason for every choice.

One set of rules serves every front: :class:`Select` chooses by pattern, :class:`ParameterManager` by layer type.
:class:`PruningManager` shares the parameters among groups that are trained in different ways.
"""

from __future__ import annotations

from prunus.select.layers import ALLOWED, PROTECTED
from prunus.select.manager import ParameterManager, Selection
from prunus.select.pruning_manager import ProcessedGroup, PruningManager
from prunus.select.rules import Select, explain, require_in_optimizer, targets
from prunus.select.target import Choice, Target
from prunus.select.walk import Walk

__all__ = [
    "ALLOWED",
    "PROTECTED",
    "Choice",
    "ParameterManager",
    "ProcessedGroup",
    "PruningManager",
    "Select",
    "Selection",
    "Target",
    "Walk",
    "explain",
    "require_in_optimizer",
    "targets",
]
