"""What is there of an archive before it is downloaded."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from bigearthnet.download.local import (
    Found,
    count_missing,
    describe_found,
    find_archive,
)
from bigearthnet.release import V1

NAME, _ = V1.archive("s2").filenames
ARCHIVE = dataclasses.replace(V1.archive("s2"), nbytes=1000)


def find(root: Path, again: bool = False) -> Found:
    """Finds the archive in the folders of a data directory."""
    downloads = root / "downloads"
    return find_archive(ARCHIVE, downloads / "manual", downloads, "bigearthnet", again)


def put(path: Path, nbytes: int = 1000) -> Path:
    """Makes a file of some size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(nbytes))
    return path


@pytest.mark.parametrize("folder", ["manual", ".", "bigearthnet"])
def test_an_archive_in_the_folders_of_downloads_is_found(
    folder: str, tmp_path: Path
) -> None:
    """It may lie in the manual folder, where TFDS puts files, or where we put them."""
    path = put(tmp_path / "downloads" / folder / NAME)
    found = find(tmp_path)

    assert (path, True, True) == (found.path, found.is_here, found.is_published)
    assert 0 == found.missing_nbytes
    assert "" == describe_found(found, 6, tmp_path, "s2")


@pytest.mark.parametrize(("folder", "is_here"), [("manual", True), (".", False)])
def test_what_is_downloaded_again_is_not_taken(
    folder: str, is_here: bool, tmp_path: Path
) -> None:
    """If TFDS is to download once more, only the manual folder counts."""
    put(tmp_path / "downloads" / folder / NAME)

    assert is_here == find(tmp_path, again=True).is_here


@pytest.mark.parametrize("folder", ["manual", "bigearthnet"])
def test_a_download_goes_on_where_it_was(folder: str, tmp_path: Path) -> None:
    """What the downloader left is gone on with, also in the manual folder."""
    put(tmp_path / "downloads" / folder / f"{NAME}.part", 300)
    found = find(tmp_path)
    text = describe_found(found, 6, tmp_path, "s2")

    assert (tmp_path / "downloads" / folder / NAME) == found.path
    assert (False, 700) == (found.is_here, found.missing_nbytes)
    assert "the last 0.0 GB of 0.0" in text


def test_the_message_before_a_download_says_how_to_avoid_it(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives size, both ways to use a copy, what is useless, and the stores around.

    They are those of the data directory, of TFDS's own, and of the folder beside a
    data directory whose name is misspelt.
    """
    own, beside = tmp_path / "own", tmp_path / "x" / "data"
    shutil.copytree(all_stores / "arrow", own / "arrow")
    shutil.copytree(all_stores / "huggingface", beside / "huggingface")
    monkeypatch.setenv("TFDS_DATA_DIR", str(own))
    root = tmp_path / "x" / "dta"
    put(root / "downloads" / "manual" / "BigEarthNet-S1-v1.0.tar.gz", 1)
    archive = dataclasses.replace(ARCHIVE, nbytes=70_032_164_579)
    found = dataclasses.replace(find(root), archive=archive)
    text = describe_found(found, 6, root, "s2")

    for part in (
        f"downloads {NAME}, 70.0 GB, from https://zenodo.org/",
        f"found no archive in {root}/downloads/manual/",
        f"builder.build --source=... --data_dir={root} --config=s2",
        "BigEarthNet-S1-v1.0.tar.gz: is not an archive",
        f"{own / 'arrow'} (config s2, arrow)",
        f"{beside / 'huggingface'} (config s2, parquet)",
    ):
        assert part in text


def test_what_is_taken_and_what_not_is_said(
    sample_folder: Path, tmp_path: Path
) -> None:
    """A source of another name, and one that is not read, are named with the reason."""
    manual = tmp_path / "downloads" / "manual"
    shutil.copytree(sample_folder, manual / "BigEarthNet-S2-v1.0")
    alone = describe_found(find(tmp_path), 6, tmp_path, "s2")
    put(manual / NAME, 999)
    shutil.copytree(sample_folder, manual / ARCHIVE.folder)
    both = describe_found(find(tmp_path), 6, tmp_path, "s2")

    assert (
        f"reads {manual}/BigEarthNet-S2-v1.0; its patches are counted: expected 6"
        == alone
    )
    assert f"reads {manual}/BigEarthNet-v1.0;" in both
    assert f"does not read {manual}/BigEarthNet-S2-v1.0: published names" in both
    assert f"does not read {manual}/{NAME}: it has 999 bytes" in both


def test_tfds_is_told_of_no_more_than_fits(tmp_path: Path) -> None:
    """TFDS wants space for a download in the data directory, wherever it goes."""
    found = find(tmp_path)
    large = dataclasses.replace(ARCHIVE, nbytes=10**18)

    assert 1000 == count_missing([found], tmp_path)
    assert 0 == count_missing([dataclasses.replace(found, archive=large)], tmp_path)
