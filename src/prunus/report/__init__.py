"""Reports of finished runs: a table for the terminal, a page for the browser, pictures for a README."""

from __future__ import annotations

from prunus.report.page import html, write
from prunus.report.picture import picture
from prunus.report.records import Histogram, Point, Report, RunRecord
from prunus.report.scan import scan_picture, scan_svg
from prunus.report.table import table

__all__ = ["Histogram", "Point", "Report", "RunRecord", "html", "picture", "scan_picture", "scan_svg", "table", "write"]
