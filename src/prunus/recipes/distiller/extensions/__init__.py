"""The classes of the section ``extensions``, by the names of the files."""

from prunus.recipes.distiller.contract import Extension
from prunus.recipes.distiller.extensions.channels import ChannelRemover
from prunus.recipes.distiller.extensions.filters import FilterRemover
from prunus.recipes.distiller.extensions.structures import StructureRemover

EXTENSIONS: dict[str, type[Extension]] = {
    "ChannelRemover": ChannelRemover,
    "FilterRemover": FilterRemover,
    "StructureRemover": StructureRemover,
}

__all__ = ["EXTENSIONS", "ChannelRemover", "FilterRemover", "StructureRemover"]
