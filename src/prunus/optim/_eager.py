"""What torch.compile shall leave alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def eagerly(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function as it is written, wherever torch.compile meets it: a compiled training loop goes on around it.

    A step is one native call already, and its tables of addresses mean nothing to a graph. Under ``fullgraph=True``
    torch refuses the call and names the function. The compiler is not imported before the first call.

    >>> eagerly(abs)(-1)
    1
    """
    known: list[Callable[P, Any]] = []

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not known:
            known.append(torch.compiler.disable(function))
        result: R = known[0](*args, **kwargs)
        return result

    return run
