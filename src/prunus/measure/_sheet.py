"""A scan on disk: a plain CSV file that grows by whole lines, so that a scan that was killed can go on."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from prunus.errors import Faults, SettingError
from prunus.measure._bench import Bench
from prunus.measure.readings import Reading, same

COUNTS = ("target", "level", "pruned", "members", "weights")
SETTINGS = ("structure", "criterion", "seed", "model")
DENSE = "(dense)"


class Sheet:
    """The file of one scan: its rows of the same settings, each written and synced at once.

    Args:
        path: of the file; what is there is read, an incomplete last line is cut off.
        bench: whose settings the rows must have.
        dense: figures of the dense model; rows of other figures, or none of its metrics, are refused.

    Raises:
        SettingError: the file is of another model, structure, criterion, seed or metric (every difference is named), or
            is no such file.
    """

    def __init__(self, path: Path, bench: Bench, dense: Mapping[str, float]) -> None:
        self.path = path
        self.settings = settings_of(bench)
        self.metrics = tuple(dense)
        self.columns = (*COUNTS, *SETTINGS, *dense)
        clash = [name for name in dense if name in (*COUNTS, *SETTINGS)]
        if clash:
            raise SettingError(f"the metric {clash[0]!r} has the name of a column; call it something else")
        self.readings: dict[tuple[str, float], Reading] = {}
        if self._lines():
            self._take(dense)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            self._append(self.columns)
            total = sum(target.parameter.numel() for target in bench.targets)
            self.add(Reading(DENSE, 0.0, 0, total, total, dict(dense)))

    def add(self, reading: Reading) -> None:
        """Append one row; it is on the disk when this returns."""
        counts = [getattr(reading, name) for name in COUNTS]
        self._append([*counts, *self.settings.values(), *(reading.metrics[name] for name in self.metrics)])

    def _append(self, cells: Sequence[object]) -> None:
        """Write a line in one piece: a reader, or a kill, sees it whole or not at all."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        with self.path.open("ab", buffering=0) as file:
            file.write(line.getvalue().encode())
            os.fsync(file.fileno())

    def _lines(self) -> list[bytes]:
        """Return the complete lines, and cut off what a kill left of another one."""
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        return content[:whole].splitlines()

    def _take(self, dense: Mapping[str, float]) -> None:
        """Read the rows, and compare what they say with what would be written now."""
        faults = Faults(f"{self.path} is another scan; choose another file")
        try:
            rows = list(csv.reader(line.decode() for line in self._lines()))
        except (UnicodeDecodeError, csv.Error) as fault:
            raise SettingError(f"{self.path} is no CSV file ({fault}); choose another file") from None
        if tuple(rows[0]) != self.columns:
            faults.add(f"its columns are {', '.join(rows[0])}, expected {', '.join(self.columns)}")
            faults.raise_as(SettingError)
        for number, cells in enumerate(rows[1:], start=2):
            self._take_row(number, dict(zip(self.columns, cells, strict=False)), dense, faults)
        faults.raise_as(SettingError)

    def _take_row(self, number: int, row: dict[str, str], dense: Mapping[str, float], faults: Faults) -> None:
        try:
            reading = _reading(row, self.metrics)
        except (KeyError, ValueError) as fault:
            faults.add(f"line {number} cannot be read ({fault!r})")
            return
        if reading.level:
            self.readings[reading.target, reading.level] = reading
        said = [(name, row[name], now, row[name] == now) for name, now in self.settings.items()]
        if not reading.level:
            pairs = [(name, reading.metrics[name], now) for name, now in dense.items()]
            said += [(f"{name} of the dense model", repr(a), repr(b), same(a, b)) for name, a, b in pairs]
        for name, before, now, agree in said:
            text = f"its {name} is {before}, now it is {now}"
            if not agree and text not in faults.found:  # every row says its settings
                faults.add(text)


def settings_of(bench: Bench) -> dict[str, str]:
    """Return what every row repeats, so that files can be told apart and put together.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.structures import Row
    >>> found = settings_of(Bench(nn.Linear(1, 1), lambda model: 0.0, (), Row(), Magnitude()))
    >>> [found[name] for name in ("structure", "criterion", "seed")]
    ['Row()', 'Magnitude(p=1.0, average=False)', '0']
    """
    made = (repr(bench.structure), repr(bench.criterion), str(bench.seed), digest(bench.model))
    return dict(zip(SETTINGS, made, strict=True))


def digest(model: nn.Module) -> str:
    """Return a short text that stands for the model's parameters and buffers: names, shapes, types and every bit.

    >>> digest(nn.Linear(2, 2)) == digest(nn.Linear(2, 2)), len(digest(nn.Linear(2, 2)))
    (False, 16)
    """
    found = hashlib.blake2b(digest_size=8)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found.update(f"{name} {list(tensor.shape)} {tensor.dtype} ".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        found.update(plain.numpy().data)
    return found.hexdigest()


def _reading(row: Mapping[str, str], metrics: Sequence[str]) -> Reading:
    pruned, members, weights = (int(row[name]) for name in COUNTS[2:])
    values = {name: float(row[name]) for name in metrics}
    return Reading(row["target"], float(row["level"]), pruned, members, weights, values)
