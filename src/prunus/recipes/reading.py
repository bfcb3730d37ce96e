"""A recipe to policies: where it comes from, and what stands at its top."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunus.actions import ACTIONS, Action
from prunus.errors import RecipeError
from prunus.policy import Policy
from prunus.recipes.building import UNREADABLE, named, read
from prunus.recipes.faults import Fault, Place, Report, shown
from prunus.recipes.kinds import settings_of
from prunus.recipes.nodes import Node, from_plain

VERSION = 1
LARGEST = 1_000_000
"""Most bytes of a file; a recipe of 300 policies has 100,000."""
TOP = ("version", "policies")


def load(source: str | Path | Mapping[str, Any]) -> list[Policy]:
    """Read a recipe: policies written as plain YAML, whose keys are the settings of the members.

    A recipe has ``version: 1`` and ``policies``, a list; each policy is one action (a name in ``ACTIONS``) with its
    settings, and possibly a ``window`` (start, end, frequency, unit). A member of a family is its registry name with
    its settings, ``cubic: {final: 0.9}``, or the name alone, ``magnitude``.

    Args:
        source: path of a file in UTF-8; or YAML text, which is a string with a line break; or the same as a mapping.

    Raises:
        RecipeError: everything that is wrong, each fault as file:line:column (for a mapping: the keys that lead there),
            what was found and what was expected. Nothing in a recipe is ever executed; tags are refused, as are files
            above 1 MB, more than 10,000 values (repeated ones included) and more than 32 levels.

    Use it with ``CompressionScheduler(model, load("recipe.yaml"), ...)`` or any other front door that takes policies.
    Every call builds new members, so two runs share nothing.

    >>> load('''
    ... version: 1
    ... policies:
    ...   - prune:
    ...       schedule: {cubic: {final: 0.9}}
    ...       scope: per_layer
    ...     window: {start: 2, end: 10}
    ... ''')[0].window
    Window(start=2, end=10, frequency=1, unit='epoch')
    >>> load('''
    ... version: 1
    ... policies:
    ...   - prune: {schedule: {cubik: {final: 0.9}}, scoop: global}
    ... ''')
    Traceback (most recent call last):
        ...
    prunus.errors.RecipeError: the recipe cannot be used:
    - <text>:4:24: unknown schedule 'cubik'. Did you mean 'cubic'?
    - <text>:4:46: unknown key 'scoop' of prune. Did you mean 'scope'?
    """
    report = Report()
    root = _tree(source, report)
    policies = _policies(root, report)
    report.finish()
    return policies


def check(source: str | Path | Mapping[str, Any]) -> list[Fault]:
    """Return everything that is wrong with a recipe, errors and warnings, in the order of the file; raise nothing.

    >>> [(fault.line, fault.severity, fault.rename) for fault in check("version: 1\\npolices: []\\n")]
    [(1, 'error', None), (2, 'error', Rename(old='polices', new='policies'))]
    """
    try:
        load(source)
    except RecipeError as error:
        return list(error.faults)
    return []


def _tree(source: str | Path | Mapping[str, Any], report: Report) -> Node:
    if isinstance(source, Mapping):
        return from_plain(source, report)
    if not isinstance(source, (str, Path)):
        report.stop(Place(), f"a recipe is a path, YAML text or a mapping, got {type(source).__name__}")
    from prunus.recipes.text import parse  # PyYAML is loaded on use

    if isinstance(source, str) and "\n" in source:
        if len(source) > LARGEST:
            report.stop(Place("<text>"), f"{len(source):,} characters, expected at most {LARGEST:,}")
        return parse(source, "<text>", report)
    return parse(_text_of(source, report), str(source), report)


def _text_of(path: str | Path, report: Report) -> str:
    place = Place(shown(str(path), most=300))
    try:
        content = _bytes_of(Path(path))
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        report.stop(place, f"cannot be read ({reason}); YAML text in place of a path needs a line break")
    if len(content) > LARGEST:
        report.stop(place, f"more than {LARGEST:,} bytes, which no recipe has")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        report.stop(Place(str(path), line, column), "not UTF-8 from here on; save the recipe in UTF-8")


def _bytes_of(path: Path) -> bytes:
    """Read no more than is allowed, and only from a file: a pipe could keep us waiting for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file")
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _policies(root: Node, report: Report) -> list[Policy]:
    if not isinstance(root.value, dict):
        report.stop(root.place, f"a recipe is a mapping of version and policies, found {_what(root)}")
    for key, pair in root.value.items():
        if key not in TOP:
            report.unknown(pair.key.place, f"unknown key {shown(key)} of the recipe", key, TOP, root.value)
    _check_version(root, report)
    if "policies" not in root.value:
        report.stop(root.place, "policies is missing, expected a list of policies")
    node = root.value["policies"].value
    if not isinstance(node.value, list) or not node.value:
        found = "an empty list" if node.value == [] else node.found
        report.stop(node.place, f"policies is {found}, expected a list of at least one policy")
    return [policy for policy in (_policy(item, report) for item in node.value) if policy is not None]


def _check_version(root: Node, report: Report) -> None:
    if "version" not in root.value:
        report.add(root.place, f"version is missing; begin the recipe with version: {VERSION}")
        return
    node = root.value["version"].value
    if type(node.value) is not int or node.value != VERSION:
        report.add(node.place, f"version is {node.found}, expected {VERSION}, the only one that this prunus reads")


def _policy(node: Node, report: Report) -> Policy | None:
    if not isinstance(node.value, dict):
        known = ", ".join(ACTIONS)
        report.add(node.place, f"a policy is {node.found}, expected a mapping with one action ({known}) and a window")
        return None
    beside = {key: setting for key, setting in settings_of(Policy).items() if key != "action"}
    _check_keys(node, [*beside], report)
    actions = [named(pair, Action, report) for key, pair in node.value.items() if key in ACTIONS]
    rest = {key: read(pair.value, beside[key].kind, key, report) for key, pair in node.value.items() if key in beside}
    if len(actions) != 1 or UNREADABLE in [*actions, *rest.values()]:
        return None
    return Policy(actions[0], **rest)


def _check_keys(node: Node, beside: list[str], report: Report) -> None:
    found = [pair.key for key, pair in node.value.items() if key in ACTIONS]
    unknown = [pair.key for key, pair in node.value.items() if key not in ACTIONS and key not in beside]
    for key in unknown:
        message = f"unknown key {shown(key.value)} of a policy"
        report.unknown(key.place, message, key.value, [*ACTIONS, *beside], node.value)
    if len(found) > 1:
        names = " and ".join(key.value for key in found)
        report.add(found[1].place, f"a policy has one action, found {names}; write each as a policy of its own")
    if not found and not unknown:
        report.add(node.place, f"a policy has no action, expected one of {', '.join(ACTIONS)}")


def _what(node: Node) -> str:
    return "nothing" if node.value is None else node.found
