"""What was published: one value per release, passed down, never looked up."""

from __future__ import annotations

from dataclasses import dataclass

from bigearthnet.release.nomenclature import CLC43, Nomenclature


@dataclass(frozen=True)
class Release:
    """One published archive of BigEarthNet.

    Attributes:
        name: Short name, for example `v1.0`.
        url: Where the archive can be downloaded.
        filenames: Names the same bytes were published under; the first is current.
        folder: Folder at the top of the archive.
        nbytes: Size of the archive in bytes.
        sha256: Checksum of the archive.
        num_patches: Patches in the archive.
        nomenclature: Vocabulary of the labels in the patches' JSON.
        table: Package data file that holds the facts of every patch id.
    """

    name: str
    url: str
    filenames: tuple[str, ...]
    folder: str
    nbytes: int
    sha256: str
    num_patches: int
    nomenclature: Nomenclature
    table: str


# Zenodo record 12687186; the older file on bigearth.net has the same bytes.
# `checksums/sources.tsv` and `bigearthnet/checksums.tsv` say the same (tested).
V1 = Release(
    name="v1.0",
    url="https://zenodo.org/records/12687186/files/BigEarthNet-S2-v1.0.tar.gz",
    filenames=("BigEarthNet-S2-v1.0.tar.gz", "BigEarthNet-v1.0.tar.gz"),
    folder="BigEarthNet-v1.0",
    nbytes=70_032_164_579,
    sha256="58744cf96b8cf02a7bd339a4a9602deea774ae98c6fe209f0d48d7ee0eef5700",
    num_patches=590_326,
    nomenclature=CLC43,
    table="patches_v1.parquet",
)
