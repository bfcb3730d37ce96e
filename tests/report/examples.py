"""Reports made by hand, for every test of this folder."""

from __future__ import annotations

from dataclasses import replace

from prunus.measure import Count, Row
from prunus.report import Histogram, Point, Report, RunRecord

LAYERS = (Row("conv.weight", (4, 1, 5, 5), Count(40, 100), 1), Row("fc.weight", (10, 90), Count(860, 900), 2))
POINTS = tuple(
    Point(epoch, loss=2.0 / (1 + epoch), sparsity=min(0.9, epoch / 2), lamda=0.01, accuracy=0.5 + epoch / 8)
    for epoch in (0.5, 1.0, 2.0, 3.0)
)
DENSE = RunRecord(
    "dense", "dense", None, Count(0, 1000), 0.985, 4000, 9.0, tuple(replace(p, lamda=None) for p in POINTS)
)
PRUNED = RunRecord(
    "magnitude, 90 %", "magnitude", 0.9, Count(900, 1000), 0.98, 812, 10.25, POINTS, LAYERS,
    Histogram(-1.0, 1.0, before=(10, 30, 20), after=(4, 0, 6)),
)  # fmt: skip
STEERED = replace(PRUNED, name="<b>own</b> & budget, 98 %", method="own", asked=0.98, accuracy=0.9735, size=96)
REPORT = Report(
    "a net on <digits>",
    "100 digits made by hand.",
    "prunus demo --seed 3",
    (DENSE, PRUNED, STEERED),
    versions={"prunus": "0.0", "torch": "9.9"},
    notes=("One remark.",),
    methods={"magnitude": "Prunes the small ones."},
)
