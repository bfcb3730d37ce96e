"""The part of a model that a recipe's names count from."""

from __future__ import annotations

from torch import nn

from prunus.errors import SelectionError, did_you_mean


def part_of(model: nn.Module, root: str) -> nn.Module:
    """Return the submodule named ``root``, or the model itself for an empty name; SelectionError when there is none.

    >>> part_of(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    >>> part_of(nn.Sequential(nn.ReLU()), "net")
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: root is 'net', and Sequential has no such part. Known: 0.
    """
    try:
        return model.get_submodule(root)
    except AttributeError:
        known = [name for name, _ in model.named_modules() if name]
        kind = type(model).__name__
        raise SelectionError(f"root is {root!r}, and {kind} has no such part. {did_you_mean(root, known)}") from None
