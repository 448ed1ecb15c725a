"""Downloads an archive of BigEarthNet, and verifies it while it streams.

The archive (v1: 70 GB) is received as OUTPUT/<name>.part and gets its name once its
size and sha256 are right. If the download is interrupted, run the same command again:
it resumes. Mirrors are tried before the official URL; all must give the same bytes. An
archive that is there already is verified.

Example:
  python -m builder.download --output=downloads
  python -m builder.download --mirror=https://mirror.example/BigEarthNet-S2-v1.0.tar.gz
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from urllib3 import Retry

from bigearthnet.download import RETRIES, fetch
from bigearthnet.release import RELEASES, Archive
from bigearthnet.source.candidates import list_candidates
from bigearthnet.util import command

# Name of the flag → release; `v1` is the one that people ask for by its first digit.
_RELEASES = {release.name.removesuffix(".0"): release for release in RELEASES}


def download(
    archive: Archive,
    output: Path,
    *,
    mirrors: Sequence[str] = (),
    retries: Retry = RETRIES,
    quiet: bool = False,
) -> Path:
    """Downloads an archive.

    Args:
        archive: What to download.
        output: Folder to put it in; made if missing.
        mirrors: Other URLs of the same file, tried first, in order.
        retries: How often a failed request is repeated, for each server.
        quiet: Shows no progress.

    Returns:
        The file, which has the published size and checksum.

    Raises:
        OptionError, ChecksumError, DownloadError, DiskSpaceError: See `download.fetch`.
    """
    name = next((n for n in archive.filenames if (output / n).exists()), None)
    path = output / (name or archive.filenames[0])
    urls = (*mirrors, archive.url)
    if not path.exists() and not quiet:
        _show_others(output, archive)
    fetch(urls, path, archive.nbytes, archive.digest, retries=retries, quiet=quiet)
    return path


def _show_others(output: Path, archive: Archive) -> None:
    """Names what is in a folder that could be built from instead."""
    for found in list_candidates(output, archive, 1):
        state = found.problem or (
            f"builds without a download: python -m builder.build --source={found.path}"
        )
        print(f"{found.path} is there: {state}", file=sys.stderr)


def _define_flags() -> None:
    flags.DEFINE_enum("release", "v1", list(_RELEASES), "What to download.")
    flags.DEFINE_multi_string(
        "mirror", [], "URL of the same file, tried before the official one; repeatable."
    )
    command.define_path("output", ".", "Folder to put the archive in.")


def _main() -> None:
    values = flags.FLAGS
    archive = _RELEASES[values.release].archives[0]
    output = values.output
    print(
        f"{archive.filenames[0]}, {archive.nbytes / 1e9:.1f} GB, to {output}/ from "
        f"{', else '.join((*values.mirror, archive.url))}",
        flush=True,
    )
    path = download(archive, output, mirrors=values.mirror)
    digest = archive.digest
    print(
        f"{path}: {archive.nbytes:,} bytes, {digest.algorithm} {digest.hexdigest}: "
        "verified"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
