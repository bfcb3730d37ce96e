"""Packages that a command needs at its end, asked for at its begin."""

from __future__ import annotations

from importlib.util import find_spec

from prunus.errors import MissingExtraError


def require_package(package: str, what: str) -> None:
    """Raise MissingExtraError, before the work that would be lost, unless a package of the extra ``report`` is there.

    >>> require_package("json", "the page")
    >>> require_package("jinja3", "the page")
    Traceback (most recent call last):
        ...
    prunus.errors.MissingExtraError: the page needs jinja3: pip install 'prunus[report]'
    """
    if find_spec(package) is None:
        raise MissingExtraError(f"{what} needs {package}: pip install 'prunus[report]'")
