"""A recipe and the files that it includes, taken up one after the other into one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunus.recipes.faults import Report, shown
from prunus.recipes.nodes import DEPTH, NODES, Node
from prunus.recipes.respelling import respelt
from prunus.recipes.sections import TOP, Document, define, texts
from prunus.recipes.sources import content_of, reason, tree_of, tree_of_file

VERSION = 1
FILES = 100
"""Most files that one recipe is made of."""


def gather(source: str | Path | Mapping[str, Any], report: Report) -> Document:
    """Return what a recipe says, its included files first; faults of its top level go to the report.

    >>> sorted(gather({"version": 1, "variables": {"final": 0.9}, "policies": []}, Report()).definitions)
    ['final']
    """
    root = tree_of(source, report)
    is_path = isinstance(source, Path) or (isinstance(source, str) and "\n" not in source)
    gathering = _Gathering(report)
    gathering.take(root, [Path(source)] if is_path else [], own=True)  # type: ignore[arg-type]
    if not gathering.has_policies and gathering.document.whole:
        report.add(root.place, "policies is missing, expected a list of policies", code="missing")
    return gathering.document


class _Gathering:
    """Takes up each file once."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.document = Document()
        self.has_policies = False
        self.size = 0
        self.seen: set[Path] = set()

    def take(self, root: Node, chain: list[Path], own: bool) -> None:
        """Take up a tree and, before it, what it includes; ``chain`` are the files that lead to it, itself the last."""
        if not isinstance(root.value, dict):
            found = "nothing" if root.value is None else root.found
            self.report.stop(root.place, f"a recipe is a mapping of version and policies, found {found}")
        self._require_room(root)
        known = respelt(root.value, TOP, lambda key: f"unknown key {shown(key)} of the recipe", self.report)
        root = replace(root, value=known)
        self._check_version(root)
        before = set(self.document.definitions)
        for entry in texts(root, "include", "the path of a recipe", self.report):
            self._include(entry, chain)
        define(self.document, root, set(self.document.definitions) - before, own, self.report)
        self._add_policies(root)

    def _require_room(self, root: Node) -> None:
        self.size += root.size
        if self.size > NODES:
            self.report.stop(root.place, f"more than {NODES:,} values in all files together; split the recipe")

    def _check_version(self, root: Node) -> None:
        if "version" not in root.value:
            self.report.add(root.place, f"version is missing; begin the recipe with version: {VERSION}", code="missing")
            return
        node = root.value["version"].value
        if type(node.value) is not int or node.value != VERSION:
            said = f"version is {node.found}, expected {VERSION}, the only one that this prunus reads"
            self.report.add(node.place, said)

    def _include(self, entry: Node, chain: list[Path]) -> None:
        """Take up an included file; its path counts from the folder of the file that names it."""
        path = (chain[-1].parent if chain else Path()) / entry.value
        try:
            content, whole = content_of(path), path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            self._miss(entry, path, reason(error))
            return
        if whole in [one.resolve() for one in chain]:
            circle = " → ".join(one.name for one in [*chain, path])
            self.report.add(entry.place, f"{shown(entry.value)} includes itself: {circle}", code="circle")
        elif whole not in self.seen:
            self.seen.add(whole)
            if len(self.seen) > FILES or len(chain) > DEPTH:
                self.report.stop(entry.place, f"more than {FILES} files, or more than {DEPTH} that include each other")
            self.take(tree_of_file(content, str(path), self.report), [*chain, path], own=False)

    def _miss(self, entry: Node, path: Path, why: str) -> None:
        self.document.whole = False
        folder = Path(entry.value).parent
        near = [(folder / one.name).as_posix() for one in _recipes_in(path.parent) if one.name != path.name]
        self.report.unknown(entry.place, f"{shown(entry.value)} cannot be included ({why})", entry.value, near)

    def _add_policies(self, root: Node) -> None:
        if "policies" not in root.value:
            return
        self.has_policies = True
        node = root.value["policies"].value
        if isinstance(node.value, list) and node.value:
            self.document.policies += node.value
        else:
            found = "an empty list" if node.value == [] else node.found
            self.report.add(
                node.place, f"policies is {found}, expected a list of at least one policy", code="wrong-type"
            )


def _recipes_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.y*ml"))
    except (OSError, ValueError):
        return []
