"""Hydra's configurations of ``prunus train``: YAML only. docs/train.md explains them."""

from __future__ import annotations
