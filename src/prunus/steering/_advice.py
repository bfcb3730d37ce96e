"""What to try when a target is missed: the words of the family's warnings, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def too_dense(strength: float, reading: float, target: float) -> str:
    """Say that λ can rise no further, and what to try.

    >>> too_dense(10.0, 0.5, 0.9).partition(":")[0]
    'λ has stopped at max_lambda=10 while the sparsity is 0.5 (target 0.9)'
    """
    return (
        f"λ has stopped at max_lambda={strength:g} while the sparsity is {reading:.4g} (target {target:g}): raise "
        "max_lambda, or see whether lambda_scale is above 0 in the groups that hold most weights; under "
        'lambda_change="keep_survivors" a rising λ kills no weight that lives'
    )


def too_sparse(strength: float, reading: float, target: float) -> str:
    """Say that λ can fall no further, and what to try.

    >>> too_sparse(1e-6, 0.99, 0.9).partition(":")[0]
    'λ has stopped at min_lambda=1e-06 while the sparsity is 0.99 (target 0.9)'
    """
    return (
        f"λ has stopped at min_lambda={strength:g} while the sparsity is {reading:.4g} (target {target:g}): lower "
        "min_lambda, or give the duals time to cross λ: a smaller initial_lambda, a larger learning rate, a slower "
        "λ (update_frequency, warmup_steps, anti_windup)"
    )


def at_zero(reading: float, target: float) -> str:
    """Say that a λ of 0 stays 0, and what to try.

    >>> at_zero(0.5, 0.9).partition(":")[0]
    'λ is 0, which no factor raises, while the sparsity is 0.5 (target 0.9)'
    """
    return (
        f"λ is 0, which no factor raises, while the sparsity is {reading:.4g} (target {target:g}): give a "
        "min_lambda or an initial_lambda above 0, or take AdditiveLambda, which adds"
    )


def missed(reading: float, target: float, strength: float) -> str:
    """Say at the end of a run, or of its window, that the target was missed, and what to try.

    >>> missed(0.5, 0.9, 0.01).partition(":")[0]
    'steering ended at the sparsity 0.5 (target 0.9) with λ=0.01, still on its way'
    """
    way = "raise acceleration_factor (or lambda_update_rate) or initial_lambda"
    if reading > target:
        way = "lower initial_lambda or raise the learning rate, so that duals cross λ earlier"
    return (
        f"steering ended at the sparsity {reading:.4g} (target {target:g}) with λ={strength:g}, still on its way: "
        f"{way}, or give it a longer window; SparsityBudget and QuantileLambda need no search"
    )


def left_by_a_penalty(reading: float, target: float, strength: float) -> str:
    """Say at the end of a run that a penalty did not make the zeros that were asked for, and what does.

    >>> left_by_a_penalty(0.0, 0.9, 0.01).partition(":")[0]
    'steering ended at the sparsity 0 (target 0.9) with λ=0.01'
    """
    return (
        f"steering ended at the sparsity {reading:.4g} (target {target:g}) with λ={strength:g}: a penalty pulls "
        "weights towards zero and leaves few exactly there; prune as well (Prune, SafeModelPruning), or take a Bregman "
        "optimizer, whose prox makes zeros"
    )


def changed(kind: str, settings: Sequence[tuple[str, Any, Any]]) -> str:
    """Say which settings a resumed state has overruled.

    >>> changed("LambdaScheduler", [("target_sparsity", 0.95, 0.9)]).partition(";")[0]
    'LambdaScheduler goes on with target_sparsity=0.9 of the resumed state, not 0.95'
    """
    pairs = ", ".join(f"{name}={new} of the resumed state, not {old}" for name, old, new in settings)
    return f"{kind} goes on with {pairs}; to change a setting, assign to the attribute after loading"
