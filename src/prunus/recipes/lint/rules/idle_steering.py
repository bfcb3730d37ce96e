"""idle-steering: a steering that cannot move λ."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Regularize, Steer
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say
from prunus.steering import AdditiveLambda, LambdaScheduler, Steering


def idle_steering(draft: Draft) -> Iterator[Fault]:
    """A steering cannot move λ: its rate is 0, its bounds are one value, or it multiplies a λ of 0.

    >>> list(idle_steering(Draft("native", ())))
    []
    """
    for act in draft.acts:
        steering = act.action.steering if isinstance(act.action, (Regularize, Steer)) else None
        key, reason = _why(steering)
        if key:
            yield say(act.at("steering", key), f"{reason}, so λ never moves", "Drop the steering, or let it move.")


def _why(steering: Steering | None) -> tuple[str, str]:
    """Return the setting that holds λ and why, or two empty texts."""
    if not isinstance(steering, (AdditiveLambda, LambdaScheduler)):
        return "", ""
    if steering.min_lambda == steering.max_lambda:
        return "max_lambda", f"min_lambda and max_lambda are both {steering.max_lambda:g}"
    if isinstance(steering, AdditiveLambda):
        return ("lambda_update_rate", "lambda_update_rate is 0") if steering.lambda_update_rate == 0 else ("", "")
    if steering.acceleration_factor == 0:
        return "acceleration_factor", "acceleration_factor is 0"
    return ("initial_lambda", "initial_lambda is 0 and is multiplied") if steering.initial_lambda == 0 else ("", "")
