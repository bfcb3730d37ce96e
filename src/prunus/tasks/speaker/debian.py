"""Recorded voices from Debian's sound packages: which packages, which folder is whom, fetched without root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from prunus.errors import SettingError
from prunus.tasks.speaker import cache, sound
from prunus.tasks.speaker.voices import RATE, Voice, joined

PACKAGES = (
    "asterisk-core-sounds-en-wav",
    "asterisk-core-sounds-es-wav",
    "asterisk-core-sounds-fr-wav",
    "asterisk-core-sounds-it-wav",
    "asterisk-core-sounds-ru-wav",
    "asterisk-prompt-es-co",
    "asterisk-prompt-fr-armelle",
    "asterisk-prompt-it-menardi-wav",
    "klettres-data",
    "ktuberling-data",
)
ASTERISK = {
    "allison": ("en_US_f_Allison", "es_MX_f_Allison"),
    "armelle": ("fr",),
    "carlo": ("it_IT_m_Carlo",),
    "ivrvoice": ("ru_RU_f_IvrvoiceRU",),
    "jimenez": ("es",),
    "june": ("fr_CA_f_June",),
    "menardi": ("it_IT_f_Menardi",),
}
"""One person a name. Both folders of Allison are one: the same name in the same list of copyright holders."""
KLETTRES = tuple("ar cs da de en en_GB es fr he hu it lt ml nb nds nl pt_BR ru tn uk".split())  # noqa: SIM905
KTUBERLING = tuple("ca da de el en fr gl lt nn ru sl uk wa".split())  # noqa: SIM905
"""Languages with half a minute or more; the other folders have a dozen words each."""
UNSURE = {
    *(f"asterisk {name}" for name in ASTERISK),
    *(f"klettres {name}" for name in ("da", "de", "ml", "ru")),
    *(f"ktuberling {name}" for name in ("ca", "fr", "ru", "uk")),
}
"""Never held out. Asterisk: an hour of professionals on telephone lines, which training needs and trials would find
easy. The others may hold two people, or one who also speaks elsewhere (docs/methods/speaker.md says how this was
judged)."""
MINUTES = 10.0
"""At most so much of one speaker is kept."""
SUFFIXES = {".gsm", ".ogg", ".opus", ".wav"}


def folders(share: Path) -> dict[str, list[Path]]:
    """Return the folders of every speaker below ``share``, the ``usr/share`` of the unpacked packages.

    Klettres keeps letters and syllables apart; the German letters are left out, spoken by somebody else. The speaker of
    Low Saxon is one and the same in klettres and ktuberling.

    >>> found = folders(Path("/x"))
    >>> len(found), [path.as_posix() for path in found["klettres nb"]]
    (40, ['/x/klettres/nb/alpha', '/x/klettres/nb/syllab'])
    """
    prompts, games = share / "asterisk" / "sounds", share / "ktuberling" / "sounds"
    found = {f"asterisk {name}": [prompts / one for one in names] for name, names in ASTERISK.items()}
    found |= {f"klettres {one}": [share / "klettres" / one / part for part in ("alpha", "syllab")] for one in KLETTRES}
    found |= {f"ktuberling {one}": [games / one] for one in KTUBERLING}
    found["klettres de"] = [share / "klettres" / "de" / "syllab"]
    found["klettres nds"].append(games / "nds")
    return found


def voices(share: Path) -> Iterator[Voice]:
    """Yield the voice of every speaker, from the sound files below ``share``; see :func:`clip`.

    Clips are kept in an order of chance (the same for everybody) until MINUTES are full. Raises SettingError when a
    speaker has no files, which means that the packages have changed.
    """
    for name, places in folders(share).items():
        files = sorted(path for place in places for path in place.rglob("*") if path.suffix in SUFFIXES)
        files = [path for path in files if "silence" not in path.parts]
        if not files:
            raise SettingError(f"no sound files of {name} in {', '.join(map(str, places))}: the package has changed")
        order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0)).tolist()
        yield joined(name, _until_full([files[place] for place in order]), trials=name not in UNSURE)


def _until_full(files: list[Path]) -> list[Tensor]:
    clips: list[Tensor] = []
    room = round(60 * MINUTES * RATE)
    for path in files:
        if room <= 0:
            break
        clips.append(clip(path))
        room -= len(clips[-1])
    return clips


def clip(path: Path) -> Tensor:
    """Return one file as mono at 8 kHz, silence dropped, level set: empty when nothing is loud."""
    samples, rate = sound.read(path)
    heard = sound.voiced(sound.resample(samples, rate, RATE), RATE)
    return sound.levelled(heard) if len(heard) else heard


def fetch(folder: Path) -> dict[str, str]:
    """Download PACKAGES (210 MB) with ``apt-get download`` and unpack them below ``folder``; return their versions.

    Needs no root, installs nothing, and leaves the packages deleted and their files in ``folder/usr/share``.

    Raises SettingError, with what apt said, without apt or dpkg, without network or without these packages.
    """
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise SettingError(f"the recorded voices come in Debian packages, and this machine has no {missing[0]}")
    _run(["apt-get", "-o", "APT::Sandbox::User=root", "download", *PACKAGES], folder)
    versions = {}
    for package in sorted(folder.glob("*.deb")):
        name = package.name.partition("_")[0]
        versions[name] = _run(["dpkg-deb", "--field", package.name, "Version"], folder).strip()
        _run(["dpkg-deb", "--extract", package.name, "."], folder)
        package.unlink()
    return versions


def _run(command: list[str], folder: Path) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if ran.returncode:
        advice = " (without package lists: apt-get update)" if "Unable to locate" in ran.stderr else ""
        raise SettingError(f"{command[0]} failed: {cache.last_line(ran.stderr)}{advice}")
    return ran.stdout
