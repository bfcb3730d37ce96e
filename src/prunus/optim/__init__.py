"""Bregman optimizers: weights follow a dual variable through a prox, so training can start, and stay, sparse."""

from __future__ import annotations

from prunus.optim.adabreg import AdaBreg, adabreg_update_
from prunus.optim.base import BregmanOptimizer, Regularized
from prunus.optim.linbreg import LinBreg, linbreg_update_
from prunus.optim.mirror import start_dual
from prunus.optim.proxsgd import ProxSGD, proxsgd_update_
from prunus.optim.sparse_init import sparsify_

OPTIMIZERS: dict[str, type[BregmanOptimizer]] = {
    "adabreg": AdaBreg,
    "linbreg": LinBreg,
    "proxsgd": ProxSGD,
}

__all__ = [
    "OPTIMIZERS",
    "AdaBreg",
    "BregmanOptimizer",
    "LinBreg",
    "ProxSGD",
    "Regularized",
    "adabreg_update_",
    "linbreg_update_",
    "proxsgd_update_",
    "sparsify_",
    "start_dual",
]
