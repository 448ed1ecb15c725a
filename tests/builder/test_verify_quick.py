"""`builder.verify --quick`: files alone, as after a copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.verify import verify

S2 = get_config("s2", RELEASES)


@pytest.fixture
def data_dir(many_shards: Path, tmp_path: Path) -> Path:
    """A copy of stores of six patches in six shards of each format."""
    return Path(shutil.copytree(many_shards, tmp_path / "data"))


def differences(data_dir: Path) -> list[str]:
    """Returns all that a quick check finds."""
    results = verify(data_dir, quick=True, quiet=True)
    return [line for result in results for line in result.shown]


def test_a_good_copy_is_good(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of every store is hashed, and no record is read."""

    def read_nothing(*_: object) -> None:
        raise AssertionError("a record was read")

    monkeypatch.setattr("builder.records.read_examples", read_nothing)
    results = verify(data_dir, quick=True, quiet=True)

    # Six shards and the table of patches.
    assert {form: 7 for form in FORMATS} == {
        r.format: r.checked for r in results if r.check == "files"
    }
    assert {"files", "descriptions", "patch tables"} == {r.check for r in results}
    assert not any(result.num_differences or result.skipped for result in results)


@pytest.mark.parametrize("how", ["flipped", "short", "missing", "lost end"])
def test_every_damaged_file_is_found(
    how: str, data_dir: Path, many_shards: Path
) -> None:
    """No file that the copy needs may be damaged, and each is named alone.

    Where it came from, and the card's pictures, are for people.
    """
    found, expected = [], []
    for path in sorted(path for path in data_dir.rglob("*") if path.is_file()):
        name, content = path.relative_to(data_dir), path.read_bytes()
        has_checksum = path.suffix not in (".json", ".md", ".txt")
        for_people = path.name == "provenance.json" or path.suffix == ".jpg"
        is_extra = for_people or path.parent == data_dir
        if is_extra or (how == "flipped" and not has_checksum):
            continue
        if how == "flipped":
            middle = len(content) // 2
            flipped = bytes([content[middle] ^ 1])
            path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
        elif how == "missing":
            path.unlink()
        else:
            # The second half of a card is for people.
            path.write_bytes(content[: len(content) // 4] if how == "short" else b"")
        found.append([name.name in line for line in differences(data_dir)])
        expected.append([True])
        shutil.copy(many_shards / name, path)

    assert expected == found
    assert len(found) > 20


def test_strays_are_found(data_dir: Path) -> None:
    """A shard that the build has not written is named for each store."""
    for form, name in (
        ("tfrecord", "bigearthnet-train.tfrecord-00000-of-00009"),
        ("parquet", "s2/train-00000-of-00009.parquet"),
        ("arrow", "train/data-00000-of-00009.arrow"),
    ):
        (FORMATS[form].store_folder(data_dir, S2) / name).write_bytes(b"")

    assert 3 == len(differences(data_dir))
    assert all("delete it" in line for line in differences(data_dir))


def test_the_command_shows_how_far_it_is_and_ends_with_its_status(
    data_dir: Path,
) -> None:
    """0 for a good copy, 1 for another; progress goes to the standard error."""
    command = [sys.executable, "-m", "builder.verify", "--quick"]
    command.append(f"--data_dir={data_dir}")
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    shard = next((data_dir / "arrow" / "test").glob("data-00000-of-*.arrow"))
    shard.write_bytes(b"")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)

    assert [0, 1] == [good.returncode, bad.returncode]
    assert "everything agrees" in good.stdout
    assert f'next: bigearthnet.load("train", "{data_dir}") loads it' in good.stdout
    assert "next: " not in bad.stdout
    (line,) = [x for x in good.stderr.splitlines() if x.startswith("verifies ")]
    assert line.endswith(f" in {data_dir}: files")
    assert "s2 parquet files: " in good.stderr
    assert "MB/s" in good.stderr
    assert f"test/{shard.name}: expected" in bad.stdout


def test_what_reads_records_is_refused(data_dir: Path) -> None:
    """A quick check that was asked for more would not be one, or break its promise."""
    for options in ({"complete": True}, {"sources": {"s2": data_dir}}):
        with pytest.raises(OptionError, match="a quick check reads no records"):
            verify(data_dir, quick=True, quiet=True, **options)  # type: ignore[arg-type]
