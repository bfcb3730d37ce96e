"""What came out of a run: figures that a table needs, in one small file beside the run's checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from prunus.checkpoints.files import replacing
from prunus.errors import SettingError
from prunus.measure import Count

FILE = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """One finished run.

    Parameters: ``name`` of the experiment and ``seed``; ``metrics`` of the test; of the tested weights ``zeros`` among
    ``weights`` (matrices and kernels), ``size``, the bytes of the sparse checkpoint, and ``dense_size``, those of all
    tensors as they are; ``seconds`` of training and ``epochs`` reached; ``figures`` of compression as logged last;
    ``tags``; ``overrides`` of the command; ``versions``; ``folder`` that it was read from.

    >>> Outcome("sv_dense", 0, {"test/eer": 0.05}, zeros=9, weights=10).count.sparsity
    0.9
    """

    name: str
    seed: int
    metrics: Mapping[str, float]
    zeros: int = 0
    weights: int = 0
    size: int = 0
    dense_size: int = 0
    seconds: float = 0.0
    epochs: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""

    @property
    def count(self) -> Count:
        """The zeros among the weights."""
        return Count(self.zeros, self.weights)


def write(outcome: Outcome, folder: Path) -> Path:
    """Write the outcome into a folder, whole or not at all, and return the file.

    >>> import tempfile
    >>> where = Path(tempfile.mkdtemp())
    >>> _ = write(Outcome("digits", 1, {"test/accuracy": 0.9}), where)
    >>> read(where / FILE).metrics
    {'test/accuracy': 0.9}
    """
    target = folder / FILE
    content = {name: value for name, value in asdict(outcome).items() if name != "folder"}
    with replacing(target) as file:
        file.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return target


def read(file: Path) -> Outcome:
    """Read an outcome; SettingError for a file that is none.

    >>> read(Path("missing.json"))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: missing.json is not the outcome of a run: No such file or directory
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        lists = {name: tuple(found[name]) for name in ("tags", "overrides")}
        return Outcome(**{**found, **lists, "folder": str(file.parent)})
    except OSError as fault:
        raise SettingError(f"{file} is not the outcome of a run: {fault.strerror}") from None
    except (ValueError, TypeError, KeyError) as fault:
        raise SettingError(f"{file} is not the outcome of a run: {fault}") from None


def outcomes(folders: Iterable[Path]) -> list[Outcome]:
    """Return the outcomes in folders and below them, in order of their paths, each once.

    Raises SettingError for a folder without any: its run has not finished, or it never was one.

    >>> import tempfile
    >>> outcomes([Path(tempfile.mkdtemp())])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: ... no run has finished there
    """
    found: dict[Path, Outcome] = {}
    for folder in folders:
        files = sorted(folder.rglob(FILE)) if folder.is_dir() else [folder]
        if not files:
            raise SettingError(f"{folder} holds no {FILE}: no run has finished there")
        found |= {file.resolve(): read(file) for file in files}
    return list(found.values())
