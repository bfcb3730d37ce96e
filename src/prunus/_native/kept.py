"""The cache of compiled libraries: found by name, whole or not at all, and the long unused ones removed.

A library is called kernels-<what it was made from and for>-<its contents>.so. Many processes and machines may share
the folder: files appear complete, under their final name, and never change; removing one leaves it to who has it open.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OURS = re.compile(r"kernels-[0-9a-f]{20}(-[0-9a-f]{20})?\.so(\.[^.]+\.part)?")
ROOM = 16
"""Libraries that are left alone, however old: as many versions and kinds of machines may share a folder."""
DAY = 86400.0
UNUSED = 7 * DAY
"""Seconds without use after which others go."""


def cache_folder() -> Path | None:
    """Return where to keep libraries, the user's cache unless PRUNUS_CACHE says otherwise; None where none can be made.

    >>> folder = cache_folder()
    >>> folder is None or folder.is_dir()
    True
    """
    chosen, general = os.environ.get("PRUNUS_CACHE"), os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(general):  # code is not to be loaded from wherever the process happens to run
        general = os.path.join(os.path.expanduser("~"), ".cache")
    if not chosen and not os.path.isabs(general):
        return None
    folder = Path(chosen) if chosen else Path(general) / "prunus"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def found(folder: Path, name: str) -> Iterator[Path]:
    """Yield the libraries of a name that are whole, and note that they are in use; remove those that are not whole."""
    for path in sorted(folder.glob(f"{name}-*.so")):
        with suppress(OSError):
            if path.name == f"{name}-{_contents(path)}.so":
                if time.time() - path.stat().st_mtime > DAY:
                    os.utime(path)
                yield path
            else:
                path.unlink()


def keep(made: Path, folder: Path) -> Path:
    """Copy a library into the folder, complete or not at all, and return its path there; make room before.

    Raises:
        OSError: it cannot be written.
    """
    remove_unused(folder)
    path = folder / f"{made.stem}-{_contents(made)}.so"
    handle, unfinished = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as target, made.open("rb") as source:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return path


def remove_unused(folder: Path) -> None:
    """Remove the libraries of ours that nobody has loaded for a week, except the last ``ROOM``, and what is unfinished.

    >>> remove_unused(Path("/no/such/folder"))
    """
    ages = []
    with suppress(OSError):
        ages = [(time.time() - path.stat().st_mtime, path) for path in folder.iterdir() if OURS.fullmatch(path.name)]
    for place, (age, path) in enumerate(sorted(ages)):
        if (path.suffix == ".part" and age > DAY) or (place >= ROOM and age > UNUSED):
            with suppress(OSError):
                path.unlink()


def _contents(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]
