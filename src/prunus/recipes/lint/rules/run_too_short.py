"""run-too-short: a window that the run does not reach, or does not reach the end of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from prunus.errors import NoEffect, PrunusError, RunError
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say
from prunus.recipes.lint.unbound import running


def run_too_short(draft: Draft) -> Iterator[Fault]:
    """In a run of the length that was given, a window never opens, is empty, or does not come to its end.

    >>> list(run_too_short(Draft("native", ())))
    []
    """
    for act in draft.acts:
        if draft.run.totals[act.policy.when.unit] is None:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NoEffect)
            try:
                running(act.policy).resolve(draft.run.totals)
            except RunError:
                continue
            except PrunusError as error:
                yield say(act.timing, str(error), severity="error")
        for warning in caught:
            yield say(act.timing, str(warning.message), "Train longer, or move the window.")
