"""What other programs leave among patches: it is ignored, and counted by kind.

This is the only list. Pixels and labels come from the files of the release alone, so
that nothing here could change them, sidecars of GDAL included. What is not listed is an
error that names it.
"""

from __future__ import annotations

import collections
import fnmatch
from collections.abc import Mapping

from bigearthnet.release import Archive

# What says, at the top of archives without JSON, that `builder.synthesize` made them;
# its name comes before all folders.
SYNTHETIC_FILE = "00-SYNTHETIC.txt"

# Files, wherever they lie. Patterns are those of `fnmatch`; case does not matter.
_FILES = (
    SYNTHETIC_FILE,
    "._*",  # macOS, on disks and in archives that cannot hold attributes (AppleDouble)
    ".DS_Store",  # macOS: how the Finder shows a folder
    "Thumbs.db",  # Windows: small pictures of a folder
    "desktop.ini",  # Windows: how the Explorer shows a folder
    ".nfs*",  # NFS: a file that was deleted while a program had it open
    ".fuse_hidden*",  # the same on sshfs, NTFS and other file systems of FUSE
    "*.aux.xml",  # GDAL, QGIS: statistics of a raster
    "*.ovr",  # GDAL, QGIS: overviews of a raster
    "*.msk",  # GDAL: mask of a raster
    "*.tfw",  # GDAL, QGIS, ArcGIS: position of a raster, which the TIFF says, too
)

# Files that lie in no patch folder: what people are told about the patches.
_DOCUMENTS = (
    *("README*", "LICENSE*", "LICENCE*"),
    *("*.csv", "*.md", "*.pdf", "*.txt"),
)

# Folders, wherever they lie, with all that is in them.
FOLDERS = (
    "__MACOSX",  # macOS: the `._` files of a zip file
    *(".Spotlight-V100", ".fseventsd", ".Trashes"),  # macOS, at the top of a disk
    *("$RECYCLE.BIN", "System Volume Information"),  # Windows, at the top of a disk
    "lost+found",  # ext4, at the top of a disk
    "@eaDir",  # disk stations of Synology: small pictures
    ".ipynb_checkpoints",  # Jupyter: copies of what is edited
)
_FOLDER_NAMES = {name.lower(): name for name in FOLDERS}


class Litter:
    """Tells litter from patches, and counts it.

    Attributes:
        endings: What names of a patch's files end in. A file whose name ends so, and
            does not begin with a dot, is never litter.
        counts: Kind of litter, as listed above → how much of it was found: of an
            archive, files; of a folder, files, and folders that were not entered.
    """

    def __init__(self, archive: Archive) -> None:
        """Takes the archive whose patches lie around."""
        files = archive.file_names("")
        files = (*files, *([archive.spare_suffix] if archive.spare_suffix else []))
        self.endings = tuple({name[name.rfind(".") :] for name in files})
        self.counts: collections.Counter[str] = collections.Counter()
        self._ids = archive.ids

    def find(self, name: str, holder: str) -> str | None:
        """Returns which kind of litter something is by its name, if it is litter.

        Args:
            name: Name of a file or folder.
            holder: Name of the folder that it lies in; "" at the top.
        """
        if name.endswith(self.endings) and name[0] != ".":
            return None
        if self._ids.matches(name):
            return None
        lower = name.lower()
        if lower in _FOLDER_NAMES:
            return _FOLDER_NAMES[lower]
        return _match(lower, _FILES) or (
            None if self._ids.matches(holder) else _match(lower, _DOCUMENTS)
        )


def describe(counts: Mapping[str, int]) -> str:
    """Returns the counts of some litter as text, for example `84 ._*, 1 .DS_Store`."""
    found = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {kind}" for kind, count in found)


def find_folder(path: str) -> str | None:
    """Returns the kind of a folder of litter that a path leads to or through, if any.

    Args:
        path: Path of a folder.
    """
    parts = path.lower().split("/")
    return next((_FOLDER_NAMES[part] for part in parts if part in _FOLDER_NAMES), None)


def _match(name: str, patterns: tuple[str, ...]) -> str | None:
    return next((p for p in patterns if fnmatch.fnmatchcase(name, p.lower())), None)
