"""The command line: ``prunus demo``, ``prunus --version``."""

from __future__ import annotations

from prunus.cli.app import app, main

__all__ = ["app", "main"]
