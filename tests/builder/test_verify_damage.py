"""Whatever is damaged is one difference; what depends on it is skipped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.util.files import hash_file
from builder.findings import CheckResult, summarize
from builder.verify import verify

S2 = get_config("s2", RELEASES)


@pytest.fixture
def data_dir(many_shards: Path, tmp_path: Path) -> Path:
    """A copy of stores of six patches in six shards of each format."""
    return Path(shutil.copytree(many_shards, tmp_path / "data"))


def flip(path: Path) -> None:
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def find_folder(data_dir: Path, form: str) -> Path:
    """The folder of a store."""
    return FORMATS[form].store_folder(data_dir, S2)


def find_shard(data_dir: Path, form: str, split: str) -> Path:
    """The first shard of a split."""
    folder = find_folder(data_dir, form)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return folder / next(f["name"] for f in files if f["split"] == split)


def run(data_dir: Path, **options: Any) -> tuple[list[CheckResult], list[str]]:
    """Runs the checks and returns their results and all differences."""
    results = verify(data_dir, quiet=True, **options)
    return results, [line for result in results for line in result.shown]


def skipped(results: list[CheckResult]) -> dict[tuple[str, str], int]:
    """Returns format and check → how many were skipped, where any were."""
    return {(r.format, r.check): r.skipped for r in results if r.skipped}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("how", ["flipped", "short", "missing"])
def test_a_damaged_shard_is_one_difference(
    how: str, form: str, data_dir: Path, many_shards: Path
) -> None:
    """Records, counts, statistics, tables and other stores invent no more of them."""
    path = find_shard(data_dir, form, "train")
    if how == "flipped":
        flip(path)
    elif how == "short":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    source = many_shards.parent / "archive.tar.gz"
    results, lines = run(data_dir, sources={"s2": source})
    other = "parquet" if form == "tfrecord" else "tfrecord"
    expected = {
        (form, check): 1 for check in ("records", "splits", "statistics", "patch table")
    }
    expected[form, f"same as {other}"] = 1
    if form == "parquet":
        expected[form, "descriptions"] = 2

    assert 1 == len(lines)
    assert path.relative_to(find_folder(data_dir, form)).as_posix() in lines[0]
    assert expected == skipped(results)
    # The other stores lack nothing, and the source is compared with one of them.
    assert [6] == [r.checked for r in results if r.check == f"source {source.name}"]


def test_what_no_store_holds_whole_is_skipped(
    data_dir: Path, many_shards: Path
) -> None:
    """The one store that there is cannot be compared where it is damaged."""
    for form in ("parquet", "tfrecord"):
        shutil.rmtree(find_folder(data_dir, form))
    flip(find_shard(data_dir, "arrow", "test"))
    source = many_shards.parent / "archive.tar.gz"
    results, lines = run(data_dir, sources={"s2": source})

    assert 1 == len(lines)
    assert 1 == skipped(results)["arrow", "source archive.tar.gz"]
    assert [5] == [r.checked for r in results if r.check.startswith("source")]


def test_what_may_be_in_a_damaged_shard_is_not_missing(data_dir: Path) -> None:
    """Of the official lists, what the table of patches calls stored is not known."""
    for form in FORMATS:
        flip(find_shard(data_dir, form, "test"))
    results = verify(data_dir, complete=True, quiet=True)
    (lists,) = [r for r in results if r.check == "official lists"]

    assert 1 == lists.skipped
    assert 519_284 == lists.checked + lists.skipped
    assert 519_284 - 5 == lists.num_differences

    for form in FORMATS:
        (find_folder(data_dir, form) / "patches.parquet").unlink()
    results = verify(data_dir, complete=True, quiet=True)
    (lists,) = [r for r in results if r.check == "official lists"]

    # But for the other patch of test; now any other may be in the shard.
    assert 125_866 - 1 == lists.skipped


def test_a_shard_that_cannot_be_read_is_one_difference(data_dir: Path) -> None:
    """So it is if its checksum is that of the manifest, and the writer was at fault."""
    path = find_shard(data_dir, "tfrecord", "train")
    flip(path)
    manifest = path.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    for file in content["files"]:
        if file["name"] == path.name:
            file["sha256"] = hash_file(path)
    manifest.write_text(json.dumps(content))
    results, (line,) = run(data_dir)

    assert f"{path}: record 0" in line
    assert 1 == skipped(results)["parquet", "same as tfrecord"]


def test_two_damaged_stores_are_two_differences(data_dir: Path) -> None:
    """Stores that lost different shards are compared where both have theirs."""
    flip(find_shard(data_dir, "parquet", "train"))
    flip(find_shard(data_dir, "arrow", "test"))
    results, lines = run(data_dir)

    assert 2 == len(lines)
    assert [5, 5] == [r.checked for r in results if r.check == "same as tfrecord"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_table_of_patches_is_one_difference(
    form: str, data_dir: Path
) -> None:
    """What it says of each patch, and the card of it, is skipped."""
    flip(find_folder(data_dir, form) / "patches.parquet")
    results, (line,) = run(data_dir)

    assert "patches.parquet: expected sha256" in line
    card = {("parquet", "descriptions"): 2} if form == "parquet" else {}
    assert {(form, "patch table"): 6} | card == skipped(results)


@pytest.mark.parametrize("name", ["manifest.json", "statistics.json"])
@pytest.mark.parametrize("content", [None, "{}", "[]", "not JSON", '{"config": "s2"}'])
def test_a_store_that_says_nothing_of_itself_is_one_difference(
    content: str | None, name: str, data_dir: Path
) -> None:
    """It is named with its file, and the others are checked as ever."""
    folder = find_folder(data_dir, "parquet")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    results, (line,) = run(data_dir)

    assert str(folder) in line
    assert ["huggingface"] == [r.store for r in results if r.num_differences]
    assert [6] == [r.checked for r in results if r.check.startswith("same as")]
    assert {} == skipped(results)


def test_all_of_a_store_that_is_not_known_is_not_of_another_build(
    data_dir: Path,
) -> None:
    """A table at the top may be that of the store whose manifest is damaged."""
    for form in ("parquet", "tfrecord"):
        shutil.rmtree(find_folder(data_dir, form))
    (find_folder(data_dir, "arrow") / "manifest.json").write_text("{")
    results, lines = run(data_dir)

    assert 1 == len(lines)
    assert {("all", "patch tables"): 1} == skipped(results)


def test_a_damaged_card_is_one_difference(data_dir: Path) -> None:
    """The card is named, and so it is where it is gone."""
    path = find_folder(data_dir, "parquet") / "README.md"
    path.write_text("---\n{")
    damaged = run(data_dir)
    path.unlink()
    missing = run(data_dir)

    assert [{}, {}] == [skipped(damaged[0]), skipped(missing[0])]
    assert ["README.md is missing"] == missing[1]
    assert "README.md cannot be read" in damaged[1][0]
    assert 1 == len(damaged[1])


def test_a_file_that_the_system_cannot_read_is_a_difference(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken disk ends no check of other files."""
    path = find_shard(data_dir, "arrow", "train")

    def fail(file: Path) -> str:
        if file == path:
            raise OSError(5, "Input/output error", str(file))
        return hash_file(file)

    monkeypatch.setattr("builder.file_checks.hash_file", fail)
    _, lines = run(data_dir)

    assert ["train/data-00000-of-00002.arrow cannot be read (Input/output error)"] == (
        lines
    )


