"""All that is wrong with a recipe: what its reader finds, and what the rules find in the policies that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from prunus.errors import RecipeError
from prunus.recipes.faults import Fault, Report
from prunus.recipes.languages import Language, language_of
from prunus.recipes.lint.acts import Run
from prunus.recipes.lint.drafting import Source, draft_of
from prunus.recipes.lint.lines import lines_of
from prunus.recipes.lint.rules import RULES
from prunus.recipes.sources import content_of


@dataclass(frozen=True)
class Findings:
    """What was found in one recipe: its language, and every fault in the order of the files.

    >>> Findings("native", ()).count("error")
    0
    """

    language: Language
    faults: tuple[Fault, ...]

    def count(self, severity: str) -> int:
        """Return how many faults are of a severity: "error", "warning" or "notice"."""
        return sum(fault.severity == severity for fault in self.faults)


def lint(
    source: Source,
    *,
    model: nn.Module | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
) -> Findings:
    """Return everything that is wrong with a recipe, native or Distiller's, and all in it that will change nothing.

    Args:
        source: path, YAML text (a string with a line break) or mapping; ``include`` is followed.
        model: where names, patterns and groups are looked up; without one they are not. It stays as it is.
        epochs, steps_per_epoch: length of the run; with it, windows that lie past the end are found.

    Nothing is raised: what cannot be read is an error among the findings. Every fault has a place, a ``code`` (those of
    ``RULES``, and those of the reader), a severity, and where only one name can have been meant a ``rename``.

    >>> recipe = '''
    ... version: 1
    ... policies:
    ...   - prune: {schedule: {cubik: {final: 0.9}}}
    ...   - prune: {schedule: {cubic: {final: 0.9}}}
    ...     window: {start: 4, end: 5}
    ... '''
    >>> for fault in lint(recipe).faults:
    ...     print(fault.severity, fault.code, fault)
    error unknown-name <text>:4:24: unknown schedule 'cubik'. Did you mean 'cubic'?
    warning single-firing <text>:6:5: it fires once, in epoch 4, ... at once. Give it a longer window, or say one_shot.
    """
    report = Report()
    language: Language = "native"
    try:
        language = language_of(source)
        draft = draft_of(source, language, report, Run(epochs, steps_per_epoch), model)
        for code, rule in RULES.items():
            for fault in rule(draft):
                report.keep(replace(fault, code=code))
    except RecipeError as error:
        for fault in error.faults:
            report.keep(fault)
    return Findings(language, tuple(report.in_order()))


def texts_of(source: Source, findings: Findings) -> Mapping[str, list[str]]:
    """Return the lines of every file that a finding names, for quoting; files that cannot be read are left out.

    >>> texts_of("version: 1\\n", lint("version: 1\\n"))["<text>"][0]
    'version: 1'
    """
    found: dict[str, list[str]] = {}
    for file in {fault.file for fault in findings.faults}:
        if isinstance(source, str) and "\n" in source:
            found[file] = lines_of(source)
            continue
        try:
            found[file] = lines_of(content_of(Path(file)).decode("utf-8", "replace"))
        except (OSError, ValueError):
            continue
    return found
