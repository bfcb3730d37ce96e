"""Bregman optimizers in float64, one entry at a time, written from algorithms 1-3 of JMLR 23(192), 2022."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Gradient = Callable[[Tensor, int], Tensor]
Prox = Callable[[Tensor, float], Tensor]


def linbreg(
    start: Tensor, gradient: Gradient, reg, *, lr: float, delta: float = 1.0, momentum: float = 0.0
) -> Iterator[Tensor]:
    theta, v = start, _start(start, reg, delta)
    m = [0.0] * len(v)
    for step in range(10**9):
        g = gradient(theta, step).flatten().tolist()
        for i in range(len(v)):
            m[i] = momentum * m[i] + (1 - momentum) * lr * g[i]
            v[i] = v[i] - m[i]
        theta = _prox(reg, v, delta, start)
        yield theta


def adabreg(
    start: Tensor, gradient: Gradient, reg, *, lr: float, delta: float = 1.0, betas=(0.9, 0.999), eps: float = 1e-8
) -> Iterator[Tensor]:
    theta, v = start, _start(start, reg, delta)
    m1, m2 = [0.0] * len(v), [0.0] * len(v)
    for step in range(10**9):
        g = gradient(theta, step).flatten().tolist()
        for i in range(len(v)):
            m1[i] = betas[0] * m1[i] + (1 - betas[0]) * g[i]
            m2[i] = betas[1] * m2[i] + (1 - betas[1]) * g[i] ** 2
            mean = m1[i] / (1 - betas[0] ** (step + 1))
            root = math.sqrt(m2[i] / (1 - betas[1] ** (step + 1)))
            v[i] = v[i] - lr * mean / (root + eps)
        theta = _prox(reg, v, delta, start)
        yield theta


def proxsgd(start: Tensor, gradient: Gradient, reg, *, lr: float) -> Iterator[Tensor]:
    theta = start
    for step in range(10**9):
        g = gradient(theta, step).flatten().tolist()
        moved = [t - lr * slope for t, slope in zip(theta.flatten().tolist(), g, strict=True)]
        theta = reg.prox(torch.tensor(moved, dtype=torch.float64).view(start.shape), lr)
        yield theta


def _start(theta: Tensor, reg, delta: float) -> list[float]:
    pairs = zip(theta.flatten().tolist(), reg.sub_grad(theta).flatten().tolist(), strict=True)
    return [t / delta + p for t, p in pairs]


def _prox(reg, v: list[float], delta: float, like: Tensor) -> Tensor:
    return reg.prox(torch.tensor([delta * x for x in v], dtype=torch.float64).view(like.shape), delta)


TWINS = {"adabreg": adabreg, "linbreg": linbreg, "proxsgd": proxsgd}
