"""Peer: the `bigearthnet/all` that comes with TensorFlow Datasets.

Measured is `download_and_prepare`, from an archive that is already there, including the
checksum of the archive that it takes. A user puts the archive into
`<data_dir>/downloads/manual/` and calls

    tfds.builder("bigearthnet/all", data_dir=...).download_and_prepare()

Nothing but Beam's runner is said: by default Beam would first download another one,
and fall back to this one where it cannot.

Ours must not be installed beside it, since it registers the same name. TFDS compares
the archive with the published size and checksum; for a synthetic one, those that the
builder expects are replaced.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

# Apache Beam, Pillow and TensorFlow are imported here because TFDS would import them
# when it first needs them, which is while it is timed.
import apache_beam  # noqa: F401
import PIL.Image  # noqa: F401
import tensorflow  # noqa: F401
import tensorflow_datasets as tfds
from clock import Clock, count_bytes, parse_arguments, report
from tfds_files import count_records, offer_archive

_BEAM_RUNNER = "FnApiRunner"


def expect_archive(builder: Any, archive: Path) -> str:
    """Makes a builder expect an archive in place of the published one.

    Args:
        builder: The TFDS builder.
        archive: The archive.

    Returns:
        The file name under which it expects the archive.
    """
    ((url, published),) = builder.url_infos.items()
    with archive.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    builder.url_infos[url] = tfds.core.download.checksums.UrlInfo(
        size=archive.stat().st_size, checksum=checksum, filename=published.filename
    )
    return published.filename


def main() -> None:
    """Builds `bigearthnet/all`."""
    arguments, clock = parse_arguments(), Clock()
    builder = tfds.builder("bigearthnet/all", data_dir=arguments.work)
    name = expect_archive(builder, arguments.source)
    offer_archive(arguments.source, arguments.work, name)
    options = tfds.download.DownloadConfig(beam_runner=_BEAM_RUNNER)
    with clock.running():
        builder.download_and_prepare(download_config=options)
    folder = Path(builder.data_dir)
    report(count_records(folder), clock.seconds, count_bytes(folder))


if __name__ == "__main__":
    main()
