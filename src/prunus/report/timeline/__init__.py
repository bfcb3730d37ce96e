"""Timelines to look at: in a terminal, as a picture, as a page."""

from prunus.report.timeline.page import html
from prunus.report.timeline.table import shown
from prunus.report.timeline.writing import timeline_picture

__all__ = ["html", "shown", "timeline_picture"]
