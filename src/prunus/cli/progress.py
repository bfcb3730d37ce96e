"""Progress in the terminal: one bar a run, with the figures of its last reading."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from prunus.report import Point


class Board:
    """A progress bar for each of several runs, filled one after the other.

    Parameters: ``console`` to draw on, ``names`` of the runs, ``epochs`` of every run.

    >>> from prunus.report import Point
    >>> with Board(Console(quiet=True), ["dense"], epochs=2) as board:
    ...     board.read("dense", Point(epoch=1.0, loss=0.5, sparsity=0.0, accuracy=0.9))
    ...     board.progress.tasks[0].completed
    1.0
    """

    def __init__(self, console: Console, names: list[str], epochs: int) -> None:
        self.epochs = epochs
        columns = TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[figures]}", style="dim")
        self.progress = Progress(*columns, console=console, expand=True)
        self.tasks = {name: self.progress.add_task(name, total=epochs, figures="") for name in names}
        self.accuracy: dict[str, float] = {}

    def read(self, name: str, point: Point) -> None:
        """Move the bar of run ``name`` to the time of ``point`` and show its figures."""
        if point.accuracy is not None:
            self.accuracy[name] = point.accuracy
        self.progress.update(self.tasks[name], completed=point.epoch, figures=self._figures(name, point))

    def _figures(self, name: str, point: Point) -> str:
        accuracy = f"{100 * self.accuracy[name]:5.1f} % right" if name in self.accuracy else " " * 13
        loss = "" if point.loss is None else f"loss {point.loss:5.3f}"
        zeros = "" if point.sparsity is None else f"{100 * point.sparsity:5.2f} % zero"
        return f"{int(point.epoch):2}/{self.epochs}  {loss:10}  {zeros:12}  {accuracy}"

    def __enter__(self) -> Board:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
