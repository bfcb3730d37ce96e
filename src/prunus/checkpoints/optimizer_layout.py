"""Which parameters the numbers in a saved optimizer state stand for: told by names, by shapes, or by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from prunus.checkpoints.optimizer_order import Built, Groups, Order, clean_name
from prunus.errors import CheckpointError, require_known


def layout_of(
    state: Mapping[str, Any], wanted: Groups, order: Order, shapes: Mapping[str, Sequence[int]], built: Built | None
) -> Groups:
    """Return the names behind the numbers of a saved optimizer state.

    Names that the optimizer kept itself (``param_names``) decide; else ``built``; else the shapes of the state, which
    tell whether the optimizer was built before the model was pruned or after. Where both would give every parameter
    the same state, either is right.

    Args:
        state: the saved ``optimizer.state_dict()``.
        wanted: :func:`groups_of` the optimizer that shall load it.
        order: :func:`order_of` model and file.
        shapes: shape of every parameter.
        built: "before" or "after" when it is known.

    Errors: CheckpointError when the groups are not those of the file, when no order fits, and when both fit.

    >>> order = Order(("w", "b"), ("w", "b"), ("b", "w"))
    >>> state = {"state": {0: {"m": torch.ones(3)}}, "param_groups": [{"params": [0, 1]}]}
    >>> layout_of(state, [["w", "b"]], order, {"w": (2, 3), "b": (3,)}, None)
    [['b', 'w']]
    """
    if built is not None:
        require_known("optimizer_built", built, ("before", "after"))
    require_same_groups(state, wanted, wanted)
    kept = kept_names(state, set(order.now))
    if kept is not None:
        return kept
    layouts = order.layouts(wanted)
    if built is not None:
        return layouts[built]
    fitting = [layout for layout in layouts.values() if _fits(state, layout, shapes)]
    if len(fitting) == 2 and _same_outcome(state, *fitting):
        return fitting[0]
    if len(fitting) != 1:
        several = "was built before the model was pruned, or after" if fitting else "belongs to this model at all"
        raise CheckpointError(
            f"the shapes do not tell whether the saved optimizer {several}, and so not which parameter a state belongs "
            'to: pass optimizer_built="before" or "after", or leave the optimizer\'s state out'
        )
    return fitting[0]


def require_same_groups(state: Mapping[str, Any], saved: Groups, wanted: Groups) -> None:
    """Raise CheckpointError unless the state and both lists of names have the same groups.

    >>> require_same_groups({"param_groups": [{"params": [0]}]}, [["w"]], [["w"], ["b"]])
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: the saved optimizer has groups of [1] parameters, this one of [1, 1]
    """
    sizes = [len(group["params"]) for group in state["param_groups"]]
    if not sizes == [len(group) for group in saved] == [len(group) for group in wanted]:
        now = [len(group) for group in wanted]
        raise CheckpointError(f"the saved optimizer has groups of {sizes} parameters, this one of {now}")
    for index, (was, now_) in enumerate(zip(saved, wanted, strict=True)):
        if set(was) != set(now_):
            other = sorted(set(was) ^ set(now_))
            raise CheckpointError(f"group {index} of the saved optimizer differs in {', '.join(other)}")


def kept_names(state: Mapping[str, Any], known: set[str]) -> Groups | None:
    """Return the names that torch kept in ``param_names``, when every group has them and all are known.

    >>> kept_names({"param_groups": [{"params": [0], "param_names": ["0.weight_orig"]}]}, {"0.weight"})
    [['0.weight']]
    """
    kept = [[clean_name(name, known) for name in group.get("param_names", ())] for group in state["param_groups"]]
    named = all(len(names) == len(group["params"]) for names, group in zip(kept, state["param_groups"], strict=True))
    return kept if named and all(name in known for names in kept for name in names) else None


def numbers_of(state: Mapping[str, Any], names: Groups) -> dict[str, Any]:
    """Return the number that the state gives to each name.

    >>> numbers_of({"param_groups": [{"params": [4, 5]}]}, [["w", "b"]])
    {'w': 4, 'b': 5}
    """
    pairs = [
        zip(group, saved["params"], strict=True) for group, saved in zip(names, state["param_groups"], strict=True)
    ]
    return {name: number for pair in pairs for name, number in pair}


def _fits(state: Mapping[str, Any], layout: Groups, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether every tensor of more than one element has the shape of the parameter it would belong to."""
    return all(
        tuple(value.shape) == tuple(shapes[name])
        for name, number in numbers_of(state, layout).items()
        for value in state["state"].get(number, {}).values()
        if isinstance(value, Tensor) and value.numel() > 1
    )


def _same_outcome(state: Mapping[str, Any], one: Groups, other: Groups) -> bool:
    mine, theirs = numbers_of(state, one), numbers_of(state, other)
    entries = state["state"]
    return all(_equal(entries.get(mine[name], {}), entries.get(theirs[name], {})) for name in mine)


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key])
        if isinstance(value, Tensor) and isinstance(other[key], Tensor)
        else value is other[key] or (not isinstance(value, Tensor) and bool(value == other[key]))
        for key, value in one.items()
    )
