"""Which group gets which parameter: the first that matches; and what speaks against the groups as they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from prunus.errors import PrunusError, did_you_mean
from prunus.select.group import Group, found, owner
from prunus.select.target import Target


def assign(targets: Sequence[Target], groups: Sequence[Group]) -> list[int]:
    """Return the index of each parameter's group: the first that matches, else the fallback.

    >>> from torch import nn
    >>> layer = nn.Linear(2, 2)
    >>> pair = [Target(name, layer, name) for name in ("weight", "bias")]
    >>> assign(pair, [Group("rest", is_fallback=True), Group("all weights", param_names=("weight",)), Group("late")])
    [1, 2]
    """
    rest = next(index for index, group in enumerate(groups) if group.is_fallback)
    return [next((i for i, group in enumerate(groups) if group.matches(target)), rest) for target in targets]


def unmet(group: Group, trained: Sequence[Target], frozen: Sequence[Target] = ()) -> Iterator[str]:
    """Yield what no trainable parameter meets: each name and pattern without a match, or the reason why none is left.

    Criteria are asked one after the other, as they narrow the choice: types, names, patterns, exclusions. Other groups
    do not matter.

    >>> from torch import nn
    >>> layer = nn.Linear(2, 2)
    >>> list(unmet(Group("g", param_names=("weigth",)), [Target("fc.weight", layer, "weight")]))
    ["param_names 'weigth' is no parameter of its layers. Did you mean 'weight'?"]
    """
    if group.is_fallback:
        return
    if not any(map(group.matches, trained)) and (still := [t.name for t in frozen if group.matches(t)]):
        yield f"every parameter that it matches is frozen: {shown(still)}"
        return
    typed = [target for target in trained if group.is_typed(target)]
    if not typed:
        yield _no_type(group, trained)
    yield from _unknown_names(group, typed)
    fitting = [target for target in typed if group.fits(target)]
    yield from _idle_patterns(group, fitting, trained)
    placed = [target for target in fitting if group.is_placed(target)]
    yield from _idle_exclusions(group, placed)


def _no_type(group: Group, trained: Sequence[Target]) -> str:
    wanted = ", ".join(kind.__name__ for kind in group.layer_types)
    known = sorted({type(target.module).__name__ for target in trained})
    return f"no layer with trainable parameters is of its layer_types ({wanted}); the model has {', '.join(known)}"


def _unknown_names(group: Group, typed: Sequence[Target]) -> Iterator[str]:
    known = {target.parameter_name for target in typed}
    for name in group.param_names:
        if typed and name not in known:
            yield f"param_names {name!r} is no parameter of its layers. {did_you_mean(name, known)}"


def _idle_patterns(group: Group, fitting: Sequence[Target], trained: Sequence[Target]) -> Iterator[str]:
    """Yield include patterns that find no layer of the group's, and where they look instead."""
    for pattern in group.module_name_patterns:
        if fitting and not any(found([pattern], target) for target in fitting):
            yield f"module_name_patterns {pattern!r} finds {_where(pattern, trained) or _near(pattern, fitting)}"


def _where(pattern: str, trained: Sequence[Target]) -> str:
    """Say what a pattern finds that is not the group's, or return an empty string."""
    others = [target.name for target in trained if found([pattern], target)]
    aliases = [t.name for t in trained if any(re.search(pattern, alias.rpartition(".")[0]) for alias in t.aliases)]
    if others:
        return f"only what its other criteria rule out: {shown(others)}"
    return f"only other names of {shown(aliases)}; a parameter goes by its first name" if aliases else ""


def _near(pattern: str, targets: Sequence[Target]) -> str:
    """Offer the layer whose name is nearest to the letters of a pattern."""
    letters = re.sub(r"[^\w.]|^\.|\.$", "", pattern)
    return f"none of its layers. {did_you_mean(letters, {owner(target) for target in targets})}"


def _idle_exclusions(group: Group, placed: Sequence[Target]) -> Iterator[str]:
    """Yield exclude patterns that exclude nothing, or say that they exclude everything."""
    for pattern in group.exclude_module_name_patterns:
        if placed and not any(found([pattern], target) for target in placed):
            yield f"exclude_module_name_patterns {pattern!r} excludes {_near(pattern, placed)}"
    if placed and not any(map(group.matches, placed)):
        yield f"exclude_module_name_patterns exclude all that it matches: {shown([t.name for t in placed])}"


def robbed(groups: Sequence[Group], trained: Sequence[Target], indices: Sequence[int]) -> Iterator[str]:
    """Yield the groups that get nothing because earlier ones have taken all that they match.

    >>> from torch import nn
    >>> weight = Target("weight", nn.Linear(2, 2), "weight")
    >>> list(robbed([Group("all"), Group("late"), Group("rest", is_fallback=True)], [weight], [0]))
    ["group 'late': earlier groups took all that it matches: 'all' (1); move it up, or remove it"]
    """
    for number, group in enumerate(groups):
        taken = Counter(groups[i].name for i, t in zip(indices, trained, strict=True) if group.matches(t))
        if taken and number not in indices:
            takers = ", ".join(f"{name!r} ({count})" for name, count in taken.items())
            yield f"group {group.name!r}: earlier groups took all that it matches: {takers}; move it up, or remove it"


def misfits(group: Group, charged: Sequence[Target]) -> Iterator[str]:
    """Yield the parameters that the regularizer of their group, or its sparse start, cannot split.

    >>> from torch import nn
    >>> from prunus.regularizers import RegL1L2
    >>> list(misfits(Group("g", reg=RegL1L2()), [Target("conv.weight", nn.Conv2d(1, 1, 3), "weight")]))
    ['RegL1L2(lamda=1.0) does not fit conv.weight: Row() cannot split a tensor of shape (1, 1, 3, 3): ...']
    """
    for target in charged:
        parameter = target.parameter
        try:
            group.reg.radius(parameter.shape)
        except PrunusError as fault:
            yield f"{group.reg} does not fit {target.name}: {fault}"
        if group.start.sparsity_rate > 0 and not group.start.spares(parameter):
            reason = group.start.structure.misfit(parameter.shape)
            if reason:
                yield f"pruning_config does not fit {target.name} of shape {tuple(parameter.shape)}: {reason}"


def shown(names: Sequence[str], most: int = 4) -> str:
    """Return the first few names, and how many more there are.

    >>> shown(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
