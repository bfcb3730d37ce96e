"""Learning-rate schedulers of Distiller's files, slowly: epoch by epoch, and never in the words of the formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

Rate = Callable[[float, int], float]


def step(step_size: int, gamma: float = 0.1) -> Rate:
    return lambda base, epoch: base * math.prod(gamma for e in range(1, epoch + 1) if e % step_size == 0)


def multi_step(milestones: Iterable[int], gamma: float = 0.1) -> Rate:
    return lambda base, epoch: base * math.prod(gamma for milestone in milestones if milestone <= epoch)


def multi_gamma(milestones: Iterable[int], gammas: Iterable[float]) -> Rate:
    return lambda base, epoch: base * math.prod(g for m, g in zip(milestones, gammas, strict=True) if m <= epoch)


def exponential(gamma: float) -> Rate:
    return lambda base, epoch: base * math.prod(gamma for _ in range(epoch))


def constant(factor: float, total_iters: int) -> Rate:
    return lambda base, epoch: (base * factor, base)[epoch >= total_iters]


def linear(start_factor: float, end_factor: float, total_iters: int) -> Rate:
    def rate(base: float, epoch: int) -> float:
        factor = start_factor
        for _ in range(min(epoch, total_iters)):
            factor += (end_factor - start_factor) / total_iters
        return base * factor

    return rate


def polynomial(T_max: int, power: float) -> Rate:
    return lambda base, epoch: base * math.exp(power * math.log((T_max - epoch) / T_max)) if epoch < T_max else 0.0


def cosine(T_max: int, eta_min: float) -> Rate:
    return lambda base, epoch: eta_min + (base - eta_min) * math.cos(math.pi * epoch / T_max / 2) ** 2


def restarts(T_0: int, T_mult: int, eta_min: float) -> Rate:
    def rate(base: float, epoch: int) -> float:
        since, length = 0, T_0
        for _ in range(epoch):
            since += 1
            if since == length:
                since, length = 0, length * T_mult
        return cosine(length, eta_min)(base, since)

    return rate


def cyclic(
    base_lr: float, max_lr: float, step_size_up: int, step_size_down: int, mode: str, gamma: float = 1.0
) -> Rate:
    def rate(base: float, epoch: int) -> float:
        heights = [at / step_size_up for at in range(step_size_up)]
        heights += [1 - at / step_size_down for at in range(step_size_down)]
        scale = {"triangular": 1.0, "triangular2": 2.0 ** -(epoch // len(heights)), "exp_range": gamma**epoch}[mode]
        return base_lr + (max_lr - base_lr) * heights[epoch % len(heights)] * scale

    return rate


def one_cycle(max_lr: float, total_steps: int, pct_start: float, div_factor: float, final_div_factor: float) -> Rate:
    peak, begin = pct_start * total_steps - 1, max_lr / div_factor

    def rate(base: float, epoch: int) -> float:
        if epoch <= peak:
            return begin + (max_lr - begin) * math.sin(math.pi / 2 * epoch / peak) ** 2
        left = max(0.0, (total_steps - 1 - epoch) / (total_steps - 1 - peak))
        end = begin / final_div_factor
        return end + (max_lr - end) * math.sin(math.pi / 2 * left) ** 2

    return rate


BY_EPOCH: dict[str, Callable[..., Rate]] = {
    "ConstantLR": constant,
    "CosineAnnealingLR": cosine,
    "CosineAnnealingWarmRestarts": restarts,
    "CyclicLR": cyclic,
    "ExponentialLR": exponential,
    "LambdaLR": lambda lr_lambda: lambda base, epoch: base * lr_lambda(epoch),
    "LinearLR": linear,
    "MultiStepLR": multi_step,
    "MultiStepMultiGammaLR": multi_gamma,
    "OneCycleLR": one_cycle,
    "PolynomialLR": polynomial,
    "StepLR": step,
}


def plateau(losses: list[float], base: float, factor: float, patience: int, cooldown: int, threshold: float) -> float:
    """Return the rate after these losses."""
    best, bad, wait, rate = math.inf, 0, 0, base
    for loss in losses:
        if loss < best - threshold * best if best < math.inf else True:
            best, bad = loss, 0
        elif wait:
            bad = 0
        else:
            bad += 1
        wait = max(0, wait - 1)
        if bad > patience:
            rate, bad, wait = rate * factor, 0, cooldown
    return rate


def rates(name: str, settings: dict[str, Any], base: float, firing: list[int], losses: list[float]) -> list[float]:
    """Return the rate of each epoch (one a loss) when the policy fires in these."""
    if name == "ReduceLROnPlateau":
        seen = [[losses[e] for e in firing if e < epoch] for epoch in range(len(losses))]
        return [plateau(one, base, **settings) for one in seen]
    if name == "MultiplicativeLR":
        told = [[e + 1 for e in firing if e < epoch] for epoch in range(len(losses))]
        return [base * math.prod(settings["lr_lambda"](e) for e in one) for one in told]
    rate = BY_EPOCH[name](**settings)
    last = [max([e + 1 for e in firing if e < epoch], default=0) for epoch in range(len(losses))]
    return [rate(base, epoch) for epoch in last]
