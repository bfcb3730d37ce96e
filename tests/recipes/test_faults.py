"""What a recipe may not say: one RecipeError for everything, each fault with its place and the nearest valid name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from prunus import recipes
from prunus.errors import RecipeError
from prunus.recipes.faults import SHOWN
from tests.recipes.test_load import TEXT

HEAD = "version: 1\npolicies:\n"
PRUNE = "  - prune: {schedule: {cubic: {final: 0.9}}%s}\n"


def faults_of(source: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        recipes.load(source)
    said = str(caught.value).removeprefix("the recipe cannot be used:")
    return [fault.strip() for fault in said.split("\n- ") if fault.strip()]


def only_fault(source: Any) -> str:
    (fault,) = faults_of(source)
    return fault


# (policies, place, what is said); one fault each, so a fault never drags a false one along
ONE_FAULT = {
    "action": (
        "  - prun: {schedule: {linear: {final: 1}}}\n",
        "3:5",
        "unknown key 'prun' of a policy. Did you mean 'pru",
    ),
    "action's key": (PRUNE % ", scoop: global", "3:46", "unknown key 'scoop' of prune. Did you mean 'scope'?"),
    "member": (PRUNE % ", scope: per_layr", "3:53", "unknown scope 'per_layr'. Did you mean 'per_layer'?"),
    "member with settings": (
        "  - prune: {schedule: {cubik: {final: 1}}}\n",
        "3:24",
        "unknown schedule 'cubik'. Did you mean 'cubic'?",
    ),
    "member's key": (
        "  - prune: {schedule: {cubic: {final: 1, inital: 0}}}\n",
        "3:42",
        "unknown key 'inital' of cubic. Did you mean 'initial'?",
    ),
    "setting of a member without": (PRUNE % ", structure: {row: {a: 1}}", "3:64", "unknown key 'a' of row. None is"),
    "window's key": (
        PRUNE % "" + "    window: {ende: 3}\n",
        "4:14",
        "unknown key 'ende' of window. Did you mean 'end'?",
    ),
    "no firing": (PRUNE % "" + "    window: {at: []}\n", "4:18", "at is empty, so it would never fire"),
    "firings left out": (PRUNE % "" + "    window: {at: }\n", "4:14", "at is empty, expected a list"),
    "select's key": (PRUNE % ", select: {includes: [a]}", "3:55", "'includes' of select. Did you mean 'include'?"),
    "required setting": ("  - prune: {schedule: cubic}\n", "3:23", "cubic lacks final"),
    "required in {}": ("  - prune: {schedule: {cubic: {}}}\n", "3:24", "cubic lacks final"),
    "required part": ("  - prune:\n", "3:5", "prune lacks schedule"),
    "number as text": (
        "  - prune: {schedule: {cubic: {final: '0.9'}}}\n",
        "3:39",
        "final is the text '0.9', expected a number",
    ),
    "percent": ("  - set_lr: {schedule: {one_shot: {final: 90%}}}\n", "3:43", "final is the text '90%', expected a n"),
    "90": ("  - set_lr: {schedule: {one_shot: {final: 90}}}\n", "3:43", "(for 90 % write 0.9)"),
    "bool for number": (
        "  - set_lr: {schedule: {cubic: {final: true}}}\n",
        "3:40",
        "final is true, expected a number",
    ),
    "number for bool": (
        PRUNE % ", criterion: {magnitude: {average: 1}}",
        "3:79",
        "average is 1, expected true or false",
    ),
    "yes": (PRUNE % ", select: {biases: yes}", "3:63", "biases is the text 'yes', expected true or false"),
    "bool for whole": (PRUNE % ", seed: false", "3:52", "seed is false, expected a whole number"),
    "float for whole": (PRUNE % ", seed: 3.0", "3:52", "seed is 3.0, expected a whole number"),
    "beyond 64 bits": (PRUNE % ", seed: 9223372036854775808", "3:52", "expected a whole number"),
    "nan": ("  - set_lr: {schedule: {cubic: {final: .nan}}}\n", "3:40", "final is nan, expected a number"),
    "inf": ("  - set_lr: {schedule: {cubic: {final: .inf}}}\n", "3:40", "final is inf, expected a fraction"),
    "overflow": ("  - set_lr: {schedule: {cubic: {final: 1e999}}}\n", "3:40", "final is inf, expected a fraction"),
    "huge": (
        f"  - set_lr: {{schedule: {{cubic: {{final: {'9' * 350}}}}}}}\n",
        "3:40",
        "a number of more than 40 digits",
    ),
    "empty": ("  - set_lr: {schedule: {cubic: {final: }}}\n", "3:33", "final is empty, expected a number"),
    "text for list": (PRUNE % ", select: {include: fc}", "3:64", "include is the text 'fc', expected a list"),
    "mapping for list": (PRUNE % ", select: {include: {a: b}}", "3:64", "include is a mapping, expected a list"),
    "in a list": (PRUNE % ", select: {include: [a, 5]}", "3:68", "include[1] is 5, expected text"),
    "list for member": ("  - prune: {schedule: [cubic]}\n", "3:23", "schedule is a list, expected the name of a sched"),
    "number for settings": (
        "  - prune: {schedule: {cubic: 0.9}}\n",
        "3:31",
        "the settings of cubic are 0.9, expected a mapping such as {final: …}",
    ),
    "settings for none": (PRUNE % ", structure: {row: 4}", "3:63", "expected none, since it has no settings"),
    "name as a key": (
        "  - prune: {schedule: {name: cubic, final: 1}}\n",
        "3:23",
        "written as constant_rate: {…}, found 'name', 'final'",
    ),
    "two members": (
        "  - prune: {schedule: {cubic: {final: 1}, linear: {final: 1}}}\n",
        "3:23",
        "schedule takes one schedule",
    ),
    "no member": ("  - prune: {schedule: {}}\n", "3:23", "schedule takes one schedule"),
    "window as text": (
        PRUNE % "" + "    window: all\n",
        "4:13",
        "window is the text 'all', expected a mapping or noth",
    ),
    "window's unit": (PRUNE % "" + "    window: {unit: epochs}\n", "4:20", "Did you mean 'epoch'?"),
    "window's order": (PRUNE % "" + "    window: {start: 5, end: 2}\n", "4:21", "start must come before end"),
    # without the start that was refused, end is not after the default start; that is nobody's mistake
    "no false second": (PRUNE % "" + "    window: {start: -1, end: 0}\n", "4:21", "start is -1, expected a whole"),
    "window's type": (
        PRUNE % "" + "    window: {end: 2.5}\n",
        "4:19",
        "end is 2.5, expected a whole number, text or n",
    ),
    "falling": ("  - prune: {schedule: {linear: {final: 0, initial: 1}}}\n", "3:5", "masks only tighten"),
    "two actions": (
        PRUNE % "" + "    steer: {steering: feedback}\n",
        "4:5",
        "a policy has one action, found prune and steer",
    ),
    "no action": ("  - window: {start: 1}\n", "3:5", "a policy has no action, expected one of adaptive, prune"),
    "empty policy": ("  - {}\n", "3:5", "a policy has no action"),
    "nothing": ("  -\n", "3:4", "a policy is empty, expected a mapping"),
    "text": ("  - prune\n", "3:5", "a policy is the text 'prune', expected a mapping"),
    "duplicate": (PRUNE % "" + "    prune: {schedule: {}}\n", "4:5", "key 'prune' again; it is already in line 3"),
    "key of another type": (PRUNE % ", 5: 6", "3:46", "a key is 5, expected a name"),
    "key that is a list": (PRUNE % ", ? [a] : b", "3:48", "a key is a list, expected a name"),
    "tag": (PRUNE % ", scope: !!python/name:os.system global", "3:53", "tag '!!python/name:os.system' is refu"),
    "merge key": ("  - prune: {schedule: {cubic: {final: 1}}, <<: {seed: 1}}\n", "3:44", "unknown key '<<' of prune"),
    "a regularizer's": (
        "  - regularize: {regularizer: {soft_bernoulli: {probability: 2}}}\n",
        "3:62",
        "probability is 2.0, expected a fraction",
    ),
    "across settings": (
        "  - steer: {steering: {budget: {target: 0.9, schedule: {cubic: {final: 0.8}}}}}\n",
        "3:41",
        "target is 0.9, but the schedule ends at 0.8",
    ),
}


@pytest.mark.parametrize("name", ONE_FAULT)
def test_one_fault(name: str) -> None:
    policies, place, said = ONE_FAULT[name]
    fault = only_fault(HEAD + policies)
    assert fault.startswith(f"<text>:{place}: ")
    assert said in fault


# (whole text, place, what is said)
WHOLE = {
    "nothing": ("\n", "1:1", "a recipe is a mapping of version and policies, found nothing"),
    "only a comment": ("# hello\n", "1:1", "found nothing"),
    "a list": ("- prune\n- steer\n", "1:1", "a recipe is a mapping of version and policies, found a list"),
    "no version": ("policies:\n" + PRUNE % "", "1:1", "version is missing; begin the recipe with version: 1"),
    "version 2": ("version: 2\npolicies:\n" + PRUNE % "", "1:10", "version is 2, expected 1"),
    "version as text": ("version: '1'\npolicies:\n" + PRUNE % "", "1:10", "version is the text '1', expected 1"),
    "version as a bool": ("version: true\npolicies:\n" + PRUNE % "", "1:10", "version is true, expected 1"),
    "version with a point": ("version: 1.0\npolicies:\n" + PRUNE % "", "1:10", "version is 1.0, expected 1"),
    "no policies": ("version: 1\n\n", "1:1", "policies is missing"),
    "empty policies": ("version: 1\npolicies: []\n", "2:11", "policies is an empty list"),
    "policies left open": ("version: 1\npolicies:\n", "2:1", "policies is empty, expected a list of at least one"),
    "policies as a mapping": ("version: 1\npolicies: {prune: 1}\n", "2:11", "policies is a mapping, expected a list"),
    "unknown key": (HEAD + PRUNE % "" + "polices: 1\n", "4:1", "unknown key 'polices' of the recipe. Did you mean 'po"),
    "duplicate key": (HEAD + PRUNE % "" + "version: 1\n", "4:1", "key 'version' again; it is already in line 1"),
    "a bracket left open": ("version: [1\n", "2:1", "not valid YAML: while parsing a flow sequence"),
    "a tab": ("version: 1\n\tpolicies: 1\n", "2:1", "not valid YAML: while scanning"),
    "an indent": ("version: 1\n policies: 1\n", "2:10", "not valid YAML: mapping values are not allowed"),
    "a quote left open": ("version: 'a\n", "2:1", "not valid YAML: while scanning a quoted scalar"),
    "a null character": ("version: 1\na: \x00\n", "2:4", "character 0 is not allowed in YAML"),
    "half a character": ("a: \ud800\n", "1:4", "is not allowed in YAML"),
    "an escape too large": ('a: "\\UFFFFFFFF"\n', None, "not valid YAML"),
    "a broken directive": ("%YAML x\n---\na: 1\n", "1:7", "not valid YAML: while scanning a "),
    "two documents": ("version: 1\n---\nversion: 1\n", "3:1", "a second document begins"),
    "an unknown alias": ("a: *b\n", "1:4", "alias '*b' has no anchor before it"),
    "a node inside itself": ("a: &a [*a]\n", "1:8", "alias '*a' has no anchor before it"),
    "deep lists": ("[" * 900_000 + "\n", "1:34", "nested more than 32 deep"),
    "deep mappings": ("".join(" " * i + "a:\n" for i in range(1000)), "33:33", "nested more than 32 deep"),
    "deep dashes": ("- " * 400_000 + "\n", "1:67", "nested more than 32 deep"),
    "a billion laughs": (
        "a0: &a0 [" + "x, " * 10 + "]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 10}]\n" for i in range(1, 12)),
        "4:5",
        "more than 10,000 values, those that aliases repeat included",
    ),
    "too many values": ("[" + "1," * 50_000 + "]\n", "1:20000", "more than 10,000 values"),
    "too many characters": ("#" * 1_000_000 + "\n", None, "1,000,001 characters, expected at most 1,000,000"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_text(name: str) -> None:
    text, place, said = WHOLE[name]
    fault = only_fault(text)
    assert fault.startswith(f"<text>:{place}: " if place else "<text>:")
    assert said in fault


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 2
policies:
  - prune:
      schedule: {cubic: {final: '0.9', initial: -1}}
      criterion: {magnitud: {p: 2}}
      scop: global
      seed: 1.5
    window: {start: -1, frequency: 0, unit: epochs, ende: 4}
  - regularize: {regularizer: {soft_bernoulli: {probability: 2, seed: -3, lamda: -1}}}
    steer: {steering: {feedback: {target_sparsity: 90}}}
    steer: {}
polices: []
"""
    found = [fault.removeprefix("<text>:").split(": ", 1) for fault in faults_of(text)]
    assert [(place, said.split(",")[0].split(".")[0]) for place, said in found] == [
        ("1:10", "version is 2"),
        ("4:33", "final is the text '0"),
        ("5:19", "unknown criterion 'magnitud'"),
        ("6:7", "unknown key 'scop' of prune"),
        ("7:13", "seed is 1"),
        ("8:21", "start is -1"),
        ("8:36", "frequency is 0"),
        ("8:45", "unit is 'epochs'"),
        ("8:53", "unknown key 'ende' of window"),
        ("9:62", "probability is 2"),
        ("9:71", "seed is -3"),
        ("9:82", "lamda is -1"),
        ("10:5", "a policy has one action"),
        ("10:52", "target_sparsity is 90"),
        ("11:5", "key 'steer' again; it is already in line 10"),
        ("12:1", "unknown key 'polices' of the recipe"),
    ]


