"""The IDX file format of MNIST and its heirs: a magic number, the dimensions, then raw bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from prunus.errors import SettingError

UNSIGNED_BYTE = 0x08


def read(path: str | Path) -> Tensor:
    """Read one IDX file of unsigned bytes, gzipped or not, into a ``uint8`` tensor.

    Format: two zero bytes, the type (8 is unsigned byte), the number d of dimensions, d big-endian 32-bit sizes, then
    the values in row-major order. Trailing bytes are refused like missing ones: both mean another file than was meant.

    Raises SettingError when the file is missing, not gzip though named so, truncated, of another type or too long.

    Source: Y. LeCun, The MNIST database, section "File formats".

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    >>> read(path)
    tensor([5, 0, 4], dtype=torch.uint8)
    """
    content = _content(Path(path))
    shape, start = _header(content, path)
    found, expected = len(content) - start, math.prod(shape)
    if found != expected:
        kind = "truncated" if found < expected else "too long"
        raise SettingError(f"{path} is {kind}: {found} values, its shape {shape} needs {expected}.")
    if not expected:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except EOFError:
        raise SettingError(f"{path} is truncated: its gzip stream ends early. Fetch it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise SettingError(f"{path} is not a sound gzip file ({error}). Fetch it again.") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}.") from None


def _header(content: bytes, path: str | Path) -> tuple[tuple[int, ...], int]:
    if len(content) < 4:
        raise SettingError(f"{path} is truncated: {len(content)} bytes, an IDX file starts with 4 magic ones.")
    zeros, kind, dimensions = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind != UNSIGNED_BYTE or dimensions == 0:
        raise SettingError(f"{path} starts with {content[:4].hex(' ')}, not 00 00 08 and a dimension count.")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise SettingError(f"{path} is truncated: {dimensions} dimensions need {start} bytes of header.")
    return struct.unpack(f">{dimensions}I", content[4:start]), start
