"""Input made to hang, to grow or to break a parser: each is refused, or loads, without any of these."""

from __future__ import annotations

from unittest import mock

import pytest

from prunus import recipes
from prunus.errors import RecipeError
from prunus.recipes import faults

HEAD = "version: 1\n"
GOOD = "policies: [{set_lr: {schedule: {cubic: {final: 1}}}}]\n"
LEVEL = "policies: [{set_lr: {schedule: {cubic: {final: %s}}}}]\n"
MANY = range(2400)

REFUSED = {
    "long names": f"variables: {{{'a' * 400_000}: 1, {'b' * 400_000}: 2}}\npolicies: [${'a' * 150_000}]\n",
    "a long number": LEVEL % ("9" * 900_000),
    "a long place": GOOD.replace("}]", f", window: {{end: 0.{'1' * 900_000}dur}}}}]").replace("}}}}, w", "}}}, w"),
    "dollars": f"policies: ['{'$' * 900_001}']\n",
    "braces": f"policies: {'{' * 900_000}\n",
    "question marks": "? " * 400_000 + "\n",
    "colons": "a: " * 300_000 + "\n",
    "colons without blanks": "a:" * 400_000 + "\n",
    "commas": f"a: [{',' * 900_000}\n",
    "anchors": f"a: {'&a ' * 300_000}\n",
    "tags": f"a: {'!a ' * 300_000}\n",
    "quotes": "a: " + "'" * 900_000 + "\n",
    "escapes": "a: " + '"\\' * 400_000 + "\n",
    "a folded text": "a: >\n" + "  \n" * 300_000 + " x\n",
    "comments": "#\n" * 490_000,
    "line ends": "\r" * 990_000 + "\n",
    "tabs": "\t" * 990_000 + "\n",
    "documents": "---\n" * 240_000,
    "dashes": "-" * 900_000 + "\n",
    "a text of many lines": f"a: {chr(10).join(['b '] * 300_000)}\n",
    "lists as keys": "? [" * 300_000 + "\n",
    "emoji": f"a: {'😀' * 240_000}\n",
    "levels of another type": f"policies: [{{set_lr: {{schedule: {{levels: {{levels: [{'x,' * 9000}]}}}}}}}}]\n",
    "a chain of names": f"schedules: {{{', '.join(f'a{i}: $a{i + 1}' for i in MANY)}}}\n{GOOD}",
    "a web of names": f"variables: {{{', '.join(f'a{i}: [$a{i * 7 % 2400}, $a{i * 3 % 99}]' for i in MANY)}}}\n{GOOD}",
    "a long path": f"include: {'x/' * 400_000}\n{GOOD}",
    "many missing files": f"include: [{', '.join(f'{i}.yaml' for i in range(500))}]\n{GOOD}",
    "many to replace": f"replace: [{', '.join(f'n{i}' for i in MANY)}]\n{GOOD}",
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipes.load(HEAD + REFUSED[name])
    assert len(str(caught.value)) < 20_000


def test_a_long_fraction_is_a_number() -> None:
    assert recipes.load(HEAD + LEVEL % f"0.{'9' * 900_000}")[0].action.schedule.final == 1.0


def test_thousands_of_misspelt_names_are_not_all_compared_with_thousands() -> None:
    variables = ", ".join(f"name{i}x: {i}" for i in MANY)
    text = HEAD + f"variables: {{{variables}}}\npolicies: [{', '.join(f'$naem{i}x' for i in MANY)}]\n"
    with mock.patch.object(faults, "did_you_mean", wraps=faults.did_you_mean) as asked:
        found = recipes.check(text)
    assert sum(fault.message.startswith("unknown name") for fault in found) == len(MANY)
    assert asked.call_count < 10
