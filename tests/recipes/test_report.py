"""Faults for machines: severity, place, suggestion, and the renames that are certain."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from prunus import recipes
from prunus.errors import RecipeError
from prunus.recipes.faults import Fault, Place, Rename, Report
from prunus.recipes.spelling import one_slip

TEXT = """\
version: 1
policies:
  - prune: {schedule: {cubik: {final: 0.9}}, scop: global, sed: 3}
    window: {start: 0, end: 10, unit: epochs}
"""


def test_every_fault_says_where_and_what_was_meant() -> None:
    found = [(fault.line, fault.column, fault.severity, fault.rename) for fault in recipes.check(TEXT)]
    assert found == [
        (3, 24, "error", Rename("cubik", "cubic")),
        (3, 46, "error", Rename("scop", "scope")),
        (3, 60, "error", None),  # too short to be certain
        (4, 39, "error", Rename("epochs", "epoch")),
    ]


def test_the_error_carries_its_faults_and_survives_pickling() -> None:
    with pytest.raises(RecipeError) as caught:
        recipes.load(TEXT)
    assert list(caught.value.faults) == recipes.check(TEXT)
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


def test_a_fault_is_plain_values_for_other_programs() -> None:
    fault = recipes.check(TEXT)[0]
    assert json.loads(json.dumps(fault.as_dict())) == {
        "file": "<text>",
        "line": 3,
        "column": 24,
        "keys": "",
        "by": "",
        "severity": "error",
        "code": "unknown-name",
        "message": "unknown schedule 'cubik'",
        "suggestion": "Did you mean 'cubic'?",
        "rename": {"old": "cubik", "new": "cubic"},
    }


def test_what_is_right_has_no_fault(tmp_path: Path) -> None:
    assert recipes.check({"version": 1, "policies": [{"set_lr": {"schedule": {"linear": {"final": 1.0}}}}]}) == []


def test_a_name_that_is_taken_was_not_meant() -> None:
    (fault,) = recipes.check("version: 1\npolicies: [{rewire: {dropp: magnitude, drop: magnitude}}]\n")
    assert (fault.rename, fault.suggestion) == (None, "Did you mean 'drop'?")


def test_a_warning_raises_nothing() -> None:
    report = Report()
    report.add(Place("a.yaml", 1, 1), "the schedule 'ramp' is never used", severity="warning")
    report.finish()
    assert report.in_order() == [Fault(Place("a.yaml", 1, 1), "the schedule 'ramp' is never used", severity="warning")]


def test_the_error_names_errors_only() -> None:
    report = Report()
    report.add(Place("a.yaml", 1, 1), "unused", severity="warning")
    report.add(Place("a.yaml", 2, 1), "wrong")
    with pytest.raises(RecipeError, match=r"^the recipe cannot be used: a.yaml:2:1: wrong$") as caught:
        report.finish()
    assert [fault.severity for fault in caught.value.faults] == ["warning", "error"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("prun", ["prune"], "prune"),
        ("prunee", ["prune"], "prune"),
        ("prnue", ["prune"], "prune"),
        ("prume", ["prune"], "prune"),
        ("xprune", ["prune"], "prune"),
        ("Prune", ["prune"], "prune"),
        ("one-shot", ["one_shot"], "one_shot"),
        ("prunn", ["prune", "pruna"], None),
        ("rpnue", ["prune"], None),
        ("prune", ["prune"], None),
        ("l2", ["l1"], None),
        ("dropout1", ["dropout2"], None),
        ("dropout12", ["dropout1"], None),
        ("end", ["and"], None),
        ("", ["a"], None),
        ("cubic", [], None),
    ],
)
def test_one_slip(name: str, known: list[str], meant: str | None) -> None:
    assert one_slip(name, known) == meant
