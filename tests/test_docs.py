"""The Python blocks of the README, of CONTRIBUTING and of docs/ run in the order in which a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    page for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))] if page.exists()
]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[int, str, str]]:
    """Return (line of the fence, info string, code) of every Python block."""
    found = []
    for fence in FENCE.finditer(text):
        if fence["info"].split()[:1] == ["python"]:
            code = re.sub(rf"^{fence['indent']}", "", fence["code"], flags=re.MULTILINE)
            found.append((text.count("\n", 0, fence.start()) + 1, fence["info"].strip(), code))
    return found


def run(text: str, name: str) -> int:
    """Run the blocks in one namespace, skip those marked ``python no-run``; return how many ran."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    ran = 0
    for line, info, code in blocks(text):
        if info.split()[1:] == ["no-run"]:
            continue
        assert info == "python", f"{name}:{line}: ```{info} is neither ```python nor ```python no-run"
        exec(
            compile("\n" * line + code, name, "exec"), namespace
        )  # blank lines: a traceback shows the page's own lines
        ran += 1
    return ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    ran = run(text, str(page))
    assert ran or not blocks(text), f"{page.name} has Python blocks and every one is marked no-run"


def test_the_pages_are_found() -> None:
    assert ROOT / "CONTRIBUTING.md" in PAGES


def test_blocks_share_a_namespace_and_no_run_is_skipped() -> None:
    first, skipped = "```python\nx = 1\n```\n", "```python no-run\nx = 1 / 0\n```\n"
    in_a_list = "1. list\n\n   ```python\n   x += 1\n   assert x == 2\n   ```\n"
    assert run(first + skipped + in_a_list, "page") == 2


def test_a_failing_block_names_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("title\n\n```python\nx = 1\nx / 0\n```\n", "page.md")
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == ("page.md", 5)


def test_a_misspelt_mark_is_an_error() -> None:
    with pytest.raises(AssertionError, match="page:1"):
        run("```python norun\n1 / 0\n```\n", "page")
