"""Ten mistakes planted in a file of each language: ten are found, each where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunus.recipes.lint import lint

HERE = Path(__file__).parent
PLANTED = {
    "native": [
        (7, 25, "error", "unknown-name"),
        (8, 3, "warning", "unused"),
        (13, 7, "error", "unknown-name"),
        (17, 39, "error", "bad-value"),
        (19, 34, "error", "bad-value"),
        (20, 18, "error", "unknown-name"),
        (24, 34, "error", "wrong-type"),
        (25, 21, "error", "bad-value"),
        (26, 44, "warning", "idle-penalty"),
        (27, 5, "error", "unknown-name"),
    ],
    "distiller": [
        (3, 1, "error", "unknown-name"),
        (8, 23, "error", "bad-value"),
        (11, 12, "error", "unknown-name"),
        (18, 21, "error", "bad-value"),
        (20, 3, "warning", "unused"),
        (26, 5, "error", "misplaced"),
        (33, 5, "error", "unknown-name"),
        (34, 29, "error", "unknown-name"),
        (36, 19, "error", "bad-value"),
        (40, 30, "error", "wrong-type"),
    ],
}


@pytest.mark.parametrize("language", PLANTED)
def test_ten_planted_mistakes_are_found_each_at_its_place(language: str) -> None:
    path = HERE / f"ten_{language}.yaml"
    findings = lint(path)
    assert findings.language == language
    found = [(fault.line, fault.column, fault.severity, fault.code) for fault in findings.faults]
    assert found == PLANTED[language] and len(found) == 10
    assert {fault.file for fault in findings.faults} == {str(path)}
