"""The rules: what a recipe may say that changes nothing, or something other than is meant; one file a rule."""

from collections.abc import Callable, Iterator

from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft
from prunus.recipes.lint.rules.clash import clash
from prunus.recipes.lint.rules.does_not_fit import does_not_fit
from prunus.recipes.lint.rules.falling import falling
from prunus.recipes.lint.rules.idle_penalty import idle_penalty
from prunus.recipes.lint.rules.idle_rate import idle_rate
from prunus.recipes.lint.rules.idle_setting import idle_setting
from prunus.recipes.lint.rules.idle_steering import idle_steering
from prunus.recipes.lint.rules.last_skipped import last_skipped
from prunus.recipes.lint.rules.no_match import no_match
from prunus.recipes.lint.rules.no_weights_left import no_weights_left
from prunus.recipes.lint.rules.no_zeros import no_zeros
from prunus.recipes.lint.rules.nothing_to_move import nothing_to_move
from prunus.recipes.lint.rules.overlap import overlap
from prunus.recipes.lint.rules.pattern_overlap import pattern_overlap
from prunus.recipes.lint.rules.repeated import repeated
from prunus.recipes.lint.rules.run_too_short import run_too_short
from prunus.recipes.lint.rules.single_firing import single_firing
from prunus.recipes.lint.rules.too_few_groups import too_few_groups
from prunus.recipes.lint.rules.too_slow import too_slow

Rule = Callable[[Draft], Iterator[Fault]]

RULES: dict[str, Rule] = {
    "clash": clash,
    "does-not-fit": does_not_fit,
    "falling": falling,
    "idle-penalty": idle_penalty,
    "idle-rate": idle_rate,
    "idle-setting": idle_setting,
    "idle-steering": idle_steering,
    "last-skipped": last_skipped,
    "no-match": no_match,
    "no-weights-left": no_weights_left,
    "no-zeros": no_zeros,
    "nothing-to-move": nothing_to_move,
    "overlap": overlap,
    "pattern-overlap": pattern_overlap,
    "repeated": repeated,
    "run-too-short": run_too_short,
    "single-firing": single_firing,
    "too-few-groups": too_few_groups,
    "too-slow": too_slow,
}
"""Each rule by its code."""
