from __future__ import annotations

import csv
from pathlib import Path

import bigearthnet
from bigearthnet.release import V1

PACKAGE = Path(bigearthnet.__file__).parent
CHECKSUMS = PACKAGE.parent / "checksums"
ARCHIVE = V1.archive("s2")
SHA256 = ARCHIVE.digest.hexdigest
# url, bytes, sha256, file name.
EXPECTED = [ARCHIVE.url, str(ARCHIVE.nbytes), SHA256, ARCHIVE.filenames[0]]


def read_rows(path: Path) -> list[list[str]]:
    """Reads a table of tab-separated values."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="\t"))


def test_the_release_is_the_published_archive() -> None:
    """Size, checksum and number of patches are those of Zenodo record 12687186."""
    actual = (ARCHIVE.nbytes, SHA256, V1.num_patches, ARCHIVE.filenames)

    assert "sha256" == ARCHIVE.digest.algorithm
    assert (
        70_032_164_579,
        "58744cf96b8cf02a7bd339a4a9602deea774ae98c6fe209f0d48d7ee0eef5700",
        590_326,
        ("BigEarthNet-S2-v1.0.tar.gz", "BigEarthNet-v1.0.tar.gz"),
    ) == actual


def test_url_ends_in_the_file_name() -> None:
    """The download has the name under which a manual copy is looked for."""
    assert ARCHIVE.filenames[0] == ARCHIVE.url.rpartition("/")[2]


def test_sources_agree_with_the_release() -> None:
    """`checksums/sources.tsv` says what `release.V1` says."""
    header, *rows = read_rows(CHECKSUMS / "sources.tsv")

    assert ["url", "bytes", "sha256", "filename"] == header
    assert [EXPECTED] == rows


def test_tfds_checksums_agree_with_the_release() -> None:
    """`bigearthnet/checksums.tsv`, TFDS's copy, says what `release.V1` says."""
    assert [EXPECTED] == read_rows(PACKAGE / "checksums.tsv")


def test_tfds_reads_its_copy() -> None:
    """TFDS understands the checksum file as the archive's URL, size and sha256."""
    from bigearthnet.bigearthnet_dataset_builder import Builder

    infos = Builder.url_infos
    info = infos[ARCHIVE.url]

    assert [ARCHIVE.url] == list(infos)
    assert (ARCHIVE.nbytes, SHA256) == (info.size, info.checksum)
