"""What the arguments of a policy, and two policies of one parameter, mean for a native recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import combinations

from prunus.recipes.distiller.arguments import PrunerArgs
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.goals import goals_of, structure_of

HARMLESS = ("keep_mask", "levels")
"""What changes nothing, since native masks last, and what is part of the pruner by now."""
WHY = {
    "mini_batch_pruning_frequency": "native policies decide either by epochs or by steps",
    "replace_masks": "native masks only tighten, so no policy takes over from another",
    "fold_batchnorm": "no native criterion looks at the norm that follows",
    "skip_first_minibatch": "native policies act before the first mini-batch of an epoch",
}
DENSE = "native masks hold after every step, in the weights themselves"


def of_args(line: Line) -> Iterator[Refusal]:
    """Yield a refusal for each argument that a native policy cannot follow.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> args = PrunerArgs(use_double_copies=True, keep_mask=True)
    >>> [found.name for found in of_args(Line(AutomatedGradualPruner(0.1, 0.9, "a"), Window(0, 9), args))]
    ['use_double_copies']
    """
    if isinstance(line.args, PrunerArgs):
        for one in fields(line.args):
            if one.name not in HARMLESS and getattr(line.args, one.name) != one.default:
                yield Refusal(f"{one.name}: {WHY.get(one.name, DENSE)}", "", one.name)


def of_pairs(subjects: Sequence[Subject]) -> Iterator[tuple[Line, Refusal]]:
    """Yield the later line where two prune one parameter one after the other and its masks would loosen.

    >>> list(of_pairs([]))
    []
    """
    for one, other in combinations(sorted(subjects, key=lambda each: _firings(each)[0]), 2):
        name = next((name for name in _names(other) if name in _names(one) and not _tightens(one, other, name)), None)
        if name is not None:
            text = f"its masks of {name} replace those of {one.line.name}, and native masks only tighten"
            hint = "Begin with the sparsity that the earlier policy leaves, in the same structure."
            yield other.line, Refusal(text, hint)


def _tightens(one: Subject, other: Subject, name: str) -> bool:
    """Whether the earlier policy is over, and the later one begins at least as sparse in the same groups."""
    before, after = (goals_of(each.line.component) for each in (one, other))
    mine, yours = _names(one)[name], _names(other)[name]
    if mine not in before or yours not in after:
        return False
    same = structure_of(one.line.component) == structure_of(other.line.component)
    return same and _firings(one)[-1] < _firings(other)[0] and before[mine].last <= after[yours].first


def _names(subject: Subject) -> dict[str, str]:
    """Return the names in the file by those of the model, of pruners."""
    names = subject.line.component.names if structure_of(subject.line.component) else ()
    return {subject.called(name): name for name in names}


def _firings(subject: Subject) -> Sequence[int]:
    return subject.line.window.resolve(None).firings()