def test_a_mapping_names_the_keys_that_lead_to_the_fault() -> None:
    policy = {"prune": {"schedule": {"cubic": {"final": "0.9"}}, 3: 4}, "window": object()}
    assert faults_of({"version": 1, "policies": [policy]}) == [
        "policies[0].prune.3: a key is 3, expected a name",
        "policies[0].prune.schedule.cubic.final: final is the text '0.9', expected a number",
        "policies[0].window: window is an object of type object, expected a mapping or nothing",
    ]


def test_a_mapping_that_contains_itself_ends() -> None:
    policies: list[Any] = []
    policies.append(policies)
    assert "nested more than 32 deep" in only_fault({"version": 1, "policies": policies})


def test_a_mapping_that_repeats_its_parts_ends() -> None:
    wide: Any = "x"
    for _ in range(20):
        wide = [wide] * 10
    assert "more than 10,000 values" in only_fault({"version": 1, "policies": wide})


def test_thousands_of_faults_are_cut() -> None:
    found = faults_of({"version": 1, "policies": [5] * 5000})
    assert (len(found), found[-1]) == (SHOWN + 1, f"… and {5000 - SHOWN} more")


def test_one_fault_reached_through_two_aliases_is_told_once() -> None:
    assert len(faults_of(HEAD + "  - set_lr: &a {schedule: {cubic: {final: 2}}}\n  - set_lr: *a\n")) == 1


