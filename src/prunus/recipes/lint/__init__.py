"""Everything wrong with a recipe, native or Distiller's, and all in it that changes nothing: ``prunus lint``.

>>> findings = lint("version: 1\\npolices: []\\n")
>>> [(fault.line, fault.code, fault.rename.new) for fault in findings.faults if fault.rename]
[(2, 'unknown-name', 'policies')]
"""

from prunus.recipes.lint.acts import Act, Draft, Run, say
from prunus.recipes.lint.fixing import Change, fix, fixable
from prunus.recipes.lint.linting import Findings, lint, texts_of
from prunus.recipes.lint.rules import RULES

__all__ = ["RULES", "Act", "Change", "Draft", "Findings", "Run", "fix", "fixable", "lint", "say", "texts_of"]
