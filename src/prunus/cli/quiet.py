"""What Lightning says in every run, and nobody needs in the output of a command."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero")
USUAL = ("GPU available", "TPU available", "HPU available", "💡 Tip", "Restor", "Loaded model weights", "`Trainer.fit`")
WARNINGS = (
    (FutureWarning, ".isinstance.treespec, LeafSpec.. is deprecated"),
    (UserWarning, ".*does not have many workers"),
    (UserWarning, "The number of training batches .* is smaller than the logging interval"),
)


@contextmanager
def lightning_quiet() -> Iterator[None]:
    """Leave out Lightning's usual lines and advice; whatever else is said passes.

    >>> with lightning_quiet():
    ...     logging.getLogger(LOGGERS[0]).handle(logging.makeLogRecord({"msg": "GPU available: False"}))
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            for category, message in WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(USUAL)
