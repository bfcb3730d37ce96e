"""What the sections of a file define: each class by its name in the file."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from prunus.recipes.building import UNREADABLE
from prunus.recipes.distiller.contract import Component
from prunus.recipes.distiller.extensions import EXTENSIONS
from prunus.recipes.distiller.lr_schedulers import LR_SCHEDULERS, REFUSED
from prunus.recipes.distiller.pruners import PRUNERS
from prunus.recipes.distiller.regularizers import REGULARIZERS
from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.nodes import Node, Pair

SECTIONS: Mapping[str, Mapping[str, type[Component]]] = {
    "pruners": PRUNERS,
    "regularizers": REGULARIZERS,
    "extensions": EXTENSIONS,
    "lr_schedulers": LR_SCHEDULERS,
}
"""The sections of a file, and the classes in each."""


@dataclass(frozen=True)
class Named:
    """A component under its name, or None where it could not be read; ``places`` says where parameters are named.

    >>> Named(None, Node("mine", Place("schedule.yaml", 3, 5)), {}).key.place.line
    3
    """

    component: Component | None
    key: Node
    places: Mapping[str, Place]


def section_of(root: Node, section: str, report: Report) -> dict[str, Named]:
    """Return what a section defines, by name; every fault goes into the report.

    >>> from prunus.recipes.nodes import from_plain
    >>> report = Report()
    >>> found = section_of(from_plain({"pruners": {"mine": {"class": "AGP"}}}, report), "pruners", report)
    >>> found["mine"].component is None, report.found[0].message
    (True, "unknown class 'AGP' in pruners")
    """
    if section not in root.value:
        return {}
    node = root.value[section].value
    if not isinstance(node.value, dict):
        report.add(
            node.place,
            f"{section} is {node.found}, expected names with their classes; leave it out if empty",
            code="wrong-type",
        )
        return {}
    return {name: _named(pair, section, report) for name, pair in node.value.items()}


def _named(pair: Pair, section: str, report: Report) -> Named:
    return Named(
        _component(pair, section, report), pair.key, dict([*_places(pair.value)][::-1])
    )  # the first one counts


def _component(pair: Pair, section: str, report: Report) -> Component | None:
    name, node = pair.key.value, pair.value
    if not isinstance(node.value, dict) or "class" not in node.value:
        found = "has no class" if isinstance(node.value, dict) else f"is {node.found}"
        report.add(node.place, f"{name} {found}, expected class: and its arguments")
        return None
    kind = node.value["class"].value
    if not isinstance(kind.value, str) or kind.value not in SECTIONS[section]:
        _report_class(kind, section, report)
        return None
    pairs = {key: one for key, one in node.value.items() if key != "class"}
    made = SECTIONS[section][kind.value].read(pairs, kind.value, pair.key.place, report)
    return None if made is UNREADABLE else made


def _report_class(kind: Node, section: str, report: Report) -> None:
    if not isinstance(kind.value, str):
        report.add(kind.place, f"class is {kind.found}, expected a name", code="wrong-type")
        return
    home = next((one for one, classes in SECTIONS.items() if kind.value in classes), None)
    if home is not None:
        report.add(kind.place, f"{kind.value} belongs into the section {home}, not {section}", code="misplaced")
    elif kind.value in REFUSED:
        report.add(kind.place, f"{kind.value} {REFUSED[kind.value]}", code="unsupported")
    else:
        message = f"unknown class {shown(kind.value)} in {section}"
        report.unknown(kind.place, message, kind.value, SECTIONS[section])


def _places(node: Node) -> Iterator[tuple[str, Place]]:
    """Yield each text inside a node, keys included, and where it stands."""
    if isinstance(node.value, str):
        yield node.value, node.place
    for item in node.value if isinstance(node.value, list) else ():
        yield from _places(item)
    for key, pair in node.value.items() if isinstance(node.value, dict) else ():
        yield key, pair.key.place
        yield from _places(pair.value)


def warn_of_unused(known: Mapping[str, Mapping[str, Named]], used: Container[str], report: Report) -> None:
    """Add a warning for each component that no policy uses; ``used`` holds section.name.

    >>> warn_of_unused({"pruners": {}}, set(), Report())
    """
    for section, names in known.items():
        for name, named in names.items():
            if f"{section}.{name}" not in used:
                report.add(
                    named.key.place,
                    f"{name} is defined in {section}, no policy uses it",
                    severity="warning",
                    code="unused",
                )
