"""The colours of a timeline by role, for a light and a dark page: those of every report."""

from __future__ import annotations

from prunus.report.palette import COLOURS, SPARE

INKS: dict[str, tuple[str, str]] = {
    "alarm": SPARE[3],
    "card": ("#ffffff", "#201d24"),
    "other": COLOURS["dense"],
    "prune": COLOURS["magnitude"],
    "rate": SPARE[1],
    "regularize": SPARE[0],
    "rewire": SPARE[2],
    "rule": ("#e6e1da", "#35303b"),
    "soft": ("#6a655f", "#a39cab"),
    "steer": COLOURS["feedback"],
    "text": ("#23211f", "#ece8ee"),
}
"""(light, dark) of each role; policies are coloured by what they do."""
