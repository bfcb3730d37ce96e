"""Bregman optimizers: weights follow a dual variable through a prox, so training can start, and stay, sparse."""

from __future__ import annotations

from prunus.optim.adabreg import AdaBreg, adabreg_update_
from prunus.optim.base import BregmanOptimizer, Regularized
from prunus.optim.linbreg import LinBreg, linbreg_update_
from prunus.optim.mirror import start_dual
from prunus.optim.proxsgd import ProxSGD, proxsgd_update_

# Sparse initialisation lives below, where selection can use it as well; here are its names beside the optimizers.
from prunus.sparse_init import initialise_ as initialise_
from prunus.sparse_init import sparsify_ as sparsify_

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
    "start_dual",
]
