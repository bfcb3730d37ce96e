"""Turn the C files of this folder into one shared library, in a cache folder, once for each machine and version."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryDirectory
from typing import TypeVar

from prunus._native.kept import cache_folder, found, keep

Loaded = TypeVar("Loaded")
HERE = Path(__file__).parent
# Sums and products stay as written (no fused multiply-add), so results do not depend on how a loop was cut.
COMMON: tuple[str, ...] = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off")
COMMON += ("-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")
# Tried in turn: not every compiler knows how to ask for this machine's widest vectors.
TUNED = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
PATIENCE = 120.0
"""Seconds that one compiler run may take; one that takes longer is the last."""


class BuildError(Exception):
    """The library cannot be made here; the message says why.

    >>> issubclass(BuildError, Exception)
    True
    """


def build(load: Callable[[Path], Loaded]) -> Loaded:
    """Return what ``load`` makes of the library: the one in the cache, else one compiled now and kept if possible.

    A library that was cut short, by a full disk or a lost machine, is seen by its name, which tells its contents; one
    that cannot be loaded from the cache (no programs may run there) is loaded from a temporary folder.

    Raises:
        BuildError: no compiler is found, none of its ways succeeds, or it does not come to an end.
        OSError: there is no folder to compile in, or ``load`` fails for a library that is whole.
    """
    compiler = find_compiler()
    name, cache = f"kernels-{_fingerprint(compiler)}", cache_folder()
    if cache is not None:
        for path in found(cache, name):
            with suppress(OSError):
                return load(path)
    with TemporaryDirectory(prefix="prunus-") as folder:
        made = Path(folder) / f"{name}.so"
        _compile(compiler, made)
        if cache is not None:
            with suppress(OSError):
                return load(keep(made, cache))
        return load(made)


def find_compiler() -> list[str]:
    """Return the command of the C compiler: the environment's CC, such as "ccache gcc", if set, else cc, gcc or clang.

    Raises:
        BuildError: there is none.
    """
    chosen = os.environ.get("CC", "").split()
    wanted = chosen[:1] or ["cc", "gcc", "clang"]
    for name in wanted:
        path = shutil.which(name)
        if path:
            return [path, *chosen[1:]]
    raise BuildError(f"no C compiler is found (looked for {', '.join(wanted)})")


def _compile(compiler: list[str], path: Path) -> None:
    """Compile to a path, in the first of the ways that succeeds."""
    said = ""
    for tuned in TUNED:
        said = _run([*compiler, *COMMON, *tuned, "-o", str(path), *map(str, _sources(".c")), "-lm"])
        if not said and path.exists() and path.stat().st_size:
            return
    raise BuildError(f"{' '.join(compiler)} failed: {said or 'it left no library'}")


def _run(command: list[str]) -> str:
    """Run the compiler; return nothing when it succeeded, else the last of what it said.

    Raises:
        BuildError: it was not done in time, and the next way would not be either; what it had started has been ended.
    """
    try:
        ran = subprocess.Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True)
    except OSError as fault:
        return str(fault)
    with ran:
        try:
            said = ran.communicate(timeout=PATIENCE)[1].decode(errors="replace").strip()
        except BaseException as fault:
            with suppress(OSError):
                os.killpg(ran.pid, signal.SIGKILL)
            if isinstance(fault, subprocess.TimeoutExpired):
                raise BuildError(f"{command[0]} was not done after {PATIENCE:g} seconds") from None
            raise
    return "" if ran.returncode == 0 else (said[-400:] or f"exit status {ran.returncode}")


def _sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in HERE.iterdir() if path.suffix in suffixes)


def _fingerprint(compiler: list[str]) -> str:
    """Return a name for what decides the library's bytes: sources, flags, compiler and processor."""
    digest = hashlib.sha256(repr((COMMON, TUNED, platform.machine(), _processor())).encode())
    program, *options = os.path.realpath(compiler[0]), *compiler[1:]
    found = os.stat(program)
    digest.update(repr((program, options, found.st_size, found.st_mtime_ns)).encode())
    for path in _sources(".c", ".h"):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:20]


def _processor() -> str:
    """Return the model and features of the first processor, as far as the system tells them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(16384).split("\n\n", 1)[0]
    except OSError:
        return platform.processor()
    return "\n".join(line for line in first.splitlines() if line.startswith(("model name", "flags", "Features", "CPU")))
