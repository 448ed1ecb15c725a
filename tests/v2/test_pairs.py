"""Tables of both sensors are a pair: the same patches, in the same order, or none."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from bigearthnet.download.mirror import mirror
from bigearthnet.engine import stage_one, workers
from bigearthnet.engine.beside import find_beside
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import OptionError, QuarantineError, StoreError
from bigearthnet.release import V2, Release
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.store import read_store
from bigearthnet.store.pairs import check_pairs
from bigearthnet.store.remote import open_anywhere
from bigearthnet.store.search import find_stores, open_store
from builder.build import build, find_targets
from builder.convert import convert, read_list
from builder.publish import publish
from builder.summary import summarize
from builder.verify import verify
from tests.hub import Hub
from tests.hub.published import URL, publish_folder
from tests.v2.conftest import QUIET
from tests.v2.made import make_patches
from tests.v2.test_building import config_of, cut_radar, lose_radar

FORMATS = ("parquet", "arrow")
FOLDERS = ("huggingface-v2", "arrow-v2")
PARTS = ("v2-s2", "v2-s1")


def hash_files(data_dir: Path) -> dict[str, str]:
    """Path → sha256 of what a pair consists of, but for time and command."""
    return {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in FOLDERS
        for path in sorted((data_dir / folder).rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def hash_manifests(data_dir: Path) -> dict[str, str]:
    """The same of the manifests, which have the checksum of each shard."""
    files = hash_files(data_dir).items()
    return {path: sha256 for path, sha256 in files if path.endswith("manifest.json")}


@pytest.fixture
def both(release: Release) -> Config:
    """The configuration of both sensors."""
    return config_of("v2-s1s2", release)


def build_later(
    source: Path, data_dir: Path, release: Release, *names: str, **changes: Any
) -> None:
    """Builds tables of configurations one after the other."""
    options = dataclasses.replace(QUIET, **changes)
    for name in names:
        build(source, data_dir, config_of(name, release), options, formats=FORMATS)


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
    """Whatever else was asked for, the second one has the patches of the first."""
    build_later(downloads, tmp_path, release, names[0], include_excluded=False)
    build_later(downloads, tmp_path, release, names[1], limit=1)
    first, second = (open_store(tmp_path, config_of(n, release)) for n in names)

    check_pairs((first, second), first.splits)
    assert first.manifest["patches"] == second.manifest["patches"]
    assert ("train", "validation", "test") == second.splits


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


def test_the_card_above_loads_both_parts(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Unmodified `datasets` finds all views there, and those of a part in the part."""
    import datasets

    top, cache = stores / "huggingface-v2", str(tmp_path)
    names = datasets.get_dataset_config_names(str(top))
    loaded = {
        name: datasets.load_dataset(str(top), name, split="train", cache_dir=cache)
        for name in ("v2-s2-19", "v2-s1")
    }
    radar = loaded["v2-s1"].select_columns(["bands_s1"])
    pair = datasets.concatenate_datasets([loaded["v2-s2-19"], radar], axis=1)

    assert ["v2-s2-19", "v2-10m", "preview", "v2-s1", "patches"] == names
    assert loaded["v2-s2-19"]["patch_id"] == loaded["v2-s1"]["patch_id"]
    for row in pair.with_format("numpy"):
        made = make_patches()[str(row["patch_id"])].groups
        for group in ("bands_s1", "bands_10m", "reference_map"):
            assert (made[group] == row[group]).all()
    for part, view in (("s2", "v2-10m"), ("s1", "v2-s1")):
        assert view in datasets.get_dataset_config_names(str(top / part))
    table = datasets.load_dataset(str(top), "patches", cache_dir=cache)["patches"]
    assert len(make_patches()) == len(table)


