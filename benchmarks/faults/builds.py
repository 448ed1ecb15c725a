"""The build that is broken: small shards, all formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.build import build

# What a build says of one that is finished.
IS_THERE = "is there already. Delete it"
# What depends on command and time, and may differ.
_DIFFERENT = ("provenance.json",)


@contextmanager
def small_shards(num_patches: int) -> Iterator[None]:
    """Makes shards of at most as many patches, so that a build has many."""
    with mock.patch("bigearthnet.engine.keys.MAX_PATCHES_PER_SHARD", num_patches):
        yield


def run_build(source: Path, data_dir: Path, *, workers: int = 1) -> None:
    """Builds all formats, or resumes an interrupted build.

    Args:
        source: The archive.
        data_dir: Where the stores go.
        workers: Processes of stage two.
    """
    options = BuildOptions(include_excluded=True, workers=workers, quiet=True)
    build(source, data_dir, get_config("s2", RELEASES), options, formats=list(FORMATS))


def hash_tree(folder: Path) -> dict[str, str]:
    """Returns path of each file below a folder → its sha256.

    Files that tell of time and command are left out, and nothing else: what should not
    be there is there.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _DIFFERENT:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def compare(expected: dict[str, str], found: dict[str, str]) -> str:
    """Returns how two trees differ, or "" if they do not."""
    names = [n for n in {**expected, **found} if expected.get(n) != found.get(n)]
    return ", ".join(names[:5])
