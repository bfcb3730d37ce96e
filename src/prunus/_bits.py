"""Masks as bits, eight flags a byte: how every file and state holds them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prunus.errors import CheckpointError


def pack(flags: Tensor) -> Tensor:
    """Pack a bool tensor into a flat uint8 tensor, eight flags a byte, first flag in the highest bit.

    >>> pack(torch.tensor([True, False, True]))
    tensor([160], dtype=torch.uint8)
    """
    return torch.from_numpy(np.packbits(flags.detach().cpu().contiguous().numpy().reshape(-1)))


def unpack(packed: Tensor, shape: list[int]) -> Tensor:
    """Unpack what :func:`pack` made into a bool tensor of ``shape``; too few bytes raise CheckpointError.

    >>> unpack(torch.tensor([160], dtype=torch.uint8), [3])
    tensor([ True, False,  True])
    """
    count = int(np.prod(shape, dtype=np.int64))
    if packed.numel() != (count + 7) // 8:
        raise CheckpointError(f"a packed mask holds {packed.numel()} bytes, expected {(count + 7) // 8} for {shape}")
    return torch.from_numpy(np.unpackbits(packed.numpy(), count=count).astype(bool)).reshape(shape)
