"""The kernels are compiled once, in the cache that was asked for; whatever is missing makes them absent, not wrong."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from prunus import _native
from prunus._native import build, library

needs_native = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has not looked for the library yet, with a cache of its own."""
    monkeypatch.setenv("PRUNUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PRUNUS_NATIVE", "1")
    library._loaded.cache_clear()
    yield tmp_path / "cache"
    library._loaded.cache_clear()


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


def test_a_failing_compiler_is_quoted_and_leaves_nothing(fresh, monkeypatch, tmp_path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho out of ideas >&2\nexit 3\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert not _native.available() and "out of ideas" in _native.why_not() and not list(fresh.iterdir())


def test_a_machine_of_another_kind_is_told_so(fresh, monkeypatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    assert "big-endian" in _native.why_not()


@needs_native
def test_a_cache_that_cannot_be_a_folder_is_replaced_by_a_temporary_one(fresh) -> None:
    fresh.write_text("a file is in the way")
    assert _native.available() and fresh.read_text() == "a file is in the way"


@needs_native
def test_flags_that_a_compiler_does_not_know_are_left_out(fresh, monkeypatch) -> None:
    monkeypatch.setattr(build, "TUNED", (("-march=no-such-machine",), ()))
    assert _native.available()


@needs_native
def test_compiling_twice_at_once_leaves_one_library(fresh) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: build.build(), range(2))
    assert first == second and list(fresh.iterdir()) == [first]


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
