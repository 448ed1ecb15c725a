from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.util.files import hash_file
from builder.build import build
from builder.jobs import find_targets
from builder.summary import summarize

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

QUIET = BuildOptions(include_excluded=True, quiet=True, workers=1)
ALL = ("tfrecord", "parquet", "arrow")


def list_files(data_dir: Path) -> set[str]:
    """The paths of all files of a data directory."""
    return {str(p.relative_to(data_dir)) for p in data_dir.rglob("*") if p.is_file()}


def test_all_formats_are_built_at_once(
    all_stores: Path, sample_patches: Patches
) -> None:
    """Each format has its folder, with shards, records of ours, and what readers need.

    Nothing else is there.
    """
    ours = ("manifest.json", "provenance.json", "statistics.json", "patches.parquet")
    splits = ("train", "test", "excluded")
    tfds = "bigearthnet/s2/2.0.0"
    expected = {
        "patches.parquet",
        *(f"{f}/{name}" for f in (tfds, "huggingface", "arrow") for name in ours),
        *(f"{tfds}/bigearthnet-{s}.tfrecord-00000-of-00001" for s in splits),
        *(f"{tfds}/{n}.json" for n in ("dataset_info", "features")),
        *(
            f"{tfds}/{n}.labels.txt"
            for n in ("country", "season", "labels", "labels_19")
        ),
        *(f"huggingface/s2/{s}-00000-of-00001.parquet" for s in splits),
        "huggingface/README.md",
        "huggingface/croissant.json",
        *(
            f"huggingface/pictures/{patch_id}{kind}.jpg"
            for patch_id in sample_patches
            for kind in ("", "_false_color")
        ),
        "arrow/dataset_dict.json",
        *(f"arrow/{s}/data-00000-of-00001.arrow" for s in splits),
        *(f"arrow/{s}/{n}.json" for s in splits for n in ("dataset_info", "state")),
    }

    assert expected == list_files(all_stores)


def test_a_format_is_the_same_alone(
    all_stores: Path, sample_folder: Path, tmp_path: Path
) -> None:
    """A store does not depend on which formats were built beside it."""
    for form in ALL:
        build(
            sample_folder,
            tmp_path / form,
            S2,
            QUIET,
            formats=[form],
        )
        (folder,) = find_targets(Path(), S2, [form]).values()
        names = list_files(tmp_path / form) - {f"{folder}/provenance.json"}

        assert len(names) > 7
        assert {name for name in list_files(all_stores) if name in names} == names
        for name in names:
            assert (all_stores / name).read_bytes() == (
                tmp_path / form / name
            ).read_bytes()


def test_the_manifests_agree(all_stores: Path) -> None:
    """All formats say the same of splits and patches, and each its own of its files."""
    targets = find_targets(all_stores, S2, ALL)
    manifests = {
        form: json.loads((folder / "manifest.json").read_text())
        for form, folder in targets.items()
    }

    assert list(ALL) == [manifest["format"] for manifest in manifests.values()]
    for form, manifest in manifests.items():
        for file in manifest["files"]:
            path = targets[form] / file["name"]
            content = path.read_bytes()

            assert file["bytes"] == len(content)
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert manifests["tfrecord"]["patches"] == manifest["patches"]
        assert {"train": 4, "test": 1, "excluded": 1} == {
            name: split["rows"] for name, split in manifest["splits"].items()
        }
        assert ("pillow" in manifest["writers"]) == (form != "tfrecord")


