"""Downloads TF-Slim's ImageNet weights of Inception-v2, verified, and unpacks them.

41.6 MB, released by TF-Slim under Apache-2.0 in 2016. Beside the archive appears
inception_v2.ckpt, which `baselines.train` takes as --weights_path. An interrupted
download is resumed when the command is run again.

Example:
  python -m baselines.fetch_weights --output=weights
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from baselines.cluster import refuse_cluster
from baselines.errors import WeightsError
from bigearthnet.download import fetch
from bigearthnet.release import Digest
from bigearthnet.util import command
from bigearthnet.util.files import DurableFile, FileInfo


@dataclass(frozen=True)
class WeightsRelease:
    """An archive of weights, as it was published.

    Attributes:
        urls: Where it is, the best first.
        nbytes: Size of the archive in bytes.
        sha384: Checksum of the archive, hexadecimal.
        member: Name of the checkpoint within it.
        max_nbytes: Largest size of the checkpoint that is accepted, in bytes.
    """

    urls: tuple[str, ...]
    nbytes: int
    sha384: str
    member: str
    max_nbytes: int

    @property
    def filename(self) -> str:
        """Name of the archive."""
        return self.urls[0].rpartition("/")[2]


# Size and SHA-384: Open Model Zoo, models/public/googlenet-v2-tf/model.yml; the second
# URL is its mirror, the third the one of TF-Slim's README.
INCEPTION_V2 = WeightsRelease(
    urls=(
        "https://storage.googleapis.com/download.tensorflow.org/models/"
        "inception_v2_2016_08_28.tar.gz",
        "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/"
        "googlenet-v2-tf/inception_v2_2016_08_28.tar.gz",
        "http://download.tensorflow.org/models/inception_v2_2016_08_28.tar.gz",
    ),
    nbytes=41_577_079,
    sha384="c0b2efbae8fc5e237ae67637dca3f311d4b4f7da576b56067e83d95c398a2fcc"
    "d50baff9cc0de64335f4d7b78e1adb07",
    member="inception_v2.ckpt",
    # 11,199,137 float32 values with the classifier are 44.8 MB.
    max_nbytes=64 << 20,
)


def fetch_weights(
    output: Path,
    release: WeightsRelease = INCEPTION_V2,
    *,
    mirror: str | None = None,
    quiet: bool = False,
) -> FileInfo:
    """Downloads an archive of weights, or resumes its download, and unpacks it.

    Args:
        output: Folder for both; made if missing.
        release: What to download.
        mirror: URL of the same archive, to be tried before the others.
        quiet: Shows no progress.

    Returns:
        What was unpacked into the folder.

    Raises:
        ChecksumError: If the archive that is there, or was received, is another.
        DownloadError: If no server gives it; the next call resumes.
        WeightsError: If the archive does not hold the checkpoint.
        OptionError: If the mirror is no URL.
        OSError: If a file cannot be written.
    """
    archive = output / release.filename
    urls = [*([mirror] if mirror else []), *release.urls]
    fetch(urls, archive, release.nbytes, Digest("sha384", release.sha384), quiet=quiet)
    return extract_member(archive, release.member, release.max_nbytes)


def extract_member(archive: Path, name: str, max_nbytes: int) -> FileInfo:
    """Unpacks one file of a .tar.gz archive beside it; no other is ever written.

    Args:
        archive: The archive.
        name: Name of the file, at the top of the archive.
        max_nbytes: Largest size of the file that is accepted, in bytes.

    Returns:
        What was written, under that name.

    Raises:
        WeightsError: If the archive cannot be read, has no regular file of that name,
            or a larger one.
        OSError: If the file cannot be written.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            # Some archives call what is at their top ./name.
            found = [m for m in tar if m.name.removeprefix("./") == name]
            if len(found) != 1 or not found[0].isreg() or found[0].size > max_nbytes:
                raise WeightsError(
                    f"{archive}: expected one regular file {name} of at most "
                    f"{max_nbytes:,} bytes, got {_describe(found)}. Remove the archive "
                    "and fetch it again."
                )
            file = tar.extractfile(found[0])
            assert file is not None  # it is regular
            content = file.read()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise WeightsError(
            f"{archive} cannot be read ({cause}). Remove it and fetch it again."
        ) from None
    with DurableFile(archive.parent, name) as written:
        written.write(content)
        return written.finish()


def _describe(members: list[tarfile.TarInfo]) -> str:
    kinds = [
        f"a file of {m.size:,} bytes" if m.isreg() else "no regular file"
        for m in members
    ]
    return " and ".join(kinds) or "none"


def _define_flags() -> None:
    command.define_path("output", "weights", "Folder for the weights.")
    flags.DEFINE_string("mirror", None, "URL of the archive, tried before the others.")


def _main() -> None:
    refuse_cluster("baselines.fetch_weights")
    output = flags.FLAGS.output
    written = fetch_weights(output, mirror=flags.FLAGS.mirror)
    print(
        f"{output / written.name}: {written.nbytes:,} bytes, sha256 {written.sha256}\n"
        "next: python -m baselines.train --run=inception_v2 --data_dir=DIR "
        f"--workdir=DIR --weights_path={output / written.name}"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
