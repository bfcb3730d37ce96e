"""The command line: ``prunus --help`` lists its commands."""

from __future__ import annotations

from prunus.cli.app import app, main

__all__ = ["app", "main"]
