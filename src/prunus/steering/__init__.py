"""What moves λ, or caps what may live, while a Bregman optimizer trains."""

from prunus.steering._loop import FeedbackLoop
from prunus.steering.additive import AdditiveLambda
from prunus.steering.base import Steering, require_steerable, set_lambda
from prunus.steering.budget import SparsityBudget
from prunus.steering.feedback import LambdaScheduler
from prunus.steering.quantile import QuantileLambda

STEERING: dict[str, type[Steering]] = {
    "additive": AdditiveLambda,
    "budget": SparsityBudget,
    "feedback": LambdaScheduler,
    "quantile": QuantileLambda,
}

__all__ = [
    "STEERING",
    "AdditiveLambda",
    "FeedbackLoop",
    "LambdaScheduler",
    "QuantileLambda",
    "SparsityBudget",
    "Steering",
    "require_steerable",
    "set_lambda",
]
