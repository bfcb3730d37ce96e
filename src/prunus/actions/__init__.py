"""What a policy does when its window fires."""

from prunus.actions.adaptive import Adaptive
from prunus.actions.base import Action, Bound, Moment, Site
from prunus.actions.prune import Prune
from prunus.actions.regularize import Regularize
from prunus.actions.rewire import Rewire
from prunus.actions.set_lr import SetLR
from prunus.actions.steer import Steer

ACTIONS: dict[str, type[Action]] = {
    "adaptive": Adaptive,
    "prune": Prune,
    "regularize": Regularize,
    "rewire": Rewire,
    "set_lr": SetLR,
    "steer": Steer,
}

__all__ = [
    "ACTIONS",
    "Action",
    "Adaptive",
    "Bound",
    "Moment",
    "Prune",
    "Regularize",
    "Rewire",
    "SetLR",
    "Site",
    "Steer",
]
