"""The IDX reader on files made by hand, sound and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from prunus.errors import SettingError
from prunus.tasks.vision import idx

SOUND = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(250, 256)])


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_plain_and_gzipped_read_the_same(tmp_path: Path) -> None:
    plain = idx.read(written(tmp_path, SOUND))
    assert plain.dtype == torch.uint8 and plain.tolist() == [[250, 251, 252], [253, 254, 255]]
    assert idx.read(written(tmp_path, gzip.compress(SOUND), "file.gz")).equal(plain)


def test_an_empty_file_of_zero_images_is_sound(tmp_path: Path) -> None:
    assert idx.read(written(tmp_path, bytes([0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3]))).shape == (0, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SOUND[:-1], r"truncated: 5 values, its shape \(2, 3\) needs 6"),
        (SOUND + b"\0", r"too long: 7 values"),
        (SOUND[:3], "truncated: 3 bytes"),
        (SOUND[:9], "2 dimensions need 12 bytes of header"),
        (b"\x89PNG" + SOUND, "starts with 89 50 4e 47"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 0]), "starts with 00 00 0d 01"),
        (bytes([0, 0, 8, 0]), "starts with 00 00 08 00"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    for path in (written(tmp_path, content), written(tmp_path, gzip.compress(content), "file.gz")):
        with pytest.raises(SettingError, match=said) as caught:
            idx.read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(SOUND)[:-9], "truncated: its gzip stream ends early"),
        (SOUND, "not a sound gzip file"),
        (gzip.compress(SOUND)[:10] + b"\xff" * 30, "not a sound gzip file"),
    ],
)
def test_a_damaged_gzip_stream_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        idx.read(written(tmp_path, content, "file.gz"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        idx.read(tmp_path / "absent")
