"""Ranks of a distributed test on this machine."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any


def stay_on_this_machine() -> None:
    """Gloo asks for the address of the machine's name, which may lead nowhere."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")


def exit_codes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[int | None]:
    """Run one process for each tuple of arguments and return how they ended.

    Forked, not spawned: a spawned interpreter is finalized, and the threads of Gloo can abort it at that moment.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.runs"])
    processes = [context.Process(target=target, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]
