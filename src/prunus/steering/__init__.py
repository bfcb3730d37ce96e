"""What moves λ, or caps what may live, while a Bregman optimizer trains."""

from prunus.steering._loop import FeedbackLoop
from prunus.steering.additive import AdditiveLambda
from prunus.steering.base import Steering, require_steerable, set_lambda
from prunus.steering.budget import SparsityBudget
from prunus.steering.feedback import LambdaScheduler

STEERING: dict[str, type[Steering]] = {
    "additive": AdditiveLambda,
    "budget": SparsityBudget,
    "feedback": LambdaScheduler,
}

__all__ = [
    "STEERING",
    "AdditiveLambda",
    "FeedbackLoop",
    "LambdaScheduler",
    "SparsityBudget",
    "Steering",
    "require_steerable",
    "set_lambda",
]
