from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prunus.checkpoints import read, write
from prunus.checkpoints.leftovers import temporary

KILLED = """
import os, signal, sys
from prunus.checkpoints.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows leaves them, for it cannot ask whether a process lives")
def test_the_next_write_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run [1].ckpt"
    write(path, {"epoch": 1})
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode < 0 and len(list(tmp_path.iterdir())) == 2 and read(path) == {"epoch": 1}
    others = [temporary(path), temporary(tmp_path / "other.ckpt"), tmp_path / ".run [1].ckpt.elsewhere-1-abc.tmp"]
    for other in others:
        other.touch()
    write(path, {"epoch": 2})
    assert set(tmp_path.iterdir()) == {path, *others} and read(path) == {"epoch": 2}


@pytest.mark.skipif(os.name == "nt", reason="Windows leaves them, for it cannot ask whether a process lives")
def test_what_may_not_be_removed_stops_no_write(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    kept = temporary(path)
    kept = kept.with_name(kept.name.replace(f"-{os.getpid()}-", "-999999999-"))
    kept.mkdir()  # stands for a file of another user's
    write(path, {"epoch": 1})
    assert read(path) == {"epoch": 1} and kept.is_dir()
