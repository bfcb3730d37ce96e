"""The pruning manager: parameter groups with their own regularizer, share of λ, settings and sparse start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypedDict, TypeVar
from warnings import warn

import torch
from torch import nn
from torch.optim import Optimizer

from prunus._echo import Echo, to_stdout
from prunus._instantiate import instantiate
from prunus.errors import NoEffect, SettingError
from prunus.regularizers import RegNone
from prunus.select.assignment import shown
from prunus.select.distribution import distribute, idle
from prunus.select.group import Group
from prunus.select.group_table import GroupRow, GroupTable
from prunus.select.target import Target
from prunus.sparse_init import SparseInit, initialise_

OptimizerT = TypeVar("OptimizerT", bound=Optimizer)


class ProcessedGroup(TypedDict):
    """A group that holds parameters: they, their qualified names, and the checked configuration.

    >>> manager = PruningManager(nn.Linear(2, 2), [{"name": "fc", "optimizer_settings": {"reg": "l1"}}])
    >>> [group["param_names"] for group in manager.processed_groups]
    [['weight'], ['bias']]
    """

    name: str
    params: list[nn.Parameter]
    param_names: list[str]
    config: Group


class PruningManager:
    """Share a model's trainable parameters among groups; the first that matches takes a parameter.

    A group is a mapping; every key but ``name`` may be left out, and an empty criterion holds for every parameter:

    - ``name``: how the group is called in the optimizer, in logs and in messages.
    - ``layer_types``: classes or their dotted names; the layer that holds the parameter must be an instance of one.
    - ``param_names``: names inside the layer, such as "weight".
    - ``module_name_patterns``: regular expressions, one of which is found (``re.search``) in the layer's dotted name
      ("" for the model itself).
    - ``exclude_module_name_patterns``: regular expressions, none of which may be found there.
    - ``is_fallback``: true for the one group that takes what no other matches, wherever it stands. Without one there is
      an implicit "fallback" with RegNone.
    - ``optimizer_settings``: ``reg`` (a regularizer, its name, or a mapping with ``_target_`` or ``name``; each group
      gets its own copy; default RegNone), ``lambda_scale`` (the share of the steered λ that the group takes; default 1,
      for RegNone 0) and whatever else the optimizer takes for a group, such as ``lr``.
    - ``pruning_config``: how sparse the group starts, see :class:`prunus.sparse_init.SparseInit`.

    Biases, other vectors and the weights of norms are not charged unless the group names them (a vector in
    ``param_names``, a norm in ``layer_types``): they form a group of their own beside it, "<name>.spared", with its
    settings and RegNone. A parameter with several names goes by its first; frozen ones are in no group.

    Args:
        model: the model, or the LightningModule.
        pruning_groups: the groups in order of precedence; containers of OmegaConf are welcome.
        verbose: whether to write the table of the groups. Default False.
        echo: takes each line of it. Default: standard output.

    Raises:
        SelectionError: everything that is wrong, at once: unknown keys, layer types that cannot be imported or are no
            layers, names and patterns that find nothing, groups that get nothing, regularizers that cannot be built or
            do not fit a parameter, wrong values.

    Warns NoEffect about a group that asks for what cannot happen, and when no group charges anything.
    Use it with the optimizers of :mod:`prunus.optim`; :class:`prunus.select.Select` chooses for the other actions.
    Source: the pruning manager of sparse speaker-verification training, without its defects.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    >>> conv = {"reg": {"_target_": "prunus.regularizers.RegL1L2Conv", "lamda": 0.01}, "lr": 0.1}
    >>> groups = [
    ...     {"name": "conv", "layer_types": ["torch.nn.Conv2d"], "optimizer_settings": conv},
    ...     {"name": "fc", "layer_types": ["torch.nn.Linear"], "param_names": ["weight"],
    ...      "optimizer_settings": {"reg": "l1"}, "pruning_config": {"sparsity_rate": 0.75}},
    ... ]
    >>> manager = PruningManager(model, groups, verbose=True)
    group        tensors  weights  regularizer              λ scale  zeros at start     settings
    conv         1        36       RegL1L2Conv(lamda=0.01)  1        -                  lr=0.1
    conv.spared  1        4        RegNone()                0        -                  lr=0.1
    fc           1        32       RegL1(lamda=1.0)         1        75 % unstructured
    fallback     3        10       RegNone()                0        -
    >>> manager.apply_initial_sparsity(torch.Generator().manual_seed(0))
    {'3.weight': 8}
    """

    def __init__(
        self,
        model: nn.Module,
        pruning_groups: Sequence[Mapping[str, Any]],
        *,
        verbose: bool = False,
        echo: Echo = to_stdout,
    ) -> None:
        self._frozen, self._held = distribute(model, pruning_groups)
        for message in idle(self._held):
            warn(message, NoEffect, stacklevel=2)
        for line in str(self.table()).splitlines() if verbose else ():
            echo(line)

    @property
    def processed_groups(self) -> list[ProcessedGroup]:
        """The groups that hold parameters, in order of precedence."""
        return [
            ProcessedGroup(
                name=group.name,
                params=[target.parameter for target in held],
                param_names=[target.name for target in held],
                config=group,
            )
            for group, held in self._held
        ]

    def get_optimizer_param_groups(self) -> list[dict[str, Any]]:
        """Return new dicts for an optimizer: name, params, param_names, a copy of reg, lambda_scale, other settings."""
        return [
            {
                "name": group["name"],
                "params": group["params"],
                "param_names": group["param_names"],
                "reg": deepcopy(group["config"].reg),
                "lambda_scale": group["config"].lambda_scale,
                **deepcopy(dict(group["config"].settings)),
            }
            for group in self.processed_groups
        ]

    def get_pruned_parameters(self) -> list[nn.Parameter]:
        """Return the parameters whose λ is steered, those that sparsity is measured on.

        Their group has ``lambda_scale`` above 0 and a regularizer that charges tensors of their shape; the optimizer of
        :meth:`build` yields the same in ``regularized()``.
        """
        return [target.parameter for group, held in self._held for target in held if _is_steered(group, target)]

    def apply_initial_sparsity(self, generator: torch.Generator | None = None) -> dict[str, int]:
        """Zero the share of the weights that each group's ``pruning_config`` asks for, at random and in place.

        Call it before the first step of a new run, not when resuming. Counts are exact for each parameter. Filters are
        outputs, in transposed convolutions too.

        Args:
            generator: source of the choice; None is torch's global one.

        Returns:
            How many pieces (weights, rows, filters …) each parameter kept, by name, for the groups that start sparse.
        """
        kept: dict[str, int] = {}
        for group, held in self._held:
            if group.start.sparsity_rate > 0:
                views = [target.canonical(target.parameter.detach()) for target in held]
                kept |= zip((target.name for target in held), initialise_(views, group.start, generator), strict=True)
        return kept

    def build(self, optimizer: Callable[..., OptimizerT] | Mapping[str, Any], **settings: Any) -> OptimizerT:
        """Return the optimizer over the groups: ``configure_optimizers`` in one line.

        Args:
            optimizer: a class of :mod:`prunus.optim`, a partial of one (as Hydra makes it), or a mapping with
                ``_target_`` and settings.
            settings: further arguments of the optimizer, which groups may override.

        Raises:
            SettingError: the optimizer refuses a setting, or is of another library and would ignore regularizers.

        >>> from prunus.optim import AdaBreg
        >>> manager = PruningManager(nn.Linear(2, 2), [{"name": "fc", "optimizer_settings": {"reg": "l1", "lr": 0.1}}])
        >>> [(group["name"], group["lr"], group["delta"]) for group in manager.build(AdaBreg, delta=2.0).param_groups]
        [('fc', 0.1, 2.0), ('fc.spared', 0.1, 2.0)]
        """
        factory = instantiate({**optimizer, "_partial_": True}) if isinstance(optimizer, Mapping) else optimizer
        built: OptimizerT = factory(params=self.get_optimizer_param_groups(), **settings)
        if "reg" not in built.defaults:
            name = type(built).__name__
            raise SettingError(f"{name} knows no reg, so it would ignore the groups' regularizers; see prunus.optim")
        return built

    def table(self) -> GroupTable:
        """Return the groups as rows of data, with notices; printed, they are a table."""
        notices = [f"frozen and in no group: {shown([target.name for target in self._frozen])}"] if self._frozen else []
        for group, held in self._held:
            named = [target.name for target in held if Group("", reg=group.reg).spares(target)]
            if named:
                notices.append(f"{group.name} names biases, vectors or norms, so it charges them: {shown(named)}")
        return GroupTable(tuple(_row(group, held) for group, held in self._held), tuple(notices))


def _is_steered(group: Group, target: Target) -> bool:
    return group.lambda_scale > 0 and not group.reg.ignores(target.parameter.shape)


def _row(group: Group, held: Sequence[Target]) -> GroupRow:
    weights = sum(target.parameter.numel() for target in held)
    reg = "RegNone()" if isinstance(group.reg, RegNone) else str(group.reg)
    settings = ", ".join(f"{key}={value}" for key, value in group.settings.items())
    start: SparseInit = group.start
    kind = f"structured ({start.structure.name})" if start.structured else start.pruning_type
    return GroupRow(group.name, len(held), weights, reg, group.lambda_scale, start.sparsity_rate, kind, settings)
