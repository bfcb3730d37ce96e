"""Which layers a pruner acts on, by the names that its user knows, and what those names are."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from prunus.errors import Faults, SelectionError, did_you_mean
from prunus.select import Choice, Target, explain, targets

WRAPPERS = frozenset({"_fsdp_wrapped_module", "_orig_mod"})
"""Parts of a name that come from wrapping a module (torch.compile, FSDP) and not from the model."""


def layers(model: nn.Module, names: Sequence[str] | None = None, *, contains: bool = False) -> list[Target]:
    """Return the prunable weights of ``model`` in the layers that ``names`` asks for, in model order.

    Prunable is what :class:`prunus.select.Select` chooses: trainable floating weights of two or more dimensions that
    are no norm's. A weight shared by several layers comes once, under its first name, and is found under each.

    Args:
        model: the model; wrappers (DistributedDataParallel, torch.compile) leave no trace in the names.
        names: layer names ("encoder.fc1"), parameter names or shell patterns ("encoder.*"); None means all.
        contains: a name without ``*?[`` also fits every layer whose name contains it.

    Errors: SelectionError listing every name without a prunable layer, with the nearest one or the reason.

    >>> model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    >>> [target.name for target in layers(model, ["2"])]
    ['2.weight']
    >>> layers(model, ["3"])
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: the layers cannot be pruned: '3' matches no layer. Known: 0, 2.
    """
    model = unwrapped(model)
    if names is None:
        return [_clean(target) for target in targets(model)]
    every = [replace(choice, target=_clean(choice.target)) for choice in explain(model)]
    fits = {name: [choice for choice in every if _fits(choice.target, name, contains)] for name in require_names(names)}
    _require_prunable(fits, every)
    wanted = {choice.target.name for found in fits.values() for choice in found if choice.chosen}
    return [choice.target for choice in every if choice.target.name in wanted]


def require_names(names: Sequence[str]) -> Sequence[str]:
    """Return the names, or raise SelectionError for a bare string, whose letters would be names, and for none at all.

    >>> require_names("fc")
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: layer names are the string 'fc', expected a list of names: ['fc']
    """
    if isinstance(names, str):
        raise SelectionError(f"layer names are the string {names!r}, expected a list of names: [{names!r}]")
    if not names:
        raise SelectionError("the list of layer names is empty; leave it out (None) to prune every layer")
    return names


def label(name: str) -> str:
    """Return the name under which results speak of a parameter: the layer's for its ``weight``, else its own.

    >>> label("encoder.fc1.weight"), label("lstm.weight_hh_l0"), label("weight")
    ('encoder.fc1', 'lstm.weight_hh_l0', 'weight')
    """
    layer, _, parameter = name.rpartition(".")
    return layer if parameter == "weight" and layer != "weight" and layer else name


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside (Distributed)DataParallel, torch.compile or FSDP, or the model itself.

    >>> unwrapped(nn.DataParallel(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    parallel = isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel))
    keys = ["module"] if parallel else [key for key in WRAPPERS if key in model._modules]
    inner = model._modules[keys[0]] if keys else None
    return model if inner is None else unwrapped(inner)


def _clean(target: Target) -> Target:
    return replace(target, name=_without_wrappers(target.name), aliases=tuple(map(_without_wrappers, target.aliases)))


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _fits(target: Target, name: str, contains: bool) -> bool:
    """Compare the layer's and the parameter's full names; a shared weight has several of both."""
    full = (target.name, *target.aliases)
    known = {*full, *(one.rpartition(".")[0] for one in full)}
    if name in known or any(fnmatch.fnmatchcase(one, name) for one in known):
        return True
    return contains and not set("*?[") & set(name) and any(name in label(one) for one in full)


def _require_prunable(fits: dict[str, list[Choice]], every: list[Choice]) -> None:
    faults = Faults("the layers cannot be pruned")
    known = [label(choice.target.name) for choice in every if choice.chosen]
    parts = {name.rpartition(".")[2] for name in known}
    for name, found in fits.items():
        if not found:
            faults.add(f"{name!r} matches no layer. {did_you_mean(name, {*known, *parts})}")
        elif not any(choice.chosen for choice in found):
            reasons = "; ".join(f"{label(choice.target.name)}: {choice.reason}" for choice in found[:4])
            faults.add(f"{name!r} matches nothing that can be pruned ({reasons})")
    faults.raise_as(SelectionError)
