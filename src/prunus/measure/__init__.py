"""What a model has left, and what it can spare: zeros, per-layer tables, bytes on disk, sensitivity; all measured."""

from prunus.measure.allocation import Share, allocate
from prunus.measure.curves import Curve, cheapest
from prunus.measure.disk import size_on_disk
from prunus.measure.layers import Row, table
from prunus.measure.readings import Reading, Sensitivity
from prunus.measure.scan import sensitivity
from prunus.measure.zeros import Count, count, sparsity

__all__ = [
    "Count",
    "Curve",
    "Reading",
    "Row",
    "Sensitivity",
    "Share",
    "allocate",
    "cheapest",
    "count",
    "sensitivity",
    "size_on_disk",
    "sparsity",
    "table",
]
