"""Where results may go: not into a store, nor among the patches of a source."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.store.nearby import is_store
from bigearthnet.util.paths import check_path

# Names of a folder that are looked at; one that holds patches holds little else.
_MOST_NAMES = 1000


def check_output(path: Path, name: str) -> None:
    """Refuses a path where what is written would harm what is there.

    Args:
        path: A file or folder to write; nothing needs to be there.
        name: Name of the option, for the error message.

    Raises:
        OptionError: If the path is not on this machine, or lies in a store, whose
            files its manifest lists, or among patches, where a build would take it for
            one of them. Links are followed.
    """
    check_path(path, name)
    real = Path(os.path.realpath(path))
    for folder in (real, *real.parents):
        if is_store(folder):
            what = f"in the store {folder}, which would no longer be what was built"
        elif _holds_patches(folder):
            what = f"among the patches in {folder}, where it would be taken for a patch"
        else:
            continue
        raise OptionError(f"{name}: {path} lies {what}. Choose another folder.")


def _holds_patches(folder: Path) -> bool:
    ids = [archive.ids for release in RELEASES for archive in release.archives]
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_NAMES)]
    except OSError:
        return False
    return any(one.matches(name) for one in ids for name in names)
