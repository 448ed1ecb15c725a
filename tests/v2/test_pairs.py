"""Tables of both sensors are a pair: the same patches, in the same order, or none."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import OptionError, QuarantineError, StoreError
from bigearthnet.release import V2, Release
from bigearthnet.schema.configs import Config
from bigearthnet.store.pairs import check_pairs
from bigearthnet.store.remote import open_origin
from bigearthnet.store.search import find_stores, open_store
from builder.build import build
from builder.convert import convert, read_list
from builder.jobs import find_targets
from builder.summary import summarize
from builder.verify import verify
from tests.v2.conftest import QUIET
from tests.v2.made import make_patches
from tests.v2.pairs import (
    FORMATS,
    PARTS,
    build_later,
    hash_files,
    hash_manifests,
)
from tests.v2.test_building import config_of, cut_radar, lose_radar


def test_one_pass_makes_what_two_builds_make(
    stores: Path, downloads: Path, both: Config, tmp_path: Path
) -> None:
    """Every file of both parts, and the card above them, is the same."""
    result = build(downloads, tmp_path, both, QUIET, formats=("tfrecord", *FORMATS))
    text = summarize(result, find_targets(tmp_path, both, FORMATS))

    assert hash_files(stores) == hash_files(tmp_path)
    assert (stores / "patches-v2.parquet").read_bytes() == (
        tmp_path / "patches-v2.parquet"
    ).read_bytes()
    assert open_store(stores, both).manifest == open_store(tmp_path, both).manifest
    assert "parquet-v2-s2" in text
    assert "parquet-v2-s1" in text


def write_other_orders(downloads: Path, folder: Path, kind: str) -> dict[str, Path]:
    """The archives, last patch first, as plain or compressed tar files."""
    folder.mkdir()
    sources = {}
    for archive in V2.archives:
        content = zstd.decompress((downloads / archive.filenames[0]).read_bytes())
        turned = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(content)) as tar,
            tarfile.open(fileobj=turned, mode="w", format=tarfile.GNU_FORMAT) as other,
        ):
            for member in sorted(tar, key=lambda m: m.name, reverse=True):
                other.addfile(member, tar.extractfile(member))
        path = folder / f"{archive.name}.{kind}"
        data = turned.getvalue()
        path.write_bytes(data if kind == "tar" else zstd.compress(data, 1))
        sources[archive.name] = path
    return sources


@pytest.mark.parametrize(("kind", "workers"), [("tar", 2), ("tar.zst", 1)])
def test_order_and_kind_of_the_archives_do_not_matter(
    kind: str,
    workers: int,
    stores: Path,
    downloads: Path,
    both: Config,
    tmp_path: Path,
) -> None:
    """Archives sorted otherwise, compressed or not, give the same manifests."""
    sources = write_other_orders(downloads, tmp_path / "archives", kind)
    options = dataclasses.replace(QUIET, workers=workers)
    build(sources, tmp_path / "data", both, options, formats=FORMATS)

    assert hash_manifests(stores) == hash_manifests(tmp_path / "data")


@pytest.mark.parametrize("names", [PARTS, PARTS[::-1]])
def test_a_part_stores_what_the_other_has(
    names: tuple[str, str], downloads: Path, release: Release, tmp_path: Path
) -> None:
    """Whatever the defaults say, the second one has the patches of the first."""
    build_later(downloads, tmp_path, release, names[0], limit=2)
    build_later(downloads, tmp_path, release, names[1], include_excluded=False)
    first, second = (open_store(tmp_path, config_of(n, release)) for n in names)

    check_pairs((first, second), first.splits)
    assert first.manifest["patches"] == second.manifest["patches"]
    assert 2 == sum(map(second.num_patches, second.splits))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"include_excluded": True}, "include_excluded"),
        ({"limit": 1}, "limit"),
        ({"include_excluded": True, "countries": ("Kosovo",)}, ".*, countries"),
    ],
)
def test_a_part_is_not_built_of_other_patches(
    changes: dict[str, Any],
    named: str,
    extracted: Path,
    release: Release,
    tmp_path: Path,
) -> None:
    """Options that say others than the store beside are refused; the same are not."""
    options = dataclasses.replace(QUIET, include_excluded=False)
    first, second = (config_of(name, release) for name in PARTS)
    build(extracted, tmp_path, first, options, formats=["arrow"])

    other = dataclasses.replace(options, **changes)
    with pytest.raises(OptionError, match=f"^{named}: the store beside has"):
        build(extracted, tmp_path, second, other, formats=["arrow"])
    assert not workspace_folder(tmp_path, second).exists()
    same = dataclasses.replace(options, limit=len(make_patches()))
    result = build(extracted, tmp_path, second, same, formats=["arrow"])
    assert "include_excluded" not in summarize(result, {})


def test_manifests_have_the_checksum_of_the_ids(stores: Path, release: Release) -> None:
    """It is that of the ids in stored order, joined by line feeds."""
    from bigearthnet.reading.arrow import ArrowReader

    for name in PARTS:
        store = open_store(stores, config_of(name, release), "arrow")
        for split in store.splits:
            reader = ArrowReader.open(split, stores, name, release)
            (batch,) = reader.batches(len(reader), ["patch_id"])
            found = hashlib.sha256("\n".join(batch["patch_id"]).encode()).hexdigest()

            assert found == store.manifest["splits"][split]["ids_sha256"]


@pytest.fixture
def changed(extracted: Path, tmp_path: Path) -> Path:
    """A copy of the extracted archives, to be damaged."""
    return shutil.copytree(extracted, tmp_path / "changed")


@pytest.mark.parametrize("damage", [lose_radar, cut_radar])
def test_a_part_that_lacks_patches_names_them(
    damage: Any, changed: Path, both: Config, release: Release, tmp_path: Path
) -> None:
    """S2 without them, made without its archive, is that of one build of both."""
    damage(changed)
    s2, s1 = (config_of(name, release) for name in PARTS)
    data, rest = tmp_path / "data", tmp_path / "rest"
    build_later(changed, data, release, "v2-s2")
    bad = next(iter(make_patches()))

    message = rf"1 of the {len(make_patches())} patches of .*/s2 .* --drop"
    with pytest.raises(QuarantineError, match=message):
        build(changed, data, s1, QUIET, formats=FORMATS)
    path = data / "drop.bigearthnet-v2-s1.txt"
    assert [bad] == read_list(path)
    assert not (data / "huggingface-v2/s1").exists()
    assert not workspace_folder(data, s1).exists()

    convert(data, s2, FORMATS, QUIET, output=rest, drop=read_list(path))
    build_later(changed, rest, release, "v2-s1")
    options = dataclasses.replace(QUIET, max_bad=1)
    build(changed, tmp_path / "once", both, options, formats=FORMATS)
    assert hash_manifests(tmp_path / "once") == hash_manifests(rest)
    sources = {archive.name: changed / archive.folder for archive in V2.archives}
    results = verify(rest, sources=sources, releases=[release], quiet=True)
    assert [] == [line for result in results for line in result.shown]


def test_a_part_that_lacks_all_patches_is_of_others(
    changed: Path, release: Release, tmp_path: Path
) -> None:
    """Nothing would be left without them, so that no command is advised."""
    s2, s1 = (config_of(name, release) for name in PARTS)
    data, options = tmp_path / "data", dataclasses.replace(QUIET, limit=1)
    build(changed, data, s2, options, formats=FORMATS)
    lose_radar(changed)

    with pytest.raises(QuarantineError, match=r"1 of the 1 patch .* same patches\.$"):
        build(changed, data, s1, QUIET, formats=FORMATS)


def test_a_list_that_is_mended_goes(
    changed: Path, extracted: Path, release: Release, tmp_path: Path
) -> None:
    """The list of what lacked disappears with the build that lacks nothing."""
    lose_radar(changed)
    build_later(changed, tmp_path / "data", release, "v2-s2")
    with pytest.raises(QuarantineError):
        build_later(changed, tmp_path / "data", release, "v2-s1")
    build_later(extracted, tmp_path / "data", release, "v2-s1")

    assert [] == list((tmp_path / "data").glob("drop.*"))


def test_a_conversion_makes_the_pair(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Each part is made of its store, and the parts of one directory fit."""
    first = next(iter(make_patches()))
    for name in PARTS:
        convert(
            stores, config_of(name, release), FORMATS, QUIET, output=tmp_path / "all"
        )
    s2, s1 = (config_of(name, release) for name in PARTS)
    convert(stores, s2, FORMATS, QUIET, output=tmp_path / "less", drop=[first])

    assert hash_manifests(stores) == hash_manifests(tmp_path / "all")
    with pytest.raises(OptionError, match=f"1 are in one alone, {first}"):
        convert(stores, s1, FORMATS, QUIET, output=tmp_path / "less")


def test_all_stores_of_a_pair_are_found(stores: Path, release: Release) -> None:
    """The search goes into the parts, wherever they are named."""
    found = find_stores(stores / "huggingface-v2/s1", [release])

    assert ["v2-s1"] == [store.config.name for store in found]


@pytest.mark.parametrize(
    ("kept", "wanted", "found"),
    [
        ("huggingface-v2", "v2-s1s2", "v2-s2, v2-s1"),
        ("bigearthnet/v2-s1s2", "v2-s2", "v2-s1s2"),
    ],
)
def test_both_sensors_and_each_are_not_made_of_one_another(
    kept: str, wanted: str, found: str, stores: Path, release: Release, tmp_path: Path
) -> None:
    """Who asks for it is told what is there, how to read it, and what to build."""
    shutil.copytree(stores / kept, tmp_path / kept)
    message = rf'but of {found}: .* config="v2-s1s2"; .* --config={wanted} --formats='

    with pytest.raises(StoreError, match=message):
        open_origin(tmp_path, config_of(wanted, release))
