"""The compiled library, loaded once; or the reason why there is none."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from prunus._native.build import BuildError, build

POINTER, COUNT = ctypes.c_void_p, ctypes.c_int64
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
HOME = os.getpid()
"""The process that imported this; OpenMP's threads do not follow into its forks, where waiting for them never ends."""


def available() -> bool:
    """Say whether the kernels can be used; the first call may compile them, which takes seconds.

    >>> available() == (why_not() == "")
    True
    """
    return _loaded()[0] is not None


def why_not() -> str:
    """Return why the kernels cannot be used, or nothing when they can.

    >>> isinstance(why_not(), str)
    True
    """
    return _loaded()[1]


def library() -> ctypes.CDLL:
    """Return the library.

    Raises:
        BuildError: it is not available; the message says why.
    """
    found, reason = _loaded()
    if found is None:
        raise BuildError(reason)
    return found


def team() -> tuple[int, int]:
    """Return the function that runs work on torch's own threads (0 where there is none), and how many those are."""
    return _pool() if os.getpid() == HOME else 0, torch.get_num_threads()


@cache
def last_cache() -> int:
    """Return the bytes of the largest cache of one core, which may be less than the system tells for all cores.

    >>> last_cache() > 0
    True
    """
    told = [_bytes(path.read_text()) for path in CACHES.glob("index*/size")]
    return max([*told, 1 << 20]) if told else 1 << 25


def _bytes(size: str) -> int:
    """Read what sysfs writes, such as 32768K."""
    return int(size.strip().rstrip("KM")) << {"K": 10, "M": 20}.get(size.strip()[-1:], 0)


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    if os.environ.get("PRUNUS_NATIVE") == "0":
        return None, "the environment says PRUNUS_NATIVE=0"
    if os.name != "posix" or sys.byteorder != "little":
        return None, f"the kernels are not made for {sys.platform} ({sys.byteorder}-endian)"
    try:
        found = build(lambda path: ctypes.CDLL(str(path)))
        found.prunus_clear.argtypes = [POINTER, COUNT, POINTER, COUNT]
        found.prunus_clear.restype = None
    except (BuildError, OSError, AttributeError) as fault:
        return None, str(fault)
    return found, ""


@cache
def _pool() -> int:
    """Return the address of GOMP_parallel in the OpenMP that torch has loaded, or 0: then one thread does it all."""
    for path in _openmp():
        try:
            return ctypes.cast(ctypes.CDLL(path).GOMP_parallel, POINTER).value or 0
        except (OSError, AttributeError):
            continue
    return 0


def _openmp() -> Iterator[str]:
    """Yield the OpenMP libraries in this process, torch's own first; other packages may have brought theirs."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths = {line.split(maxsplit=5)[5].strip() for line in file if "omp" in line and "/" in line}
    except OSError:
        return
    named = [path for path in paths if os.path.basename(path).startswith(("libgomp", "libomp", "libiomp"))]
    yield from sorted(named, key=lambda path: ("torch" not in path, path))
