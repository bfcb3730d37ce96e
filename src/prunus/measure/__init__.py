"""What a model has left: zeros, per-layer tables, bytes on disk. Each figure is measured, none estimated."""

from prunus.measure.disk import size_on_disk
from prunus.measure.layers import Row, table
from prunus.measure.zeros import Count, count, sparsity

__all__ = ["Count", "Row", "count", "size_on_disk", "sparsity", "table"]