def test_programs_of_the_card_run(stores: Path, tmp_path: Path) -> None:
    """What the card above the parts tells people to run, runs."""
    top = stores / "huggingface-v2"
    blocks = (top / "README.md").read_text().split("```python\n")[1:]

    assert 2 == len(blocks)
    for block in blocks:
        program = block.partition("```")[0].replace('"..."', f'"{top}"')
        environment = {"HF_DATASETS_CACHE": str(tmp_path), "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        assert "patch_id" in done.stdout or "S2" in done.stdout


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

    with pytest.raises(QuarantineError, match=r"1 of the 1 patches .* same patches\.$"):
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


def make_unequal(stores: Path, release: Release, data_dir: Path) -> None:
    """A pair whose parts have other patches."""
    shutil.copytree(stores / "huggingface-v2", data_dir / "huggingface-v2")
    shutil.rmtree(data_dir / "huggingface-v2/s1")
    first = next(iter(make_patches()))
    s1 = config_of("v2-s1", release)
    convert(
        stores, s1, ["parquet"], QUIET, output=data_dir.with_name("o"), drop=[first]
    )
    (data_dir.with_name("o") / "huggingface-v2/s1").rename(
        data_dir / "huggingface-v2/s1"
    )


def test_parts_under_the_names_of_each_other_are_found(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Readers would not find them: neither does verification, nor a build beside."""
    for name, part in (("s1", "s2"), ("s2", "s1")):
        shutil.copytree(stores / f"arrow-v2/{part}", tmp_path / f"arrow-v2/{name}")

    message = r"arrow-v2/s1 is a store of config v2-s2 .*: move it to .*arrow-v2/s2,"
    with pytest.raises(StoreError, match=message):
        find_beside(tmp_path, config_of("v2-s2", release))
    found = verify(tmp_path, releases=[release], quick=True, quiet=True)
    lines = [line for result in found for line in result.shown]
    assert any(re.search(message, line) for line in lines)


def test_parts_that_differ_are_found_and_not_published(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Verification says so, and nothing is published."""
    data_dir = tmp_path / "data"
    make_unequal(stores, release, data_dir)
    results = verify(data_dir, releases=[release], quick=True, quiet=True)
    (found,) = [r.shown for r in results if r.check == "pair"]
    assert "are no pair" in found[0]
    with pytest.raises(Exception, match="damaged, or not as it was built"):
        publish(
            data_dir,
            f"file://{tmp_path}/to",
            config="v2-s1s2",
            allow=["incomplete", "quarantined", "synthetic", "unverified"],
            releases=[release],
            quiet=True,
        )


def change_card(data_dir: Path) -> str:
    """Lets the card above the parts name other files."""
    path = data_dir / "huggingface-v2/README.md"
    path.write_text(path.read_text().replace("s1/v2-s1/train", "s2/v2-s1/train"))
    return "huggingface-v2/README.md: v2-s1 is of another build"


def remove_card(data_dir: Path) -> str:
    """Deletes it."""
    (data_dir / "huggingface-v2/README.md").unlink()
    return "huggingface-v2/README.md is missing"


def change_ids(data_dir: Path) -> str:
    """Gives a manifest the checksum of other ids."""
    path = data_dir / "huggingface-v2/s1/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"]["ids_sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    return f"train: expected ids of sha256 {'0' * 64}"


@pytest.mark.parametrize("change", [change_card, remove_card, change_ids])
def test_verification_reads_what_makes_a_pair(
    change: Callable[[Path], str], stores: Path, release: Release, tmp_path: Path
) -> None:
    """The card above the parts, and the checksums of ids, are compared."""
    shutil.copytree(stores / "huggingface-v2", tmp_path / "huggingface-v2")
    message = change(tmp_path)
    results = verify(tmp_path, releases=[release], quiet=True)

    assert any(message in line for result in results for line in result.shown)


def test_a_pair_is_published_with_its_card(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Parts lie below the card, as in a data directory, and are loaded by it."""
    import datasets

    to, options = (
        tmp_path / "to",
        {"allow": ["incomplete", "synthetic"], "releases": [release]},
    )
    publish(stores, f"file://{to}", config="v2-s1s2", quiet=True, **options)  # type: ignore[arg-type]
    names = {path.name for path in to.iterdir()}
    loaded = datasets.load_dataset(
        str(to), "v2-s1", split="test", cache_dir=str(tmp_path / "cache")
    )

    assert {"README.md", "s1", "s2"} == names
    assert (stores / "huggingface-v2/README.md").read_bytes() == (
        to / "README.md"
    ).read_bytes()
    assert [m.split for m in make_patches().values()].count("test") == len(loaded)
    assert PARTS[::-1] == tuple(
        read_store(path, [release]).config.name for path in sorted(to.glob("s?"))
    )


def test_a_published_pair_is_mirrored_and_read_in_place(
    stores: Path, release: Release, both: Config, hub: Hub, tmp_path: Path
) -> None:
    """A configuration says which folder is meant; both parts come with their card."""
    from huggingface_hub import HfFileSystem

    HfFileSystem.clear_instance_cache()  # it keeps the address of another hub
    folder, data_dir = tmp_path / "published", tmp_path / "data"
    shutil.copytree(stores / "huggingface-v2", folder)
    shutil.copytree(stores / "arrow-v2", folder / "arrow-v2")
    publish_folder(hub, folder)
    done = mirror(URL, data_dir, both, formats=FORMATS, quiet=True)
    results = verify(data_dir, releases=[release], quick=True, quiet=True)

    assert ["s2", "s1", "s2", "s1"] == [store.folder.name for store in done]
    assert hash_files(stores) == hash_files(data_dir)
    assert [] == [line for result in results for line in result.shown]
    for url in (URL, f"{URL}/s1"):
        store = open_anywhere(url, config_of("v2-s1", release))
        assert open_store(stores, store.config, "parquet").manifest == store.manifest
    HfFileSystem.clear_instance_cache()


def test_a_pair_without_one_part_is_not_published(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """The part that is missing is named; the other can be published alone."""
    shutil.copytree(stores / "huggingface-v2/s2", tmp_path / "d/huggingface-v2/s2")
    options: dict[str, Any] = {
        "releases": [release],
        "allow": ["incomplete", "synthetic"],
    }
    with pytest.raises(OptionError, match="no parquet store of v2-s1: build it"):
        publish(tmp_path / "d", f"file://{tmp_path}/a", config="v2-s1s2", **options)
    publish(tmp_path / "d", f"file://{tmp_path}/a", quiet=True, **options)

    assert "v2-s1" not in (tmp_path / "a/README.md").read_text().split("---")[1]


_KILLED = """
import os, signal, sys
from pathlib import Path
from bigearthnet.engine import stage_one
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import V2
from bigearthnet.schema.configs import get_config
from builder.build import build

decode, seen = stage_one.decode_patch, []

def kill(raw, archive, nomenclature):
    seen.append(archive.name)
    if seen.count(sys.argv[3]) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(raw, archive, nomenclature)

stage_one.decode_patch = kill
options = BuildOptions(include_excluded=True, quiet=True, workers=1)
config, formats = get_config("v2-s1s2", [V2]), ("parquet", "arrow")
build(Path(sys.argv[1]), Path(sys.argv[2]), config, options, formats=formats)
"""


def count_decoded(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[str, int], None] = lambda *_: None
) -> Counter[str]:
    """Counts the patches of each archive that are decoded in this process."""
    seen: Counter[str] = Counter()
    decode = stage_one.decode_patch

    def count(raw: Any, archive: Any, nomenclature: Any) -> Any:
        seen[archive.name] += 1
        end(archive.name, seen[archive.name])
        return decode(raw, archive, nomenclature)

    monkeypatch.setattr(stage_one, "decode_patch", count)
    return seen


@pytest.mark.parametrize("lane", ["s2", "s1", "maps"])
def test_a_build_killed_in_any_lane_goes_on(
    lane: str,
    stores: Path,
    extracted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After kill -9, lanes that were read to their end are not read again."""
    arguments = [str(extracted), str(tmp_path), lane]
    program = [sys.executable, "-c", _KILLED, *arguments]
    assert -signal.SIGKILL == subprocess.run(program, check=False).returncode

    seen = count_decoded(monkeypatch)
    build(extracted, tmp_path, get_config("v2-s1s2", [V2]), QUIET, formats=FORMATS)
    lanes = [archive.name for archive in V2.archives]
    count = len(make_patches())
    assert {name: count for name in lanes[lanes.index(lane) :]} == seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def test_a_full_disk_in_the_second_lane_leaves_the_first(
    stores: Path,
    extracted: Path,
    both: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ENOSPC ends the build; the next reads the second archive, not the first."""
    append = SpoolWriter.append

    def fail(self: SpoolWriter, row: int, patch: Any) -> None:
        if seen["s1"] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, row, patch)

    seen = count_decoded(monkeypatch)
    with monkeypatch.context() as full:
        full.setattr(SpoolWriter, "append", fail)
        with pytest.raises(OSError, match="No space left"):
            build(extracted, tmp_path, both, QUIET, formats=FORMATS)
    seen.clear()
    build(extracted, tmp_path, both, QUIET, formats=FORMATS)

    assert {"s1": len(make_patches()), "maps": len(make_patches())} == seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def begin_radar(
    source: Path, data_dir: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupts a build of v2-s1 when it writes the first shard."""

    def end(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workers, "write_shard", end)
        with pytest.raises(KeyboardInterrupt):
            build_later(source, data_dir, release, "v2-s1")


def test_a_part_that_was_interrupted_goes_on_beside_the_other(
    stores: Path,
    extracted: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S1 that is built later, and interrupted, ends with the same bytes."""
    build_later(extracted, tmp_path, release, "v2-s2")
    begin_radar(extracted, tmp_path, release, monkeypatch)
    seen = count_decoded(monkeypatch)
    build_later(extracted, tmp_path, release, "v2-s1")

    assert not seen
    assert hash_manifests(stores) == hash_manifests(tmp_path)


def test_a_store_that_is_replaced_beside_is_noticed(
    stores: Path,
    extracted: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An interrupted part is not resumed beside another store than it was begun."""
    build_later(extracted, tmp_path, release, "v2-s2")
    begin_radar(extracted, tmp_path, release, monkeypatch)
    for folder in FOLDERS:
        shutil.rmtree(tmp_path / folder)
    build_later(extracted, tmp_path, release, "v2-s2", include_excluded=False)

    with pytest.raises(OptionError, match=r"something else .*beside: was"):
        build_later(extracted, tmp_path, release, "v2-s1")


def test_all_stores_of_a_pair_are_found(stores: Path, release: Release) -> None:
    """The search goes into the parts, wherever they are named."""
    found = find_stores(stores / "huggingface-v2/s1", [release])

    assert ["v2-s1"] == [store.config.name for store in found]
