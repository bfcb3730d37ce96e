"""What a model has left: zeros, per-layer tables, bytes on disk. Each figure is measured, none estimated."""

from prunus.measure.size import size_on_disk
from prunus.measure.sparsity import Count, count, sparsity
from prunus.measure.table import Row, table

__all__ = ["Count", "Row", "count", "size_on_disk", "sparsity", "table"]
