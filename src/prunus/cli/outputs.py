"""Files that a command writes: what stops it is said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunus.errors import SettingError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise SettingError where ``path`` cannot be written, in place of whatever the system raises.

    >>> with writing(Path("recipes")):
    ...     raise IsADirectoryError(21, "Is a directory")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: recipes cannot be written (Is a directory)
    """
    try:
        yield
    except OSError as error:
        raise SettingError(f"{path} cannot be written ({error.strerror or error})") from error
