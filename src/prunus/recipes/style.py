"""Plain values to YAML text, in the style of a recipe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from prunus.recipes.text import NUMBER

WIDTH = 110


def to_yaml(content: Mapping[str, Any]) -> str:
    """Return the YAML text of plain values: innermost mappings and lists on one line, everything in its order.

    >>> print(to_yaml({"version": 1, "schedule": {"cubic": {"final": 0.9, "initial": 1e-05}}}), end="")
    version: 1
    schedule:
      cubic: {final: 0.9, initial: 1e-05}
    """
    options = {"default_flow_style": None, "sort_keys": False, "width": WIDTH, "allow_unicode": True}
    return str(yaml.dump(dict(content), Dumper=_Dumper, **options))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # the library carries no types
    """Quotes whatever text a recipe would read as something else; repeats a part instead of writing an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    """Line breaks and what cannot be seen are written as escapes."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


def _number(dumper: yaml.SafeDumper, value: float) -> Any:
    """The shortest digits that give the number back."""
    digits = {math.inf: ".inf", -math.inf: "-.inf"}.get(value, repr(value))
    return dumper.represent_scalar("tag:yaml.org,2002:float", digits)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
# 1e-05 is a number in YAML 1.2, and a text in the 1.1 of the library.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"(?:{NUMBER.pattern})\Z"), [*"+-.0123456789"])
