"""The scale that a batch norm gives to the filters of the convolution before it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, fx, nn

from prunus.errors import RunError
from prunus.select import Target

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def folded(weight: Tensor, target: Target, model: nn.Module) -> Tensor:
    r"""Return the weights as they act once the batch norm behind the convolution is folded into them.

    .. math:: w_i \gamma_i / \sqrt{\sigma_i^2 + \epsilon}

    Errors: RunError when not exactly one batch norm follows.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    >>> model[1].running_var.fill_(4.0)
    tensor([4., 4.])
    >>> target = Target("0.weight", model[0], "weight")
    >>> folded(torch.ones(2, 1, 1, 1), target, model).flatten()
    tensor([0.5000, 0.5000])
    """
    norm = norm_after(target.module, model)
    if norm is None or norm.running_var is None:
        raise RunError(f"fold_batchnorm: {target.name} is not followed by exactly one batch norm that keeps statistics")
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight.detach()
    return weight * scale.to(weight).view(-1, *[1] * (weight.dim() - 1))


def norm_after(module: nn.Module, model: nn.Module) -> nn.modules.batchnorm._BatchNorm | None:
    """Return the only batch norm that reads the module's output, or None.

    Where the model cannot be traced symbolically, it is the next module in the same parent.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    >>> norm_after(model[0], model) is None
    True
    """
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception:  # whatever a model's own code raises when it meets a stand-in for a tensor
        return _next_sibling(module, model)
    modules = dict(model.named_modules())
    for node in graph.nodes:
        if node.op == "call_module" and modules[node.target] is module:
            readers = [modules[user.target] for user in node.users if user.op == "call_module"]
            norms = [reader for reader in readers if isinstance(reader, NORMS)]
            return norms[0] if len(norms) == 1 == len(node.users) else None
    return None


def _next_sibling(module: nn.Module, model: nn.Module) -> nn.modules.batchnorm._BatchNorm | None:
    for parent in model.modules():
        for one, following in pairwise(parent.children()):
            if one is module and isinstance(following, NORMS):
                return following
    return None
