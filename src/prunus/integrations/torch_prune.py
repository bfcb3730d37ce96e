"""Models pruned by torch.nn.utils.prune: read one into a clean model and a mask store, or write one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import prune

from prunus.checkpoints.mask_intake import require_no_regrowth, take_masks
from prunus.checkpoints.torch_format import MASK, ORIG, Place, declared_order, places
from prunus.errors import Faults, SelectionError, did_you_mean
from prunus.masks import MaskStore
from prunus.select import explain


def read(model: nn.Module, store: MaskStore | None = None, *, like: nn.Module | None = None) -> MaskStore:
    """Turn a model that torch has pruned into a clean one, in place, and return its masks.

    Every ``weight_orig`` becomes ``weight`` again, with +0.0 in the pruned places, and stands where it stood before
    pruning: torch puts it behind the bias, so that ``model.parameters()`` of pruned and clean models differ. Outputs do
    not change. Parameters stay the same objects, so optimizers, gradients and views go on. The masks are not enforced
    by themselves: attach the store to the optimizer (``store.attach(optimizer)``), or pass ``scheduler.masks``.

    Args:
        model: any depth, any number of pruned parameters in a module.
        store: where the masks go. Default: a new one.
        like: a never-pruned model of the same architecture, for modules of your own with several parameters, whose
            order nothing else tells. torch's own layers are known.

    Errors, and nothing is changed: SelectionError when nothing is pruned, when ``like`` is needed or does not fit, and
    when a tied weight is masked under one of its names only; SparsityDecreaseError where the store has pruned more;
    CheckpointError when a module is half pruned.

    >>> model = nn.utils.prune.random_unstructured(nn.Linear(4, 2), "weight", amount=6)
    >>> masks = read(model)
    >>> [name for name, _ in model.named_parameters()], int(masks["weight"].sum())
    (['weight', 'bias'], 2)
    """
    found = places(model)
    if not found:
        raise SelectionError("torch.nn.utils.prune has pruned nothing in this model")
    masks = {place.name: place.keep for place in found}
    orders = _orders(found, like)
    _require_whole_ties(model, found)
    store = MaskStore([]) if store is None else store
    require_no_regrowth(store, masks)
    for place in found:
        with torch.no_grad():
            place.original.masked_fill_(~place.keep, 0.0)
        _strip(place)
    for module, names in orders.items():
        _put_in_order(module, names)
    take_masks(store, model, masks)
    return store


def write(model: nn.Module, store: MaskStore) -> list[str]:
    """Put torch's pruning on every masked parameter of the store, in place; return their names.

    For programs that need the ``_orig``/``_mask`` format. As torch does, it moves each of them behind the other
    parameters of its module; objects stay the same. From here on torch enforces the masks, at every forward, and the
    store must not be applied any more. :func:`read` undoes it.

    Args:
        model: the clean model that the store is of.
        store: its masks; targets without a mask stay clean.

    Errors, and nothing is changed: SelectionError naming every mask that is of no parameter of the model.

    >>> model = nn.Linear(4, 2)
    >>> store = MaskStore([choice.target for choice in explain(model)])
    >>> store.update({"weight": torch.eye(2, 4).bool()})
    >>> write(model, store)
    ['weight']
    >>> list(model.state_dict())
    ['bias', 'weight_orig', 'weight_mask']
    """
    homes = _homes(model, store)
    orders = {module: list(module._parameters) for _, module, _ in homes}
    done: list[Place] = []
    try:
        for home in homes:
            prune.custom_from_mask(home.module, home.parameter_name, store[home.name].float())
            done.append(home)
    except BaseException:
        for home in done:
            _strip(home)
        for module, names in orders.items():
            _put_in_order(module, names)
        raise
    return list(dict.fromkeys(home.name for home in homes))


def _homes(model: nn.Module, store: MaskStore) -> list[Place]:
    """Every module and local name that holds a masked parameter: a tied one has several."""
    faults = Faults("the masks do not fit this model")
    named = {choice.target.name: choice.target.parameter for choice in explain(model)}
    for name in store:
        if name not in named:
            faults.add(f"{name!r} is no parameter. {did_you_mean(name, named)}")
        elif store[name].shape != named[name].shape:
            faults.add(f"the mask of {name!r} is {list(store[name].shape)}, the weight {list(named[name].shape)}")
    faults.raise_as(SelectionError)
    masked = {id(named[name]): name for name in store}
    holders = [(id(held), module, local) for module, local, held in _held(model)]
    return [Place(masked[held], module, local) for held, module, local in holders if held in masked]


def _held(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    for module in model.modules():
        yield from ((module, local, held) for local, held in module._parameters.items() if held is not None)


def _orders(found: list[Place], like: nn.Module | None) -> dict[nn.Module, list[str]]:
    """The names of every pruned module in the order that they had before pruning."""
    if like is not None and places(like):
        raise SelectionError("like= is pruned itself, expected a model that never was")
    faults = Faults("the order of parameters before pruning is unknown: pass like=<a never-pruned model of this kind>")
    orders: dict[nn.Module, list[str]] = {}
    for place in found:
        path = place.name.rpartition(".")[0]
        now = [
            local.removesuffix(ORIG) if local.removesuffix(ORIG) + MASK in place.module._buffers else local
            for local in place.module._parameters
        ]
        order = _declared(place.module, now) if like is None else _order_in(like, path)
        if order is None or set(order) != set(now):
            faults.add(f"{path or 'the model'} ({type(place.module).__name__}) has {', '.join(now)}")
        else:
            orders[place.module] = order
    faults.raise_as(SelectionError)
    return orders


def _declared(module: nn.Module, names: list[str]) -> list[str] | None:
    """The order of torch's own layers; names without a parameter (``bias=False``) come last, nobody sees them."""
    empty = [name for name in names if name in module._parameters and module._parameters[name] is None]
    order = declared_order(name for name in names if name not in empty)
    return None if order is None else order + empty


def _order_in(like: nn.Module, path: str) -> list[str] | None:
    try:
        return list(like.get_submodule(path)._parameters)
    except AttributeError:
        return None


def _require_whole_ties(model: nn.Module, found: list[Place]) -> None:
    """A clean tied weight has one mask or none, so all its holders must be masked alike."""
    faults = Faults("a tied weight is masked in one place only, so that no clean model equals it")
    masked = {(id(place.module), place.parameter_name + ORIG): place for place in found}
    for place in found:
        for module, local, held in _held(model):
            twin = masked.get((id(module), local))
            if held is place.original and not (twin and bool((twin.keep == place.keep).all())):
                faults.add(f"{place.name} is tied to {local} of a {type(module).__name__}, which is not masked alike")
    faults.raise_as(SelectionError)


def _strip(place: Place) -> None:
    """Take hook and mask off and put the parameter, as it is, back under its own name."""
    module, local = place.module, place.parameter_name
    parameter = place.original
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == local:
            del module._forward_pre_hooks[key]
    del module._parameters[local + ORIG], module._buffers[local + MASK]
    setattr(module, local, parameter)  # not register_parameter: recurrent layers keep a list of their own in step


def _put_in_order(module: nn.Module, names: list[str]) -> None:
    for name in names:
        module._parameters[name] = module._parameters.pop(name)
