"""The page: complete, self-contained, escaped, and sound as a document."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from prunus.errors import MissingExtraError
from prunus.report import Report, html, table, write
from prunus.report.table import rows
from tests.report.examples import DENSE, PRUNED, REPORT, STEERED

VOID = {"meta", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Collects the text and every attribute, and insists that tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return html(REPORT)


def test_the_page_asks_the_network_for_nothing(page: str) -> None:
    assert "http://" not in page and "https://" not in page and "//" not in re.sub(r"<!.*?>", "", page)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    names = {name for _, name, _ in Reader(page).attributes}
    assert not names & {"src", "href", "srcset", "data", "xlink:href"}
    assert not re.search(r"<(script|link|iframe|img|object|embed)\b", page)


def test_every_figure_of_every_run_is_on_the_page(page: str) -> None:
    text = " ".join(" ".join(Reader(page).text).split())
    for cells in rows(REPORT):
        assert all(cell in text for cell in cells), cells
    for words in (REPORT.source, REPORT.command, "torch 9.9", "One remark.", "Prunes the small ones."):
        assert words in text
    assert "40.0 % · 60 left" in text and "95.6 % · 40 left" in text  # the layers


def test_names_are_escaped_everywhere(page: str) -> None:
    assert "<b>own" not in page and page.count("&lt;b&gt;own&lt;/b&gt; &amp; budget") >= 3
    assert "a net on &lt;digits&gt;" in page


def test_ids_are_unique_and_every_clip_exists(page: str) -> None:
    found = Reader(page).attributes
    ids = [value for _, name, value in found if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value for _, name, value in found if name == "clip-path"}
    assert used and used <= {f"url(#{value})" for value in ids}


def test_every_run_has_its_colour_in_both_themes(page: str) -> None:
    style = page.split("</style>")[0]
    assert [style.count(f".r{place} {{ --ink:") for place in range(3)] == [2, 2, 2]
    assert "prefers-color-scheme: dark" in style


def test_a_bare_run_makes_a_page_without_empty_sections() -> None:
    bare = html(Report("a net", "data.", "prunus demo", (replace(DENSE, points=()),)))
    Reader(bare)
    assert all(heading not in bare for heading in ("epoch by epoch", "Where the zeros are", "before and after"))


def test_runs_that_were_never_dense_are_compared_with_nothing() -> None:
    text = html(replace(REPORT, runs=(PRUNED, STEERED)))
    assert "97.35 % accuracy with 90 % of the weights gone." in text and ", dense" not in text


def test_write_makes_the_folder(tmp_path: Path) -> None:
    path = write(REPORT, tmp_path / "new" / "report.html")
    assert path.read_text("utf-8") == html(REPORT)


def test_a_missing_template_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"prunus\[report\]"):
        html(REPORT)


def test_the_terminal_shows_the_cells_of_the_page() -> None:

    console = Console(width=124, file=StringIO())
    console.print(table(REPORT))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(cell in drawn for cells in rows(REPORT) for cell in cells)
