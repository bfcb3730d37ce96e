"""The kernels are compiled once, in the cache that was asked for; whatever is missing makes them absent, not wrong."""

from __future__ import annotations

import errno
import os
import select
import shlex
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prunus import _native
from prunus._native import build, kept, library

needs_native = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has not looked for the library yet, with a cache of its own."""
    monkeypatch.setenv("PRUNUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PRUNUS_NATIVE", "1")
    library._loaded.cache_clear()
    yield tmp_path / "cache"
    library._loaded.cache_clear()


@pytest.fixture
def quick(fresh, monkeypatch, tmp_path):
    """A compiler that only copies what another one made."""
    monkeypatch.delenv("PRUNUS_CACHE")
    made = build.build(Path)
    monkeypatch.setenv("PRUNUS_CACHE", str(fresh))
    compiler = tmp_path / "compiler"
    unknown = 'case "$*" in *no-such-machine*) exit 1;; esac'
    compiler.write_text(
        f'#!/bin/sh\n{unknown}\nwhile [ "$1" != -o ]; do shift; done\nexec cp {shlex.quote(str(made))} "$2"\n'
    )
    compiler.chmod(0o755)
    call(monkeypatch, compiler)
    return fresh


def call(monkeypatch, compiler: Path) -> None:
    """By its name alone, since CC is a command and its folder may have spaces."""
    monkeypatch.setenv("PATH", str(compiler.parent), prepend=os.pathsep)
    monkeypatch.setenv("CC", compiler.name)


@needs_native
def test_the_library_is_compiled_once_and_privately(fresh, monkeypatch) -> None:
    assert _native.available() and _native.why_not() == ""
    (made,) = fresh.iterdir()
    assert made.suffix == ".so" and stat.S_IMODE(os.stat(fresh).st_mode) == 0o700
    library._loaded.cache_clear()
    monkeypatch.setattr(build, "_compile", None)  # a second build would fail
    assert _native.available() and list(fresh.iterdir()) == [made]


def test_the_environment_can_say_no(fresh, monkeypatch) -> None:
    monkeypatch.setenv("PRUNUS_NATIVE", "0")
    assert not _native.available() and "PRUNUS_NATIVE=0" in _native.why_not() and not fresh.exists()
    with pytest.raises(build.BuildError, match="PRUNUS_NATIVE=0"):
        library.library()


def test_no_compiler_is_no_error(fresh, monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    assert not _native.available() and _native.why_not() == "no C compiler is found (looked for no-such-compiler)"


@needs_native
def test_a_compiler_may_be_called_by_another_program(quick, monkeypatch) -> None:
    plain = build.build(Path)
    monkeypatch.setenv("CC", f"env {os.environ['CC']}")
    assert build.build(Path).read_bytes() == plain.read_bytes() and len(list(quick.iterdir())) == 2


def test_a_failing_compiler_is_quoted_and_leaves_nothing(fresh, monkeypatch, tmp_path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho out of ideas >&2\nexit 3\n")
    compiler.chmod(0o755)
    call(monkeypatch, compiler)
    assert not _native.available() and "out of ideas" in _native.why_not() and not list(fresh.iterdir())


def test_a_compiler_that_hangs_is_ended_with_all_it_started_and_not_asked_again(fresh, monkeypatch, tmp_path) -> None:
    compiler, alive, runs, run = tmp_path / "compiler", tmp_path / "alive", [], build._run
    os.mkfifo(alive)
    compiler.write_text(f"#!/bin/sh\nexec 9> {shlex.quote(str(alive))}\nsleep 60 &\nwait\n")
    compiler.chmod(0o755)
    call(monkeypatch, compiler)
    monkeypatch.setattr(build, "PATIENCE", 0.5)
    monkeypatch.setattr(build, "_run", lambda command: runs.append(command) or run(command))
    end = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert not _native.available() and _native.why_not() == f"{compiler} was not done after 0.5 seconds"
        select.select([end], [], [], 10.0)
        assert os.read(end, 1) == b"", "what the compiler has started goes on"
    finally:
        os.close(end)
    assert len(runs) == 1 and not list(fresh.iterdir())


@pytest.mark.parametrize("general", [None, "relative"])
def test_a_user_without_a_home_keeps_nothing(monkeypatch, tmp_path, general) -> None:
    for name in ("PRUNUS_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if general:
        monkeypatch.setenv("XDG_CACHE_HOME", general)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    monkeypatch.chdir(tmp_path)
    assert kept.cache_folder() is None and not list(tmp_path.iterdir())
    monkeypatch.setattr(os.path, "expanduser", lambda _: str(tmp_path))
    assert kept.cache_folder() == tmp_path / ".cache" / "prunus"


def test_a_machine_of_another_kind_is_told_so(fresh, monkeypatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    assert "big-endian" in _native.why_not()


@needs_native
def test_a_cache_that_cannot_be_a_folder_is_replaced_by_a_temporary_one(quick) -> None:
    quick.write_text("a file is in the way")
    assert _native.available() and quick.read_text() == "a file is in the way"


@needs_native
def test_flags_that_a_compiler_does_not_know_are_left_out(quick, monkeypatch) -> None:
    monkeypatch.setattr(build, "TUNED", (("-march=no-such-machine",), ()))
    assert _native.available()


@needs_native
def test_compiling_twice_at_once_leaves_one_library(quick) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: build.build(Path), range(2))
    assert first == second and list(quick.iterdir()) == [first]


@needs_native
def test_a_library_that_was_cut_short_is_made_again(quick) -> None:
    assert _native.available()
    (made,) = quick.iterdir()
    whole = made.read_bytes()
    made.unlink()  # who has it open keeps it
    made.write_bytes(whole[: len(whole) // 2])  # loading this much would end the process
    library._loaded.cache_clear()
    assert _native.available() and [path.read_bytes() for path in quick.iterdir()] == [whole]


@needs_native
def test_where_nothing_can_be_kept_the_library_is_loaded_all_the_same(quick, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", refuse)  # as on a full disk
    assert _native.available() and not list(quick.iterdir())


@needs_native
def test_where_nothing_may_be_run_the_library_is_loaded_from_elsewhere(quick) -> None:
    seen = []

    def load(path: Path) -> str:
        seen.append(path)
        return refuse() if path.parent == quick else "loaded"

    assert build.build(load) == "loaded" and not seen[-1].exists() and len(seen) == 2
    assert build.build(load) == "loaded" and len(seen) == 5  # once more the kept one, the new one, the one elsewhere


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no room")


def test_a_compiler_that_leaves_nothing_is_no_success(fresh, monkeypatch) -> None:
    monkeypatch.setenv("CC", "true")
    assert not _native.available() and "it left no library" in _native.why_not()


def test_long_unused_libraries_go_and_nothing_else(tmp_path) -> None:
    names = [f"kernels-{place:020x}.so" for place in range(8)] + [
        f"kernels-{0:020x}-{place:020x}.so" for place in range(12)
    ]
    for place, name in enumerate([*names, "kernels-mine.so", f"kernels-{0:020x}-{0:020x}.so.abc.part", "notes.txt"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 1000 + place))
    os.utime(tmp_path / names[0])
    kept.remove_unused(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left >= {names[0], "kernels-mine.so", "notes.txt"} and len(left) == 2 + kept.ROOM - 1
    assert not left & {*names[1:5]}


@needs_native
def test_a_library_in_use_is_noted(quick) -> None:
    path = build.build(Path)
    os.utime(path, (0, 1000))
    assert build.build(Path) == path and path.stat().st_mtime > 1000


@needs_native
def test_threads_are_those_of_torch() -> None:
    pool, threads = library.team()
    assert threads == 1
    if sys.platform == "linux":
        assert pool != 0


@needs_native
def test_an_openmp_that_cannot_be_used_leaves_one_thread(monkeypatch) -> None:
    monkeypatch.setattr(library, "_openmp", lambda: iter(["/no/such/library"]))
    library._pool.cache_clear()
    assert library._pool() == 0
    library._pool.cache_clear()
