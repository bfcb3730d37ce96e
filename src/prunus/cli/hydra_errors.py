"""Errors of Hydra in the words of prunus: what is unknown, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException

from prunus.errors import PrunusError, SettingError, did_you_mean
from prunus.tasks.experiment import compose, options

KEY = re.compile(r"Could not override '([^']+)'")
APPEND = re.compile(r"To append to your config use (\S+)")
CONFIG_DIR = ("--config-dir", "-cd")


def explained(fault: Exception, arguments: Sequence[str]) -> PrunusError:
    """Return the error to show for one of Hydra's: prunus's own inside it, or a SettingError with the nearest name.

    >>> str(explained(MissingConfigException("…", "experiment/vision/digits_dens"), []))
    "there is no configuration 'experiment/vision/digits_dens'. Did you mean 'experiment/vision/digits_dense'?"
    """
    inside = next((one for one in _causes(fault) if isinstance(one, PrunusError)), None)
    if inside is not None:
        return inside
    folder = _config_dir(arguments)
    if isinstance(fault, MissingConfigException) and fault.missing_cfg_file:
        name = fault.missing_cfg_file
        return SettingError(f"there is no configuration {name!r}. {_nearest(name, options('', folder))}")
    unknown = KEY.match(str(fault))
    if unknown is None:
        return SettingError(str(fault).strip())
    name, hint = unknown[1], APPEND.search(str(fault))
    more = f" To add it nevertheless write {hint[1]}" if hint else ""
    return SettingError(f"there is no setting {name!r}. {_nearest(name, _known(name, arguments))}{more}")


def keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield every key below a configuration as the command line writes it.

    >>> from omegaconf import OmegaConf
    >>> list(keys(OmegaConf.create({"trainer": {"max_epochs": 2}, "tags": []})))
    ['trainer', 'trainer.max_epochs', 'tags']
    """
    names = range(len(config)) if isinstance(config, ListConfig) else list(config)
    for name in names:
        yield f"{prefix}{name}"
        node = config._get_node(name)
        if isinstance(node, (DictConfig, ListConfig)) and not node._is_none() and not node._is_interpolation():
            yield from keys(node, f"{prefix}{name}.")  # type: ignore[arg-type]


def _known(unknown: str, arguments: Sequence[str]) -> list[str]:
    """What could have been meant: keys of the configuration without the faulty override, and names of groups."""
    rest = [one for one in arguments if "=" in one and not one.startswith("-") and unknown not in one.split("=")[0]]
    folder = _config_dir(arguments)
    groups = {name.rpartition("/")[0] for name in options("", folder) if "/" in name}
    try:
        return [*keys(compose(rest, folder)), *groups]
    except (HydraException, OmegaConfBaseException):
        return sorted(groups)


def _nearest(name: str, known: Sequence[str]) -> str:
    """Prefer what has the same last word: a choice that was looked for in the wrong folder."""
    last = name.rpartition("/")[2]
    same = [one for one in known if one.rpartition("/")[2] == last]
    return did_you_mean(name, same or known)


def _config_dir(arguments: Sequence[str]) -> str | None:
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name in CONFIG_DIR:
            return value or next(iter(arguments[place + 1 :]), None)
    return None


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__ or fault.__context__
