"""Temporary files beside a checkpoint: a name that tells who writes, and an end for those whose writer was killed."""

from __future__ import annotations

import glob
import os
import platform
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def temporary(target: Path) -> Path:
    """Return a new name in the folder of ``target`` that says which process of which machine writes there.

    >>> temporary(Path("run.ckpt")).name.split("-")[-2] == str(os.getpid())
    True
    """
    return target.with_name(f".{target.name}.{platform.node()}-{os.getpid()}-{uuid4().hex}.tmp")


def sweep(target: Path) -> None:
    """Remove what processes of this machine that are no more have left of ``target``: a kill leaves a whole checkpoint.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "run.ckpt"
    >>> temporary(target).touch()
    >>> sweep(target)
    >>> len(list(target.parent.iterdir()))  # its writer lives
    1
    """
    if os.name == "nt":  # where asking whether a process lives ends it
        return
    pattern = f".{glob.escape(target.name)}.{glob.escape(platform.node())}-*-*.tmp"
    for path in target.parent.glob(pattern):
        writer = path.name.split("-")[-2]
        if writer.isdecimal() and not _lives(int(writer)):
            with suppress(OSError):  # another user's, perhaps; the checkpoint itself is written by now
                path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
