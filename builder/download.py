"""Downloads an archive of BigEarthNet, and verifies it while it streams.

The archive (v1: 70 GB) is received as OUTPUT/<name>.part and gets its name once its
size and sha256 are right. If the download is interrupted, run the same command again:
it resumes. Mirrors are tried before the official URL; all must give the
same bytes. An archive that is there already is verified.

Example:
  python -m builder.download --output=downloads
  python -m builder.download --mirror=https://mirror.example/BigEarthNet-S2-v1.0.tar.gz
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from urllib3 import Retry

from bigearthnet.download import RETRIES, Expected, fetch
from bigearthnet.release import V1, Release
from bigearthnet.util import command

RELEASES = {"v1": V1}


def download(
    release: Release,
    output: Path,
    *,
    mirrors: Sequence[str] = (),
    retries: Retry = RETRIES,
    quiet: bool = False,
) -> Path:
    """Downloads the archive of a release.

    Args:
        release: What to download.
        output: Folder to put it in; made if missing.
        mirrors: Other URLs of the same file, tried first, in order.
        retries: How often a failed request is repeated, for each server.
        quiet: Shows no progress.

    Returns:
        The archive, which has the size and sha256 of the release.

    Raises:
        OptionError, ChecksumError, DownloadError, DiskSpaceError: See `download.fetch`.
    """
    path = output / release.filenames[0]
    fetch(
        (*mirrors, release.url),
        path,
        Expected(release.nbytes, "sha256", release.sha256),
        retries=retries,
        quiet=quiet,
    )
    return path


def _define_flags() -> None:
    flags.DEFINE_enum("release", "v1", list(RELEASES), "What to download.")
    flags.DEFINE_multi_string(
        "mirror", [], "URL of the same file, tried before the official one; repeatable."
    )
    flags.DEFINE_string("output", ".", "Folder to put the archive in.")


def _main() -> None:
    values = flags.FLAGS
    release, output = RELEASES[values.release], command.path_flag("output")
    print(
        f"{release.filenames[0]}, {release.nbytes / 1e9:.1f} GB, to {output}/ from "
        f"{', else '.join((*values.mirror, release.url))}",
        flush=True,
    )
    path = download(release, output, mirrors=values.mirror)
    print(f"{path}: {release.nbytes:,} bytes, sha256 {release.sha256}: verified")


if __name__ == "__main__":
    command.run(_main, _define_flags)
