"""Fuse the ``_orig``/``_mask`` entries of a checkpoint into plain weights; ``prunus fuse`` with the options of old.

python scripts/make_pruning_permanent.py --input last.ckpt [--output last_permanent.ckpt] [--verbose]
python scripts/make_pruning_permanent.py --analyze last.ckpt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prunus.checkpoints import FuseSettings, analyze, make_permanent
from prunus.cli.fuse import show
from prunus.errors import PrunusError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the four options, and two for what the file may hold besides weights."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--input", "-i", type=Path, metavar="FILE", help=".ckpt, .pt, .pth or .safetensors to fuse")
    made.add_argument("--output", "-o", type=Path, metavar="FILE", help="default: <stem>_permanent<suffix> beside it")
    made.add_argument("--analyze", "-a", type=Path, metavar="FILE", help="report only; wins over --input")
    made.add_argument("--verbose", "-v", action="store_true", help="also list every fused parameter")
    made.add_argument("--keep-optimizer", action="store_true", help="keep the optimizer's state")
    made.add_argument("--trust", action="store_true", help="load Python objects, which may run any code")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Fuse or analyze; return the exit status, which is not 0 when anything failed."""
    asked = parser().parse_args(arguments)
    if asked.analyze is None and asked.input is None:
        parser().print_help()
        return 2
    settings = FuseSettings(keep_optimizer=asked.keep_optimizer, trust=asked.trust)
    try:
        found = (
            analyze(asked.analyze, settings) if asked.analyze else make_permanent(asked.input, asked.output, settings)
        )
    except (PrunusError, OSError) as error:
        sys.stderr.write(f"error  {error}\n")
        return 1
    show(found, asked.verbose)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
