"""Where a run lives on the disk, and from which checkpoint it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from prunus.errors import SettingError

LAST = "last"
CHECKPOINTS = "checkpoints"
NEWEST = ("last.ckpt", "step.ckpt")
"""Written at the end of an epoch and every so many steps; a run goes on from the younger one."""
FREE = ("ckpt_path", "hydra.", "paths.")
"""Overrides that may differ between a run and its continuation."""


def newest(folder: Path) -> Path | None:
    """Return the youngest checkpoint from which the run in ``folder`` can go on, or None.

    >>> newest(Path("no such run")) is None
    True
    """
    found = [path for path in (folder / CHECKPOINTS / name for name in NEWEST) if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def checkpoint_of(ckpt_path: str | Path | None, folder: Path) -> Path | None:
    """Return the file from which a run in ``folder`` starts: None is from nothing.

    Args:
        ckpt_path: None; ``last``, the youngest checkpoint in ``folder``; the folder of a run; or a checkpoint file.
        folder: of this run.

    Errors: SettingError when there is nothing to go on from.

    >>> checkpoint_of(None, Path("anywhere")) is None
    True
    >>> checkpoint_of("lost.ckpt", Path("anywhere"))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: ckpt_path is 'lost.ckpt', which is neither a checkpoint file nor the folder of a run
    """
    if ckpt_path is None:
        return None
    where = folder if ckpt_path == LAST else Path(ckpt_path)
    if where.is_file():
        return where
    found = newest(where)
    if found is None:
        missing = f"no checkpoint in {where / CHECKPOINTS}" if ckpt_path == LAST or where.is_dir() else ""
        what = missing or "which is neither a checkpoint file nor the folder of a run"
        raise SettingError(f"ckpt_path is {str(ckpt_path)!r}, {what}")
    return found


def folder_for(home: str, fresh: str, ckpt_path: str | None, overrides: Sequence[str]) -> str:
    """Return the folder of a run: a fresh one below ``home``, or the one of the run that goes on.

    Args:
        home: folder of all runs of the experiment.
        fresh: name of a new folder, such as the time.
        ckpt_path: ``last`` takes the youngest run whose overrides were the same; the folder of a run takes that one.
        overrides: of this command; those of the checkpoint, of paths and of Hydra itself may differ.

    Errors: SettingError when ``last`` finds no such run; it names the youngest of the others and its overrides.

    >>> folder_for("outputs/sv", "monday", None, [])
    'outputs/sv/monday'
    """
    if ckpt_path and ckpt_path != LAST and Path(ckpt_path).is_dir():
        return ckpt_path
    if ckpt_path != LAST:
        return str(Path(home, fresh))
    runs = sorted((run for run in _runs(Path(home)) if newest(run)), key=_age)
    same = [run for run in runs if _overrides(run) == _asked(overrides)]
    if not same:
        others = f"; the youngest there is {runs[-1]} with {' '.join(_overrides(runs[-1])) or 'none'}" if runs else ""
        asked = " ".join(_asked(overrides)) or "none"
        raise SettingError(f"ckpt_path=last: {home} holds no run to go on with of the overrides {asked}{others}")
    return str(same[-1])


def _runs(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []


def _age(run: Path) -> int:
    found = newest(run)
    return 0 if found is None else found.stat().st_mtime_ns


def _overrides(run: Path) -> list[str]:
    """What Hydra wrote down of the run's command."""
    file = run / ".hydra" / "overrides.yaml"
    return _asked([str(one) for one in OmegaConf.load(file)]) if file.is_file() else []


def _asked(overrides: Sequence[str]) -> list[str]:
    return sorted(one for one in overrides if not one.lstrip("+~").startswith(FREE))
