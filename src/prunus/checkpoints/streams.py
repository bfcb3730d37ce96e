"""Byte streams of a sparse tensor: where the non-zeros stand, and their bytes sorted by significance."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY)
ESCAPE = 255


def deflate(data: bytes) -> bytes:
    """Compress ``data`` with zlib: matches and Huffman codes, or Huffman codes alone, whichever is shorter.

    Random masks and mantissas hold no repeats, and the search for them costs deflate 5 to 10 % there.

    >>> len(deflate(bytes(1000))) < 20, inflate(deflate(b"prunus"), 6)
    (True, b'prunus')
    """
    packers = [zlib.compressobj(level=6, strategy=strategy) for strategy in STRATEGIES]
    return min((packer.compress(data) + packer.flush() for packer in packers), key=len)


def inflate(data: bytes, size: int) -> bytes:
    """Undo :func:`deflate`; raises ValueError unless exactly ``size`` bytes come out and their checksum is right.

    Reading stops one byte past ``size``, so that a hostile stream cannot fill the memory.

    >>> inflate(deflate(b"prunus"), 4)
    Traceback (most recent call last):
        ...
    ValueError: stream does not hold exactly 4 bytes
    """
    out = inflate_at_most(data, size)
    if len(out) != size:
        raise ValueError(f"stream does not hold exactly {size} bytes")
    return out


def inflate_at_most(data: bytes, size: int) -> bytes:
    """Undo :func:`deflate` for a stream of unknown length, of which no more than ``size`` bytes are accepted.

    >>> inflate_at_most(deflate(b"prunus"), 100)
    b'prunus'
    """
    reader = zlib.decompressobj()
    try:
        out = reader.decompress(data, size + 1)
    except zlib.error as fault:
        raise ValueError(f"stream is damaged ({fault})") from fault
    if len(out) > size:
        raise ValueError(f"stream does not hold exactly {size} bytes")
    if not reader.eof:
        raise ValueError("stream is cut off")
    return out


def planes(values: Bytes) -> list[bytes]:
    """Split ``(count, width)`` bytes into ``width`` streams: exponents compress well, mantissas hardly at all.

    >>> planes(np.array([[1, 2], [3, 4]], dtype=np.uint8))
    [b'\\x01\\x03', b'\\x02\\x04']
    """
    return [values[:, place].tobytes() for place in range(values.shape[1])]


def join_planes(streams: list[bytes], count: int) -> Bytes:
    """Undo :func:`planes`: ``(count, width)`` bytes.

    >>> join_planes([b"\\x01\\x03", b"\\x02\\x04"], 2).tolist()
    [[1, 2], [3, 4]]
    """
    columns = [np.frombuffer(stream, dtype=np.uint8) for stream in streams]
    return np.stack(columns, axis=1) if columns else np.empty((count, 0), dtype=np.uint8)


def pack_gaps(alive: NDArray[np.bool_]) -> bytes:
    """Return the distances between neighbouring non-zeros, less one, a byte each; 255 means 255 more, read on.

    >>> list(pack_gaps(np.array([False, False, True, True])))
    [2, 0]
    """
    gaps = np.diff(np.flatnonzero(alive), prepend=-1) - 1
    ends = np.cumsum(gaps // ESCAPE + 1)
    packed = np.full(int(ends[-1]) if ends.size else 0, ESCAPE, dtype=np.uint8)
    packed[ends - 1] = gaps % ESCAPE
    return packed.tobytes()


def unpack_gaps(data: bytes, size: int) -> NDArray[np.bool_]:
    """Undo :func:`pack_gaps` for ``size`` elements; raises ValueError when the gaps run past the end.

    >>> unpack_gaps(bytes([2, 0]), 4).tolist()
    [False, False, True, True]
    """
    packed = np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    last = packed < ESCAPE
    places = (np.cumsum(packed) + np.cumsum(last))[last] - 1
    if places.size and places[-1] >= size:
        raise ValueError(f"gaps end at element {places[-1]} of {size}")
    alive = np.zeros(size, dtype=np.bool_)
    alive[places] = True
    return alive


def pack_bits(alive: NDArray[np.bool_]) -> bytes:
    """Return one bit an element.

    >>> pack_bits(np.array([True, False, False, False, False, False, False, False, True]))
    b'\\x80\\x80'
    """
    return np.packbits(alive).tobytes()


def unpack_bits(data: bytes, size: int) -> NDArray[np.bool_]:
    """Undo :func:`pack_bits` for ``size`` elements.

    >>> unpack_bits(b"\\x80\\x80", 9).nonzero()[0].tolist()
    [0, 8]
    """
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=size).astype(np.bool_)
