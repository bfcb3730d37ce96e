"""A file of Distiller's to lines: what it defines, what its policies use, when; no model is needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from prunus.recipes.building import UNREADABLE, settings
from prunus.recipes.distiller.arguments import PrunerArgs, RegularizerArgs
from prunus.recipes.distiller.components import SECTIONS, Named, section_of, warn_of_unused
from prunus.recipes.distiller.contract import Component, Extension, LRScheduler, Pruner, Regularizer
from prunus.recipes.distiller.timing import TIMING, window_of
from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.kinds import settings_of
from prunus.recipes.nodes import Node, Pair
from prunus.recipes.respelling import respelt
from prunus.window import Window

KINDS: Mapping[str, str] = {base.kind: base.section for base in (Pruner, Regularizer, Extension, LRScheduler)}
"""The keys by which policies name what they use, and its section."""
ARGS: Mapping[str, type] = {Pruner.kind: PrunerArgs, Regularizer.kind: RegularizerArgs}
"""The kinds of policies that take arguments."""
NOWHERE = Place()
TOP = ("version", *SECTIONS, "policies")
REFUSED: Final = {"quantizers": "quantizing is not supported here", "quantizer": "quantizing is not supported here"}


@dataclass(frozen=True)
class Line:
    """One policy: a component, how it acts, and when; where it stands and where its parameters are named.

    ``name`` is the policy's in messages, ``called`` what the file calls the component.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> Line(AutomatedGradualPruner(0.1, 0.9, "weight"), Window(0, 9)).place.line
    0
    """

    component: Component
    window: Window
    args: Any = None
    place: Place = NOWHERE
    places: Mapping[str, Place] = field(default_factory=dict)
    name: str = ""
    called: str = ""


def lines_of(root: Node, report: Report) -> list[Line]:
    """Return the policies of a file, those of learning rates last; every fault goes into the report.

    >>> from prunus.recipes.nodes import from_plain
    >>> report = Report()
    >>> lines_of(from_plain({"prunners": {}, "policies": []}, report), report)
    []
    >>> [str(fault.severity) for fault in report.found]
    ['error', 'warning']
    """
    if not isinstance(root.value, dict):
        report.stop(root.place, f"a schedule is a mapping of sections, found {root.found}")
    for key in REFUSED.keys() & root.value.keys():
        report.add(root.value[key].key.place, f"{key}: {REFUSED[key]}", code="unsupported")
    sections = respelt(root.value, [*TOP, *REFUSED], lambda key: f"unknown section {shown(key)}", report)
    root = replace(root, value=sections)
    _check_version(root, report)
    known = {section: section_of(root, section, report) for section in SECTIONS}
    found, used = _policies(root, known, report)
    warn_of_unused(known, used, report)
    return sorted((line for line in found if line), key=lambda line: isinstance(line.component, LRScheduler))


def _check_version(root: Node, report: Report) -> None:
    """Distiller reads any version; a file without one is an old one, not a wrong one."""
    if "version" in root.value:
        node = root.value["version"].value
        if type(node.value) is not int or node.value != 1:
            report.add(node.place, f"version is {node.found}, expected 1, the only one that there is")


def _policies(root: Node, known: Mapping[str, dict[str, Named]], report: Report) -> tuple[list[Line | None], set[str]]:
    if "policies" not in root.value:
        report.add(root.place, "policies is missing, expected a list of policies", code="missing")
        return [], set()
    node = root.value["policies"].value
    if not isinstance(node.value, list):
        report.add(node.place, f"policies is {node.found}, expected a list of policies", code="wrong-type")
        return [], set()
    if not node.value:
        report.add(node.place, "there is no policy, so nothing happens", severity="warning")
    used: set[str] = set()
    return [_policy(item, f"policies[{at}]", known, used, report) for at, item in enumerate(node.value)], used


def _policy(
    node: Node, name: str, known: Mapping[str, dict[str, Named]], used: set[str], report: Report
) -> Line | None:
    if not isinstance(node.value, dict):
        report.add(
            node.place,
            f"{name} is {node.found}, expected a mapping of {', '.join(KINDS)} and its epochs",
            code="wrong-type",
        )
        return None
    node = _checked(node, name, report)
    kinds = [pair for key, pair in node.value.items() if key in KINDS]
    window = window_of(node, name, KINDS, report)
    uses = [_use(pair, name, known, used, report) for pair in kinds]
    if len(uses) != 1 or uses[0] is None or window is None:
        return None
    named, args = uses[0]
    if named.component is None or args is UNREADABLE:
        return None
    return Line(named.component, window, args, node.place, named.places, name, str(named.key.value))


def _checked(node: Node, name: str, report: Report) -> Node:
    """Return the policy with the keys that were meant beside those that are not known; it uses one thing."""
    takes = (*KINDS, *TIMING)
    known = respelt(
        {key: pair for key, pair in node.value.items() if not _reported(pair.key, name, report)},
        takes,
        lambda key: f"unknown key {shown(key)} of {name}",
        report,
    )
    kinds = [pair.key for key, pair in known.items() if key in KINDS]
    if len(kinds) > 1:
        found = " and ".join(key.value for key in kinds)
        report.add(kinds[1].place, f"{name} has {found}, expected one; write each as a policy of its own")
    if not kinds and set(node.value) <= {*takes}:  # else a misspelt key may be what is missing
        report.add(node.place, f"{name} uses nothing, expected one of {', '.join(KINDS)}", code="missing")
    return replace(node, value={**node.value, **known})


def _reported(key: Node, name: str, report: Report) -> bool:
    """Report a key of which more can be said than that it is unknown."""
    if key.value in REFUSED:
        report.add(key.place, REFUSED[key.value], code="unsupported")
    elif key.value in ("args", "instance_name"):
        text = f"{key.value} of {name} belongs one level deeper, into {' or '.join(KINDS)}"
        report.add(key.place, text, code="misplaced")
    elif takers := [kind for kind, args in ARGS.items() if key.value in settings_of(args)]:
        text = f"{key.value} of {name} belongs two levels deeper, into the args of {' or '.join(takers)}"
        report.add(key.place, text, code="misplaced")
    else:
        return False
    return True


def _use(
    pair: Pair, name: str, known: Mapping[str, dict[str, Named]], used: set[str], report: Report
) -> tuple[Named, Any] | None:
    """Return what a policy uses, with its arguments, or None once the fault is reported."""
    kind, node = pair.key.value, pair.value
    section = known[KINDS[kind]]
    if not isinstance(node.value, dict):
        report.add(
            node.place, f"{kind} of {name} is {node.found}, expected instance_name: and a name", code="wrong-type"
        )
        return None
    for key, one in node.value.items():
        if key not in ("instance_name", "args"):
            _report_stray(one.key, f"{kind} in {name}", ARGS.get(kind), node, report)
    args = _args(kind, node, report)
    wanted = node.value["instance_name"].value if "instance_name" in node.value else None
    if wanted is None or not isinstance(wanted.value, str):
        found = "lacks instance_name" if wanted is None else f"has instance_name {wanted.found}, expected a name"
        report.add(node.place if wanted is None else wanted.place, f"{kind} of {name} {found}")
        return None
    if wanted.value not in section:
        message = f"{name} uses the {kind} {shown(wanted.value)}, which {KINDS[kind]} does not define"
        report.unknown(wanted.place, message, wanted.value, section)
        return None
    used.add(f"{KINDS[kind]}.{wanted.value}")
    return section[wanted.value], args


def _report_stray(key: Node, owner: str, args: type | None, node: Node, report: Report) -> None:
    """Report a key beside instance_name and args, where it belongs if it is known."""
    if key.value in TIMING:
        report.add(key.place, f"{key.value} belongs one level higher, beside {owner}", code="misplaced")
    elif args is not None and key.value in settings_of(args):
        report.add(key.place, f"{key.value} belongs one level deeper, into the args of {owner}", code="misplaced")
    else:
        message = f"unknown key {shown(key.value)} of {owner}"
        report.unknown(key.place, message, key.value, ["instance_name", "args"], node.value)


def _args(kind: str, node: Node, report: Report) -> Any:
    if "args" not in node.value:
        return ARGS[kind]() if kind in ARGS else None
    key, given = node.value["args"]
    if kind not in ARGS:
        report.add(key.place, f"a {kind} takes no args in its policy; they would change nothing", code="misplaced")
        return UNREADABLE
    if given.value is not None and not isinstance(given.value, dict):
        report.add(given.place, f"args is {given.found}, expected a mapping", code="wrong-type")
        return UNREADABLE
    return settings(ARGS[kind], given.value or {}, f"the args of a {kind}", key.place, report)