@pytest.mark.parametrize("source", [None, 5, ["version"], b"version: 1\n"])
def test_other_sources_are_refused(source: Any) -> None:
    with pytest.raises(RecipeError, match="a recipe is a path, YAML text or a mapping"):
        recipes.load(source)


@pytest.mark.parametrize("path", ["missing.yaml", ".", "a" * 5000, "a\0b", "version: 1", os.devnull])
def test_what_is_no_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fault = only_fault(path)
    assert "cannot be read" in fault
    assert len(fault) < 450


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a file" in only_fault(tmp_path / "pipe.yaml")


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"version: 1\n# na\xefve\n", ":2:5", "not UTF-8 from here on"),
        (TEXT.encode("utf-16"), ":1:1", "not UTF-8 from here on"),
        (TEXT.encode("utf-16-le"), ":1:2", "character 0 is not allowed"),
        (b"\xef\xbb\xbf{version: 1, policies: []}", ":1:24", "policies is an empty list"),
        (b"\x80\x02}q\x00.", ":1:1", "not UTF-8 from here on"),
        (b"#" * 1_000_001, "", "more than 1,000,000 bytes"),
    ],
    ids=["latin-1", "utf-16 with a mark", "utf-16 without", "a mark", "pickle", "large"],
)
def test_the_file(content: bytes, place: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    fault = only_fault(path)
    assert re.match(rf"'?{re.escape(str(path))}'?{place}: ", fault)
    assert said in fault


def test_one_slip_hides_no_other_fault_and_drags_none_along() -> None:
    text = """\
version: 1
polices:
  - prun:
      schedul: {cubik: {final: 90, inital: 0}}
    windw: {star: 3, unit: epochs}
"""
    assert [fault.removeprefix("<text>:")[:22] for fault in faults_of(text)] == [
        "2:1: unknown key 'poli",
        "3:5: unknown key 'prun",
        "4:7: unknown key 'sche",
        "4:17: unknown schedule",
        "4:32: final is 90.0, e",
        "4:36: unknown key 'ini",
        "5:5: unknown key 'wind",
        "5:13: unknown key 'sta",
        "5:28: unit is 'epochs'",
    ]