def test_two_builds_of_one_source_are_the_same(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Stores depend on the patches alone, but for provenance.json and its checksum.

    The card names that of the source.
    """
    contents = []
    for kind, shuffle, workers in (("tar.gz", None, 1), ("folder", 3, 2)):
        here = tmp_path / kind
        here.mkdir()
        source = write_archive(here, sample_patches, kind=kind, shuffle=shuffle)
        options = dataclasses.replace(QUIET, workers=workers)
        build(source, here / "data", S2, options, formats=ALL)
        contents.append(
            {
                path.relative_to(here): path.read_bytes()
                for path in sorted((here / "data").rglob("*"))
                if path.is_file() and path.name != "provenance.json"
            }
        )

    cards = [
        found.pop(Path("data", "huggingface", "README.md")).splitlines()
        for found in contents
    ]
    differing = [pair for pair in zip(*cards, strict=True) if len(set(pair)) > 1]

    assert contents[0] == contents[1]
    assert [(True, True)] == [
        tuple(line.startswith(b"- Source `s2`: ") for line in pair)
        for pair in differing
    ]
    assert 3 == len([path for path in contents[0] if path.name == "manifest.json"])
    assert 9 == len([path for path in contents[0] if "00000-of-00001" in path.name])


def test_the_random_split_has_stores_of_its_own(
    all_stores: Path, sample_folder: Path, tmp_path: Path
) -> None:
    """The stores of s2-random stand beside those of s2, whose names are plain."""
    build(
        sample_folder, tmp_path, get_config("s2-random", RELEASES), QUIET, formats=ALL
    )

    assert {
        "bigearthnet/s2-random/2.0.0",
        "huggingface-random",
        "arrow-random",
    } == {str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob("manifest.json")}
    assert set() == list_files(tmp_path) & list_files(all_stores)
    assert "huggingface-random/s2/test-00000-of-00001.parquet" in list_files(tmp_path)


def test_one_format_that_is_there_stops_all(
    sample_folder: Path, tmp_path: Path
) -> None:
    """A store in one of the formats is in the way, and no other format is begun."""
    (tmp_path / "arrow").mkdir()

    with pytest.raises(OptionError, match=r"arrow is there already\. Delete it"):
        build(sample_folder, tmp_path, S2, QUIET, formats=ALL)

    assert [tmp_path / "arrow"] == list(tmp_path.iterdir())


def hash_tree(folder: Path) -> dict[str, str]:
    """Path of each file → its sha256; without what tells of time and command."""
    return {
        str(path.relative_to(folder)): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


@pytest.mark.parametrize(
    "place",
    [
        "bigearthnet.util.files.os.fsync",
        "bigearthnet.util.files.write_all",
        "bigearthnet.formats.arrow.ArrowSink.write_table",
        "bigearthnet.store.dataset_dict.write_dataset_dict",
        "builder.card.write_card",
        "bigearthnet.engine.pipeline.write_descriptions",
    ],
)
def test_a_build_goes_on_after_a_late_error(
    place: str, sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step of whichever format fails, no store is there, and then all are."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        with pytest.raises(OSError, match="No space left"):
            build(
                sample_folder,
                tmp_path / "one",
                S2,
                QUIET,
                formats=ALL,
            )
    stores = [
        path.parent
        for path in tmp_path.rglob("manifest.json")
        if not path.relative_to(tmp_path / "one").parts[0].startswith("incomplete.")
    ]
    for name in ("one", "other"):
        build(
            sample_folder,
            tmp_path / name,
            S2,
            QUIET,
            formats=ALL,
        )

    assert [] == stores
    assert hash_tree(tmp_path / "one") == hash_tree(tmp_path / "other")


def test_an_error_amid_a_shard_is_the_only_one(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that was cut off writes nothing any more, and complains of nothing."""
    complaints: list[str] = []
    monkeypatch.setattr(
        "sys.unraisablehook", lambda event: complaints.append(str(event.exc_value))
    )

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("bigearthnet.store.statistics.BandSums.add_pixels", fail)
    with pytest.raises(OSError, match="Input/output error"):
        build(sample_folder, tmp_path, S2, QUIET, formats=ALL)
    gc.collect()

    assert [] == complaints


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_pictures_alone_are_not_stored_as_columns(
    form: str, sample_folder: Path, tmp_path: Path
) -> None:
    """The config s2-rgb is for TFRecord; the error says where its pictures are."""
    config = get_config("s2-rgb", RELEASES)
    match = f"s2-rgb cannot be built as {form}: expected tfrecord.*column preview"

    with pytest.raises(OptionError, match=match):
        build(sample_folder, tmp_path, config, QUIET, formats=("tfrecord", form))

    assert [] == list(tmp_path.iterdir())


def test_the_card_needs_yaml(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without PyYAML a Parquet build is refused before it begins."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(OptionError, match="yaml not installed: install the extra"):
        build(
            sample_folder,
            tmp_path,
            S2,
            QUIET,
            formats=("parquet",),
        )

    assert [] == list(tmp_path.iterdir())


def test_the_summary_says_what_each_format_takes(
    sample_folder: Path, tmp_path: Path
) -> None:
    """The table has every format; bands, preview and the rest have their sizes."""
    config = S2
    result = build(sample_folder, tmp_path, config, QUIET, formats=("arrow", "parquet"))
    targets = find_targets(tmp_path, config, ["arrow", "parquet"])
    text = summarize(result, targets)
    lines = text.splitlines()

    assert ["arrow"] * 3 + ["parquet"] * 3 == [line.split()[0] for line in lines[2:8]]
    assert f"6 stored in {tmp_path / 'arrow'}, {tmp_path / 'huggingface'}" in text
    (sizes,) = re.findall("bands ([0-9.]+) kB, preview ([0-9.]+) kB, metadata", text)
    assert 100 < float(sizes[0]) <= 112
    assert 4 < float(sizes[1]) < 6
