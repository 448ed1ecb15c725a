"""Writes the six real sample pairs, and reads the official lists they come with.

Both are package data of the PyPI package `bigearthnet-common` (extra `[sample]`,
Apache-2.0; the patches CDLA-Permissive-1.0). Its code is never imported.

Example:
  python -m builder.sample --output=sample
"""

from __future__ import annotations

import importlib.metadata
import tarfile
from pathlib import Path

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.extras import advise_install
from bigearthnet.util.wording import count_of

PACKAGE = "bigearthnet-common"
_ARCHIVE = "bigearthnet_common/BigEarthNet-S2-Example.tar.bz2"
# Their twins of Sentinel-1.
S1_ARCHIVE = "bigearthnet_common/BigEarthNet-S1-Example.tar.bz2"
FOLDER, S1_FOLDER = "BigEarthNet-S2-Example", "BigEarthNet-S1-Example"


def package_file(name: str) -> Path:
    """Locates a data file of `bigearthnet-common` without importing the package.

    Raises:
        OptionError: If the package is not installed or has no such file.
    """
    try:
        path = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(name)))
    except importlib.metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise OptionError(
            f"the sample patches are not installed: {PACKAGE} has no {name}. "
            f"Install the extra [sample], {advise_install('sample')}"
        )
    return path


def write_sample(output: Path) -> Path:
    """Extracts the six real patches of Sentinel-2, and beside them those of Sentinel-1.

    Args:
        output: Folder to write to; made if missing.

    Returns:
        The folder that holds the six patch folders of Sentinel-2; the other is beside
        it, `S1_FOLDER`.

    Raises:
        OptionError: If the extra `[sample]` is not installed, or the output must not
            be there; see `store.outputs.check_output`.
    """
    check_output(output, "output")
    output.mkdir(parents=True, exist_ok=True)
    for name in (_ARCHIVE, S1_ARCHIVE):
        with tarfile.open(package_file(name)) as archive:
            archive.extractall(output, filter="data")
    return output / FOLDER


def _define_flags() -> None:
    command.define_path(
        "output", None, "Folder to write the patches to.", required=True
    )


def _main() -> None:
    folder = write_sample(flags.FLAGS.output)
    print(
        f"{count_of(len(list(folder.iterdir())), 'real patch')} in {folder}, and the "
        "same of "
        f"Sentinel-1 in {folder.with_name(S1_FOLDER)}\n"
        f"next: python -m builder.build --data_dir=data --source={folder}"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
