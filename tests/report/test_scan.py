"""The picture of a scan: every line that has figures, names where they can be read, one file that stands alone."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prunus.errors import MissingExtraError, SettingError
from prunus.measure import Reading, Sensitivity
from prunus.report import scan_picture, scan_svg

SVG = "{http://www.w3.org/2000/svg}"


def scan_of(targets: int, value: float = 0.5) -> Sensitivity:
    rows = [
        Reading(f"a<{i}>.weight", level, 1, 2, 2, {"accuracy": value * (1 - level), "loss": i + level})
        for i in range(targets)
        for level in (0.5, 0.9)
    ]
    return Sensitivity({"accuracy": value, "loss": 0.0}, tuple(rows))


@pytest.mark.parametrize("targets", [1, 2, 30])
def test_one_line_a_target_and_names_beside_few(targets: int) -> None:
    root = ElementTree.fromstring(scan_svg(scan_of(targets)))
    paths = root.findall(f".//{SVG}path")
    assert len(paths) == targets and len({path.get("stroke") for path in paths}) == targets
    named = [text.text for text in root.iter(f"{SVG}text") if text.text and text.text.startswith("a<")]
    assert len(named) == (targets if targets <= 24 else 0)
    assert [title.text for title in root.iter(f"{SVG}title")] == [f"a<{i}>.weight" for i in range(targets)]


def test_a_flat_scan_and_one_that_diverged_can_be_drawn() -> None:
    assert "nan" not in scan_svg(scan_of(1, value=0.0))
    rows = tuple(Reading("w", level, 1, 2, 2, {"loss": value}) for level, value in ((0.5, 2.0), (0.9, math.nan)))
    drawn = scan_svg(Sensitivity({"loss": 1.0}, rows))
    assert "nan" not in drawn and drawn.count(" L") == 1


def test_nothing_outside_is_asked_for() -> None:
    assert scan_svg(scan_of(2)).replace('xmlns="http://www.w3.org/2000/svg"', "").count("http") == 0


def test_a_png_is_drawn_with_matplotlib(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    path = scan_picture(scan_of(3), tmp_path / "deep" / "scan.png", metric="loss")
    assert path.read_bytes()[1:4] == b"PNG"


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"prunus\[report\].*\.svg needs nothing"):
        scan_picture(scan_of(1), tmp_path / "scan.png")
    assert scan_picture(scan_of(1), tmp_path / "scan.svg").exists()


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(SettingError, match="Did you mean 'accuracy'"):
        scan_svg(scan_of(1), "acuracy")
