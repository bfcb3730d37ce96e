"""Where what was fetched is kept."""

from __future__ import annotations

import os
from pathlib import Path


def folder(given: str | Path | None = None) -> Path:
    """Return the cache folder of this task: ``given``, else $PRUNUS_CACHE/speaker, else the user's cache.

    The user's is $XDG_CACHE_HOME/prunus/speaker, by default ~/.cache/prunus/speaker. Nothing is created.

    >>> folder("/data/voices").as_posix()
    '/data/voices'
    """
    if given is not None:
        return Path(given)
    if os.environ.get("PRUNUS_CACHE"):
        return Path(os.environ["PRUNUS_CACHE"]) / "speaker"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prunus" / "speaker"


def last_line(text: str) -> str:
    """Return the last line that says something: what a failed program complained about.

    >>> last_line("a warning\\nE: no network\\n")
    'E: no network'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
