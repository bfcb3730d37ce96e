"""What is known about layer types: which are pruned, which never, and which parameters are biases."""

from __future__ import annotations

import re

import torch
from torch import nn

ALLOWED = (
    nn.Linear,
    nn.modules.conv._ConvNd,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.Embedding,
    nn.MultiheadAttention,
)
"""Layers whose every weight can be pruned, whatever it is called (``weight_ih_l0``, ``in_proj_weight``)."""

PROTECTED = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
    nn.PReLU,
)
"""Layers whose weights scale activations: pruning them removes a channel by accident, so patterns skip them."""

_NORM = re.compile(r"Norm(\dd)?$")


def is_protected(module: nn.Module) -> bool:
    """Say whether the layer is a norm or a PReLU: by class, or, for norms of other libraries, by the class's name.

    >>> class LlamaRMSNorm(nn.Module): ...
    >>> is_protected(nn.BatchNorm2d(3)), is_protected(LlamaRMSNorm()), is_protected(nn.Linear(2, 2))
    (True, True, False)
    """
    return isinstance(module, PROTECTED) or _NORM.search(type(module).__name__) is not None


def is_bias(name: str, dimensions: int) -> bool:
    """Say whether a parameter of this name and number of dimensions is a bias, or another vector.

    Recurrent layers call theirs ``bias_ih_l0``, attention ``in_proj_bias`` and ``bias_k``, which has 3 dimensions.

    >>> is_bias("bias_k", 3), is_bias("weight_ih_l0", 2)
    (True, False)
    """
    return dimensions < 2 or name.startswith("bias") or name.endswith("bias")


def unknown_layer(module: nn.Module) -> str:
    """Say why the type of a layer rules out pruning it, or return an empty string.

    Layers that are neither known nor protected are taken for prunable when they hold a parameter named ``weight``.

    >>> unknown_layer(nn.Bilinear(2, 2, 2)), unknown_layer(nn.Sequential())
    ('', 'unsupported layer type Sequential: no parameter is named weight')
    """
    if isinstance(module, torch.jit.ScriptModule):
        return f"TorchScript module {module.original_name}"
    if isinstance(module, ALLOWED) or module._parameters.get("weight") is not None:
        return ""
    return f"unsupported layer type {type(module).__name__}: no parameter is named weight"
