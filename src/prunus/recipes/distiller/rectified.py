"""Where no module of its own stands for a ReLU: what is read by one, found in the traced model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn

from prunus.recipes.distiller.folding import NORMS

RELU_FUNCTIONS = (nn.functional.relu, torch.relu, torch.relu_)
RELU_METHODS = ("relu", "relu_")


def before_relu(wanted: Sequence[nn.Module], model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Return for each convolution whose only reader is a ReLU itself, or the norm in between; others are left out.

    Nothing is found where the model cannot be traced symbolically.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU())
    >>> before_relu([model[0]], model)[model[0]] is model[1]
    True
    """
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception:  # whatever a model's own code raises when it meets a stand-in for a tensor
        return {}
    modules = dict(model.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module" and modules[node.target] in wanted]
    found = {modules[node.target]: _last_before_relu(node, modules) for node in calls}
    return {module: last for module, last in found.items() if last is not None}


def _last_before_relu(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    reader = _reader(node)
    if reader is not None and reader.op == "call_module" and isinstance(modules[str(reader.target)], NORMS):
        node, reader = reader, _reader(reader)
    return modules[str(node.target)] if reader is not None and _is_relu(reader, modules) else None


def _reader(node: fx.Node) -> fx.Node | None:
    """Return what reads a node, if that is one thing."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.ReLU)
    return node.target in (RELU_FUNCTIONS if node.op == "call_function" else RELU_METHODS)
