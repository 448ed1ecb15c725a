from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ChecksumError, OptionError, PatchError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.schema.configs import Config, get_config
from builder.build import build
from builder.jobs import find_targets
from builder.summary import summarize

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

QUIET = BuildOptions(include_excluded=True, quiet=True, workers=1)
ALL = ("tfrecord", "parquet", "arrow")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "builder.build", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def store_folder(data_dir: Path, config: Config) -> Path:
    """The folder of a configuration's TFRecord store."""
    return FORMATS["tfrecord"].store_folder(data_dir, config)


def test_a_build_makes_a_complete_directory(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Shards, metadata of TFDS and of ours, and the table of patches are there."""
    config = S2
    build(sample_folder, tmp_path, config, QUIET)
    folder = store_folder(tmp_path, config)
    names = {path.name for path in folder.iterdir()}

    assert tmp_path / "bigearthnet" / "s2" / "2.0.0" == folder
    assert names >= {
        "bigearthnet-train.tfrecord-00000-of-00001",
        "bigearthnet-test.tfrecord-00000-of-00001",
        "bigearthnet-excluded.tfrecord-00000-of-00001",
        "dataset_info.json",
        "features.json",
        "manifest.json",
        "provenance.json",
        "statistics.json",
        "patches.parquet",
    }
    assert [folder] == list(folder.parent.iterdir())
    assert {"bigearthnet", "patches.parquet"} == {p.name for p in tmp_path.iterdir()}


def test_the_table_has_every_patch_that_was_read(
    sample_folder: Path, sample_patches: Patches, tmp_path: Path
) -> None:
    """patches.parquet says labels and split of stored and excluded patches."""
    build(
        sample_folder,
        tmp_path,
        S2,
        BuildOptions(quiet=True, workers=1),
    )
    table = pq.read_table(tmp_path / "patches.parquet").to_pylist()
    expected_labels = {
        patch_id: sorted(
            CLC43.ids[label]
            for label in json.loads(files[f"{patch_id}_labels_metadata.json"])["labels"]
        )
        for patch_id, files in sample_patches.items()
    }

    assert expected_labels == {row["patch_id"]: row["labels"] for row in table}
    assert sorted(sample_patches) == [row["patch_id"] for row in table]
    assert [("S2B_MSIL2A_20180204T94161_57_38", "excluded")] == [
        (row["patch_id"], row["split"]) for row in table if not row["stored"]
    ]


def test_the_random_split_has_a_table_of_its_own(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Two split schemes in one directory do not overwrite each other's table."""
    for config in ("s2", "s2-random"):
        build(sample_folder, tmp_path, get_config(config, RELEASES), QUIET)

    splits = [
        pq.read_table(tmp_path / name)["split"].to_pylist()
        for name in ("patches.parquet", "patches-random.parquet")
    ]
    assert [4, 3] == [column.count("train") for column in splits]


def test_what_is_there_is_not_built_again(sample_folder: Path, tmp_path: Path) -> None:
    """A second build into the same place is refused with the way out."""
    build(sample_folder, tmp_path, S2, QUIET)

    with pytest.raises(OptionError, match=r"is there already\. Delete it"):
        build(sample_folder, tmp_path, S2, QUIET)


def test_a_failed_build_leaves_nothing(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """After an error no folder and no table is left that the build made."""
    patch_id, files = next(iter(fake_patches.items()))
    damaged = {**files, f"{patch_id}_B12.tif": b"nothing"}
    source = write_archive(tmp_path, {**fake_patches, patch_id: damaged})

    with pytest.raises(PatchError, match=f"{patch_id}_B12.tif"):
        build(source, tmp_path / "data", S2, QUIET, formats=ALL)

    assert not (tmp_path / "data").exists()


def test_a_file_named_like_the_release_must_be_it(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The official name promises the official bytes."""
    source = write_archive(tmp_path, fake_patches)
    source = source.rename(tmp_path / "BigEarthNet-S2-v1.0.tar.gz")

    with pytest.raises(ChecksumError, match="not the published file"):
        build(source, tmp_path / "data", S2, QUIET)

    assert not (tmp_path / "data").exists()


def test_the_command_prints_what_it_did(sample_folder: Path, tmp_path: Path) -> None:
    """The summary counts patches by split and names what was left out."""
    done = run(f"--source={sample_folder}", f"--data_dir={tmp_path}")

    assert 0 == done.returncode, done.stderr
    assert "train" in done.stdout
    assert "6 of the 590,326 patches of v1.0 read, 5 stored" in done.stdout
    assert "without a patch, and so left out: validation" in done.stdout
    assert "spool: 6 patches" in done.stderr


def test_a_source_that_was_meant_is_named(sample_folder: Path, tmp_path: Path) -> None:
    """A misspelt source leads to the source; the parent of its parent is read."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "ben").symlink_to(sample_folder)
    done = run(f"--source={tmp_path / 'a/ben'}", f"--data_dir={tmp_path / 'data'}")

    assert 1 == done.returncode
    assert f"Did you mean {tmp_path / 'a' / 'b' / 'ben'}?" in done.stderr
    assert not (tmp_path / "data").exists()
    done = run(f"--source={tmp_path / 'a'}", f"--data_dir={tmp_path / 'data'}")
    assert 0 == done.returncode
    assert f"from {tmp_path / 'a' / 'b' / 'ben'}: tfrecord" in done.stdout


def test_a_store_is_no_data_directory(
    sample_folder: Path, all_stores: Path, tmp_path: Path
) -> None:
    """Nothing is built into the folder of a store."""
    shutil.copytree(all_stores / "arrow", store := tmp_path / "my-ben")
    before = sorted(store.rglob("*"))

    with pytest.raises(OptionError, match=r"lies in the store .*my-ben"):
        build(sample_folder, store, S2, BuildOptions(quiet=True))

    assert before == sorted(store.rglob("*"))


def test_errors_are_one_line(tmp_path: Path) -> None:
    """The command ends with status 1 and our message, without a traceback."""
    done = run(f"--source={tmp_path / 'nothing.tar.gz'}", f"--data_dir={tmp_path}")

    assert 1 == done.returncode
    assert done.stderr.startswith("error: no source at")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "match"),
    [
        ("--formats=lmdb", "expected one of tfrecord, parquet, arrow, got 'lmdb'"),
        ("--formats=arrow,", "unknown format: expected one of tfrecord, "),
        ("--formats=", "no format: expected some of tfrecord, parquet, arrow"),
        ("--countries=Atlantis", "unknown country"),
        ("--limit=0", "limit: expected at least 1, got 0"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_wrong_flags_are_refused(
    flag: str, match: str, sample_folder: Path, tmp_path: Path
) -> None:
    """A value without a meaning is an error that names it."""
    done = run(f"--source={sample_folder}", f"--data_dir={tmp_path}", flag)

    assert 1 == done.returncode
    assert match in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_help_shows_an_example() -> None:
    """--help explains the command by example."""
    done = run("--help")

    assert "python -m builder.build --source=" in done.stdout
    assert "--include_excluded" in done.stdout.replace("[no]", "")


def test_the_summary_counts_shards(sample_folder: Path, tmp_path: Path) -> None:
    """The table has a line for each split that has patches."""
    config = S2
    result = build(sample_folder, tmp_path, config, QUIET)
    targets = find_targets(tmp_path, config, ["tfrecord"])
    lines = summarize(result, targets).splitlines()

    assert ["train", "test", "excluded"] == [line.split()[1] for line in lines[2:5]]
    assert ["tfrecord", "train", "4", "1", "0.6"] == lines[2].split()


def test_the_summary_says_what_is_not_stored(
    sample_folder: Path, tmp_path: Path
) -> None:
    """One real patch is excluded, and of the other five two are of other lands."""
    options = BuildOptions(countries=("Ireland", "Portugal"), quiet=True, workers=1)
    result = build(sample_folder, tmp_path, S2, options)
    text = summarize(result, find_targets(tmp_path, S2, ["tfrecord"]))

    assert "not stored, of excluded: 1 (--include_excluded stores them)" in text
    assert "not stored, since --countries or --limit leaves them out: 2" in text


def test_a_tilde_is_the_home_folder(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--data_dir=~/data, which shells leave as it is, is in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run(f"--source={sample_folder}", "--data_dir=~/data")

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "data" / "patches.parquet").is_file()


def test_a_folder_named_tilde_is_written_to(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that the library is given is taken literally, to the end of the build."""
    monkeypatch.chdir(tmp_path)
    build(sample_folder, Path("~"), S2, QUIET, formats=ALL)

    assert (tmp_path / "~" / "patches.parquet").is_file()


def test_leftovers_of_a_killed_build_are_removed(
    sample_folder: Path, tmp_path: Path
) -> None:
    """What a `tfds.load` that was killed left behind is deleted, and nothing else."""
    folder = tmp_path / "bigearthnet" / "s2"
    for name in ("incomplete.x_2.0.0", "incomplete.x_1.0.0", "other_2.0.0"):
        (folder / name).mkdir(parents=True)
        (folder / name / "shard").touch()
    build(sample_folder, tmp_path, S2, QUIET)

    assert {"2.0.0", "incomplete.x_1.0.0", "other_2.0.0"} == {
        path.name for path in folder.iterdir()
    }


def test_a_limit_says_that_the_checksum_is_not_checked(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A source that was not read to its end was not hashed, and the summary says so."""
    source = write_archive(tmp_path, sample_patches)
    options = BuildOptions(limit=1, quiet=True, workers=1)
    result = build(source, tmp_path / "data", S2, options)

    assert "its checksum is not checked" in summarize(result, {"tfrecord": tmp_path})


def test_litter_is_shown(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The summary says how much other programs left in the source, and of what kind."""
    litter = {".DS_Store": b"", "._a": b"x", "._b": b"x"}
    patches = {i: {**files, **litter} for i, files in sample_patches.items()}
    source = write_archive(tmp_path, patches, kind="folder")
    result = build(source, tmp_path / "data", S2, QUIET)

    assert "was not read: 12 ._*, 6 .DS_Store" in summarize(
        result, {"tfrecord": tmp_path}
    )
    assert 6 == result.read.sum()


def test_synthetic_patches_are_called_so(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Summary and manifest count the patches that say that they are synthetic."""
    patch_id, files = next(iter(fake_patches.items()))
    name = f"{patch_id}_labels_metadata.json"
    synthetic = {**files, name: files[name].replace(b"FAKE", b"SYNTHETIC")}
    source = write_archive(tmp_path, {**fake_patches, patch_id: synthetic})
    config = S2
    result = build(source, tmp_path / "data", config, QUIET)
    folder = store_folder(tmp_path / "data", config)

    assert "1 of them are SYNTHETIC" in summarize(result, {"tfrecord": folder})
    manifest = json.loads((folder / "manifest.json").read_text())

    assert 1 == manifest["patches"]["synthetic"]


def test_doubtful_places_are_told(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Summary and provenance say how many patches lie a little off, and how far."""
    patch_id = "S2A_MSIL2A_20170613T101031_87_48"
    files = dict(sample_patches[patch_id])
    place, moved = (struct.pack("<d", easting) for easting in (404_400.0, 404_403.0))
    name = f"{patch_id}_B05.tif"
    files[name] = files[name].replace(place, moved)
    source = write_archive(tmp_path, {**sample_patches, patch_id: files})
    result = build(source, tmp_path / "data", S2, QUIET)
    folder = store_folder(tmp_path / "data", S2)
    provenance = json.loads((folder / "provenance.json").read_text())

    assert "lie up to 3 m from" in summarize(result, {"tfrecord": folder})
    assert {"shifted": 1, "max_shift_m": 3.0, "unplaced": 0} == provenance[
        "source_places"
    ]


@pytest.mark.parametrize("data_dir", [".", "new", "../../link/new"])
def test_a_data_directory_in_the_source_is_refused(
    data_dir: str, sample_folder: Path, tmp_path: Path
) -> None:
    """Nothing is built among the patches that are read, and nothing is left there."""
    source = tmp_path / "parent" / sample_folder.name
    shutil.copytree(sample_folder, source)
    (tmp_path / "link").symlink_to(source)
    before = sorted(tmp_path.rglob("*"))

    for given in (source, source.parent, tmp_path / "link"):
        with pytest.raises(OptionError, match=r"^data_dir: .* among the patches in /"):
            build(given, source / data_dir, S2, QUIET)
    assert before == sorted(tmp_path.rglob("*"))


@pytest.mark.parametrize("argument", ["source", "data_dir"])
def test_urls_of_other_places_are_refused(
    argument: str,
    sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bucket does not become a local folder, also after pathlib had it."""
    monkeypatch.chdir(tmp_path)
    paths = {"source": sample_folder, "data_dir": Path("data")}

    with pytest.raises(OptionError, match=rf"^{argument}: expected a path on this"):
        build(**{**paths, argument: Path("s3://b/x")}, config=S2, options=QUIET)
    assert [] == list(tmp_path.iterdir())
