"""The command that makes stores of stores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine import keys
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.quarantine import read_quarantine
from builder.build import build
from builder.convert import convert, read_list
from builder.jobs import find_targets
from builder.verify import verify

S2 = get_config("s2", RELEASES)
ALL = ("tfrecord", "parquet", "arrow")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

QUIET = BuildOptions(quiet=True, workers=1)
ASIDE = BuildOptions(include_excluded=True, quiet=True, workers=1, max_bad=10)


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns path → content of all files but those that say how it was made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("provenance.json", "quarantine.jsonl")
    }


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    command = [sys.executable, "-m", "builder.convert", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_data_directory_gets_the_other_formats(
    all_stores: Path, tmp_path: Path
) -> None:
    """Nothing differs from a build of all formats at once, but for provenance."""
    shutil.copytree(all_stores / "huggingface", tmp_path / "huggingface")
    done = run(f"--data_dir={tmp_path}", "--formats=tfrecord,arrow", "--workers=2")

    assert done.returncode == 0, done.stderr
    assert "6 stored in" in done.stdout
    start = f"converts {tmp_path / 'huggingface'} to tfrecord, arrow in {tmp_path}, "
    assert done.stderr.startswith(f"{start}by 2 workers\n")
    assert f"next: python -m builder.verify --data_dir={tmp_path} " in done.stdout
    made = read_files(tmp_path)
    expected = read_files(all_stores)
    # The card names the checksum of the source, and the archive that it is.
    assert expected.keys() == made.keys()
    assert {n for n in made if made[n] != expected[n]} <= {"huggingface/README.md"}
    assert not any(check.num_differences for check in verify(tmp_path, quiet=True))


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("per_shard", [1, 2, 4000])
def test_dropped_patches_are_as_if_set_aside(
    form: str,
    per_shard: int,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All files are those of a build whose source has the same patches damaged."""
    monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", per_shard)
    dropped = sorted(fake_patches)[1:3]
    broken = {
        patch_id: {
            name: b"" if patch_id in dropped and name.endswith("B02.tif") else content
            for name, content in files.items()
        }
        for patch_id, files in fake_patches.items()
    }
    whole, part, made = tmp_path / "whole", tmp_path / "part", tmp_path / "made"
    build(write_archive(tmp_path, fake_patches), whole, S2, ASIDE, formats=[form])
    (tmp_path / "broken").mkdir()
    build(write_archive(tmp_path / "broken", broken), part, S2, ASIDE, formats=ALL)
    result = convert(whole, S2, ALL, QUIET, output=made, drop=dropped)

    expected, found = read_files(part), read_files(made)
    assert expected.keys() == found.keys()
    assert {n for n in found if found[n] != expected[n]} <= {"huggingface/README.md"}
    for folder in find_targets(made, S2, ALL).values():
        bad = read_quarantine(folder / "quarantine.jsonl")
        assert [b.patch_id for b in bad] == dropped
        assert {b.reason for b in bad} == {"dropped: it is on the list of --drop."}
    assert len(result.quarantine) == 2
    assert not any(check.num_differences for check in verify(made, quiet=True))


def test_lists_are_one_id_a_line(tmp_path: Path) -> None:
    """Empty lines are passed over; a list without ids, or none at all, is refused."""
    path = tmp_path / "list.csv"
    path.write_text("one\n\n two \r\n", encoding="utf-8")
    assert read_list(path) == ["one", "two"]
    path.write_text("\n")
    with pytest.raises(OptionError, match="is empty: expected patch ids"):
        read_list(path)
    with pytest.raises(OptionError, match="cannot be read"):
        read_list(tmp_path / "missing")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--formats=arrow"], "arrow is there already"),
        (["--formats=arrow", "--config=s2-random"], "no store of config s2-random"),
        (["--formats=csv"], "csv"),
        (["--formats=arrow", "--drop={list}"], "Name another data directory"),
        (
            ["--formats=arrow", "--drop={list}", "--output={out}"],
            "'S2A_X' is no patch of the release",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(
    arguments: list[str], text: str, all_stores: Path, tmp_path: Path
) -> None:
    """The error names the reason, and nothing is left."""
    (tmp_path / "list").write_text("S2A_X\n")
    out = tmp_path / "out"
    arguments = [a.format(list=tmp_path / "list", out=out) for a in arguments]
    done = run(f"--data_dir={all_stores}", *arguments)

    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_store_is_not_written_into(all_stores: Path, tmp_path: Path) -> None:
    """The folder of a store is read; what is made of it goes elsewhere."""
    store = all_stores / "arrow"
    with pytest.raises(OptionError, match="with --output"):
        convert(store, S2, ["parquet"], QUIET)
    convert(store, S2, ["parquet"], QUIET, output=tmp_path)
    manifest = (tmp_path / "huggingface/manifest.json").read_text()
    expected = (all_stores / "huggingface/manifest.json").read_text()
    assert json.loads(manifest) == json.loads(expected)


def test_synthetic_patches_are_counted_on(
    thousand_patches: Path, tmp_path: Path
) -> None:
    """Those that are dropped count no more; where some are real, none is dropped."""
    store = shutil.copytree(thousand_patches / "arrow", tmp_path / "store")
    table = pq.read_table(store / "patches.parquet")["patch_id"].to_pylist()
    drop = table[:2]
    result = convert(store, S2, ["arrow"], QUIET, output=tmp_path / "a", drop=drop)
    assert result.num_synthetic == len(table) - 2
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["patches"]["synthetic"] -= 1
    (store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OptionError, match="mixes 999 synthetic patches with real"):
        convert(store, S2, ["arrow"], QUIET, output=tmp_path / "b", drop=drop)


def test_dropping_all_is_refused(
    all_stores: Path, sample_patches: Patches, tmp_path: Path
) -> None:
    """A store without patches is no store; nor is a list that drops nothing meant."""
    with pytest.raises(OptionError, match="no patch to store"):
        convert(
            all_stores, S2, ["arrow"], QUIET, output=tmp_path, drop=[*sample_patches]
        )
    other = ["S2A_MSIL2A_20170613T101031_0_46"]
    with pytest.raises(OptionError, match="none of the 1 patches is in"):
        convert(all_stores, S2, ["arrow"], QUIET, output=tmp_path, drop=other)
    assert not list(tmp_path.iterdir())