def test_the_end_names_damaged_files_and_the_remedy(data_dir: Path) -> None:
    """The command says once for each store what to copy, or how to build it again."""
    flip(find_shard(data_dir, "parquet", "train"))
    gone = find_shard(data_dir, "arrow", "test")
    gone.unlink()
    (find_folder(data_dir, "arrow") / "test" / "state.json").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "builder.verify", f"--data_dir={data_dir}"],
        capture_output=True,
        text=True,
        check=False,
    )
    *_, last = end = done.stdout.splitlines()
    start = end.index(f"damaged or missing in {data_dir}/huggingface:")

    assert 1 == done.returncode
    assert last.startswith("3 differences, ")
    assert last.endswith(" not checked because of damaged files")
    assert "  s2/train-00000-of-00002.parquet" == end[start + 1]
    assert f"damaged or missing in {data_dir}/arrow:" in end
    assert {f"  test/{gone.name}", "  test/state.json"} <= set(end)
    for form in ("parquet", "arrow"):
        command = f"--data_dir={data_dir} --config=s2 --formats={form}"
        assert 1 == done.stdout.count(command)


def test_the_remedy_mends(data_dir: Path, many_shards: Path) -> None:
    """A file that is copied again is no difference any more."""
    path = find_shard(data_dir, "parquet", "train")
    flip(path)
    results = verify(data_dir, quiet=True)
    (damaged,) = [path for result in results for path in result.damaged]
    shutil.copy(many_shards / damaged.relative_to(data_dir), damaged)

    assert path == damaged
    assert summarize(verify(data_dir, quiet=True)).endswith("\neverything agrees")
    assert 1 == pq.read_metadata(path).num_rows
