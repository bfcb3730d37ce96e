"""Turn the C files of this folder into one shared library, in a cache folder, once for each machine and version."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
# Sums and products stay as written (no fused multiply-add), so results do not depend on how a loop was cut.
COMMON: tuple[str, ...] = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off")
COMMON += ("-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")
# Tried in turn: not every compiler knows how to ask for this machine's widest vectors.
TUNED = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
PATIENCE = 120.0
"""Seconds that one compiler run may take."""


class BuildError(Exception):
    """The library cannot be made here; the message says why.

    >>> issubclass(BuildError, Exception)
    True
    """


def build() -> Path:
    """Return the path of the library, compiled now unless an earlier process has done so.

    Raises:
        BuildError: no compiler is found, none of its ways succeeds, or no folder can be written.
    """
    compiler = find_compiler()
    name = f"kernels-{_fingerprint(compiler)}.so"
    for folder in _folders():
        path = folder / name
        try:
            if not path.exists():
                _compile(compiler, path)
            return path
        except OSError:
            continue
    raise BuildError("no folder to keep the compiled library in can be written")


def find_compiler() -> str:
    """Return the path of the C compiler: the environment's CC if set, else cc, gcc or clang.

    Raises:
        BuildError: there is none.
    """
    wanted = [os.environ["CC"].split()[0]] if os.environ.get("CC", "").strip() else ["cc", "gcc", "clang"]
    for name in wanted:
        path = shutil.which(name)
        if path:
            return path
    raise BuildError(f"no C compiler is found (looked for {', '.join(wanted)})")


def _folders() -> Iterator[Path]:
    """Yield where to keep the library: the user's cache, else a folder of this process alone."""
    chosen = os.environ.get("PRUNUS_CACHE")
    general = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(chosen) if chosen else Path(general) / "prunus"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            yield folder
    except OSError:
        pass
    yield _temporary()


@cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="prunus-"))


def _compile(compiler: str, path: Path) -> None:
    """Compile to a temporary name and move it into place, so that no other process sees half a library."""
    handle, unfinished = tempfile.mkstemp(suffix=".so", dir=path.parent)
    os.close(handle)
    try:
        said = ""
        for tuned in TUNED:
            command = [compiler, *COMMON, *tuned, "-o", unfinished, *map(str, _sources(".c")), "-lm"]
            said = _run(command)
            if not said:
                os.replace(unfinished, path)
                return
        raise BuildError(f"{compiler} failed: {said}")
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    """Run the compiler; return nothing when it succeeded, else the last of what it said."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as fault:
        return str(fault)
    return "" if ran.returncode == 0 else (ran.stderr.strip()[-400:] or f"exit status {ran.returncode}")


def _sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in HERE.iterdir() if path.suffix in suffixes)


def _fingerprint(compiler: str) -> str:
    """Return a name for what decides the library's bytes: sources, flags, compiler and processor."""
    digest = hashlib.sha256(repr((COMMON, TUNED, platform.machine(), _processor())).encode())
    found = os.stat(os.path.realpath(compiler))
    digest.update(repr((os.path.realpath(compiler), found.st_size, found.st_mtime_ns)).encode())
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
    return "\n".join(line for line in first.splitlines() if line.startswith(("model name", "flags", "Features")))
