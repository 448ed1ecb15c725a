from __future__ import annotations

import dataclasses
import pickle

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES, V1, Release, find_release
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.release.model import scheme_suffix

ARCHIVE = V1.archive("s2")
PATCH_ID = "S2A_MSIL2A_20170613T101031_0_45"


def test_a_patch_has_13_files() -> None:
    """The files of a patch are its 12 bands, group by group, and its JSON."""
    names = ARCHIVE.file_names(PATCH_ID)
    bands = [band for group in GROUPS for band in group.bands]

    assert [f"{PATCH_ID}_{band.name}.tif" for band in bands] == list(names[:-1])
    assert f"{PATCH_ID}_labels_metadata.json" == names[-1]
    assert len(set(names)) == 13
    assert set(bands) == set(BANDS)


def test_an_archive_without_json_has_bands_alone() -> None:
    """Without a suffix there is no file of metadata."""
    archive = dataclasses.replace(ARCHIVE, metadata=None)

    assert archive.metadata_file(PATCH_ID) is None
    assert ARCHIVE.file_names(PATCH_ID)[:-1] == archive.file_names(PATCH_ID)


def test_a_patch_has_160000_bytes_of_pixels() -> None:
    """The groups of a patch take 160,000 bytes together."""
    assert 160_000 == ARCHIVE.pixel_nbytes


def test_split_names_are_in_stored_order() -> None:
    """Codes of the splits are frozen; only `excluded` may be left out."""
    assert ("train", "validation", "test", "excluded") == V1.splits
    assert ("excluded",) == V1.excluded
    assert ("train", "validation", "test") == V1.kept_splits


def test_the_official_scheme_has_no_suffix() -> None:
    """Names say the scheme unless it is the official one."""
    assert ("", "-random") == tuple(map(scheme_suffix, ("official", "random")))
    assert ["s2", "s2-random", "s2-rgb", "s1", "s1-random", "s1s2", "s1s2-random"] == [
        choice.name for choice in V1.choices
    ]


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.name)
def test_a_release_is_whole(release: Release) -> None:
    """Whatever a release names is part of it."""
    groups = [group for archive in release.archives for group in archive.groups]
    archives = {archive.name for archive in release.archives}

    assert {name for c in release.choices for name in c.archives} <= archives
    assert len(groups) == len({group.name for group in groups})
    assert set(release.rgb) <= {band.name for group in groups for band in group.bands}
    assert set(release.excluded) < set(release.splits)
    assert release.label_sets[0].nomenclature == release.nomenclature
    assert release.archives[0].ids == release.ids


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.name)
def test_a_release_is_a_value(release: Release) -> None:
    """It can be compared, hashed and sent to another process."""
    again = pickle.loads(pickle.dumps(release))

    assert (release, hash(release)) == (again, hash(again))
    assert release != dataclasses.replace(release, data_version="9.0.0")


def test_names_of_known_releases_differ() -> None:
    """Neither two releases nor two of their configurations share a name."""
    names = [release.name for release in RELEASES]
    choices = [choice.name for release in RELEASES for choice in release.choices]

    assert len(set(names)) == len(names)
    assert len(set(choices)) == len(choices)


def test_a_release_is_found_by_name() -> None:
    """`find_release` gives the release of that name, among those it is given."""
    other = dataclasses.replace(V1, name="v9")

    assert V1 is find_release("v1.0", RELEASES)
    assert other is find_release("v9", (V1, other))


@pytest.mark.parametrize("name", ["v9", "", "V1.0", None, 1])
def test_an_unknown_release_is_refused(name: object) -> None:
    """A name that no release has is an error that shows it and all that do."""
    with pytest.raises(OptionError, match=rf"unknown release {name!r}: .*v1\.0"):
        find_release(name, RELEASES)


def test_an_unknown_archive_is_refused() -> None:
    """A name that the release's archives do not have is an error that shows it."""
    with pytest.raises(OptionError, match="s2, s1, got 'maps'"):
        V1.archive("maps")
