"""Run every benchmark of this folder and write RESULTS.md: `make bench`, or `python benchmarks/run.py keep` to try one.

A benchmark is a script that prints markdown to stdout; files that start with an underscore are its helpers. Naming
scripts prints their sections and writes nothing; with --update their sections replace the old ones in RESULTS.md. Each
section is written as soon as its script ends; that of a script that fails stays as it was, with its date and commit.
"""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
UPDATE = "--update"
PACKAGES = ("prunus", "torch", "numpy", "lightning")


def main(names: Sequence[str], folder: Path = HERE) -> int:
    """Run the named scripts, or all of them into RESULTS.md; return 0, or 1 when a script failed."""
    known = scripts(folder)
    wanted = [name for name in names if name != UPDATE]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 1
    results = folder / "RESULTS.md"
    done = sections_of(results.read_text(encoding="utf-8")) if results.exists() else {}
    failed = False
    for name in wanted or known:
        text = section(known[name])
        failed = failed or text is None
        if text is None:
            continue
        done[name] = text
        if wanted and UPDATE not in names:
            print(text)
        else:
            write(results, "\n".join([header(folder), *(done[each] for each in known if each in done)]))
    return int(failed)


def sections_of(text: str) -> dict[str, str]:
    """Cut written results into their sections, by name."""
    parts = text.split("\n## ")[1:]
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in parts}


def scripts(folder: Path) -> dict[str, Path]:
    """Return the benchmarks of a folder by name, sorted."""
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "run" and path.stem[0] != "_"}


def section(script: Path) -> str | None:
    """Run one script; return its section of the results, or None when it failed."""
    print(f"{script.stem} …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    ran = subprocess.run([sys.executable, script.name], cwd=script.parent, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        print(f"{script.name} failed with exit status {ran.returncode}; its section stays as it was", file=sys.stderr)
        return None
    title = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or script.stem).splitlines()[0]
    took = f"`benchmarks/{script.name}`, {time.perf_counter() - start:.0f} s, {today()}, commit {commit(script.parent)}"
    return f"## {script.stem}\n\n{title} ({took})\n\n{ran.stdout.strip()}\n"


def header(folder: Path) -> str:
    """Say when, on what and with which versions the figures were taken."""
    facts = {
        "date": today(),
        "commit": commit(folder),
        "machine": f"{cpu()}, {os.cpu_count()} cores, {memory()}, {platform.system()} {platform.machine()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *map(installed, PACKAGES)]),
        "threads": os.environ.get("OMP_NUM_THREADS", "as each script sets them"),
    }
    rows = "\n".join(f"| {name} | {fact} |" for name, fact in facts.items())
    return f"# Results\n\nWritten by `make bench`; no figure here is typed by hand.\n\n| | |\n| --- | --- |\n{rows}\n"


def today() -> str:
    """Return the date in UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def installed(package: str) -> str:
    """Name a package with its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} absent"


def commit(folder: Path) -> str:
    """Return the commit that is measured, with a mark when files differ from it."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu() -> str:
    """Return the model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory() -> str:
    """Return the size of the machine's memory."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"


def write(path: Path, text: str) -> None:
    """Put the text in place in one step, so that a reader never sees half of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
