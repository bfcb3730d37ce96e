"""Bregman optimizers in float64, one entry at a time, written from algorithms 1-3 of JMLR 23(192), 2022."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Gradient = Callable[[Tensor, int], Tensor]
Lambdas = Callable[[int], float]


def linbreg(
    start: Tensor,
    gradient: Gradient,
    reg,
    *,
    lr: float,
    delta: float = 1.0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    lambda_change: str = "none",
    lambdas: Lambdas | None = None,
) -> Iterator[Tensor]:
    theta, v, lamda = start, None, reg.lamda
    for step in range(10**9):
        reg.lamda = lambdas(step) if lambdas else lamda
        if v is None:
            v, m = _start(start, reg, delta), [0.0] * start.numel()
        elif lambda_change == "keep_survivors":
            v = _carried(v, theta, reg, lamda)
        lamda = reg.lamda
        g = _slopes(gradient, theta, step, weight_decay)
        for i in range(len(v)):
            m[i] = momentum * m[i] + (1 - momentum) * lr * g[i]
            v[i] = v[i] - m[i]
        theta = _prox(reg, v, delta, start)
        yield theta


def adabreg(
    start: Tensor,
    gradient: Gradient,
    reg,
    *,
    lr: float,
    delta: float = 1.0,
    betas=(0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    lambda_change: str = "none",
    lambdas: Lambdas | None = None,
) -> Iterator[Tensor]:
    theta, v, lamda = start, None, reg.lamda
    for step in range(10**9):
        reg.lamda = lambdas(step) if lambdas else lamda
        if v is None:
            v, m1, m2 = _start(start, reg, delta), [0.0] * start.numel(), [0.0] * start.numel()
        elif lambda_change == "keep_survivors":
            v = _carried(v, theta, reg, lamda)
        lamda = reg.lamda
        g = _slopes(gradient, theta, step, weight_decay)
        for i in range(len(v)):
            m1[i] = betas[0] * m1[i] + (1 - betas[0]) * g[i]
            m2[i] = betas[1] * m2[i] + (1 - betas[1]) * g[i] ** 2
            mean = m1[i] / (1 - betas[0] ** (step + 1))
            root = math.sqrt(m2[i] / (1 - betas[1] ** (step + 1)))
            v[i] = v[i] - lr * mean / (root + eps)
        theta = _prox(reg, v, delta, start)
        yield theta


def proxsgd(
    start: Tensor, gradient: Gradient, reg, *, lr: float, weight_decay: float = 0.0, lambdas: Lambdas | None = None
) -> Iterator[Tensor]:
    theta = start
    for step in range(10**9):
        reg.lamda = lambdas(step) if lambdas else reg.lamda
        g = _slopes(gradient, theta, step, weight_decay)
        moved = [t - lr * slope for t, slope in zip(theta.flatten().tolist(), g, strict=True)]
        theta = reg.prox(torch.tensor(moved, dtype=torch.float64).view(start.shape), lr)
        yield theta


def _slopes(gradient: Gradient, theta: Tensor, step: int, weight_decay: float) -> list[float]:
    pairs = zip(gradient(theta, step).flatten().tolist(), theta.flatten().tolist(), strict=True)
    return [g + weight_decay * t for g, t in pairs]


def _carried(v: list[float], theta: Tensor, reg, before: float) -> list[float]:
    """Return v + p(θ) at the new λ − p(θ) at the old one."""
    now = reg.lamda
    new = reg.sub_grad(theta).flatten().tolist()
    reg.lamda = before
    old = reg.sub_grad(theta).flatten().tolist()
    reg.lamda = now
    return [x + a - b for x, a, b in zip(v, new, old, strict=True)]


def _start(theta: Tensor, reg, delta: float) -> list[float]:
    pairs = zip(theta.flatten().tolist(), reg.sub_grad(theta).flatten().tolist(), strict=True)
    return [t / delta + p for t, p in pairs]


def _prox(reg, v: list[float], delta: float, like: Tensor) -> Tensor:
    return reg.prox(torch.tensor([delta * x for x in v], dtype=torch.float64).view(like.shape), delta)


TWINS = {"adabreg": adabreg, "linbreg": linbreg, "proxsgd": proxsgd}
