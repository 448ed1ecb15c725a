from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine import stage_one
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import PatchError, QuarantineError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.quarantine import read_quarantine
from builder.build import build
from builder.jobs import find_targets
from builder.source_checks import decode_with_rasterio
from builder.summary import summarize
from builder.verify import verify

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]
Member = tuple[str, bytes]

ASIDE = BuildOptions(include_excluded=True, quiet=True, workers=1, max_bad=10)
TOP = "BigEarthNet-v1.0"
# What a build that stores nothing leaves in its data directory.
LEFT = "quarantine.bigearthnet-s2.jsonl"
UNKNOWN = "S2A_MSIL2A_20170613T101031_99_99"
EMPTY = "S2A_MSIL2A_20170613T101031_0_46"


def list_members(patches: Patches, *patch_ids: str) -> list[Member]:
    """Lists the members of some patches."""
    return [
        (f"{TOP}/{patch_id}/{name}", content)
        for patch_id in patch_ids
        for name, content in patches[patch_id].items()
    ]


def write_members(path: Path, members: list[Member]) -> Path:
    """Writes a tar file of these members; a name that ends in a slash is a folder."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content))
    return path


def damage(patches: Patches, patch_id: str, file: str, content: bytes) -> Patches:
    """The patches, one of which has another content in a file."""
    name = f"{patch_id}_{file}"
    return {**patches, patch_id: {**patches[patch_id], name: content}}


def spoil(patches: Patches) -> tuple[list[Member], list[tuple[str, str, str, int]]]:
    """Makes an archive with one bad patch of each kind, and one good patch.

    Returns:
        Its members; and patch id, end of the file's name, words of the reason and
        number of its first member of each bad patch, in order.
    """
    tiff, broken, scattered, twice, lacking, good = patches
    spoilt = damage(patches, tiff, "B05.tif", b"II*\0")
    spoilt = damage(spoilt, broken, "labels_metadata.json", b"{")
    many = [(f"{TOP}/crowd/{number}", b"") for number in range(70)]
    unknown = [
        (name.replace(good, UNKNOWN), data)
        for name, data in list_members(patches, good)
    ]
    parts = [
        list_members(spoilt, tiff),
        list_members(patches, scattered)[:4],
        list_members(spoilt, broken),
        list_members(patches, scattered)[4:],
        list_members(patches, twice),
        unknown,
        many,
        list_members(patches, good),
        list_members(patches, twice),
        list_members(patches, lacking)[1:],
        [(f"{TOP}/{EMPTY}/", b"")],
    ]
    starts = [sum(map(len, parts[:number])) for number in range(len(parts))]
    return [member for part in parts for member in part], [
        (tiff, "_B05.tif", "not a readable TIFF", starts[0]),
        (scattered, "_B08.tif", "missing file: found 4 of 13", starts[1]),
        (broken, "_labels_metadata.json", "broken JSON", starts[2]),
        (scattered, "_B05.tif", "comes twice, or its files do not", starts[3]),
        (UNKNOWN, "", "not a patch of the release", starts[5]),
        ("crowd", "64", "too many files", starts[6]),
        (twice, "_B01.tif", "comes twice", starts[8]),
        (lacking, "_B01.tif", "missing file: found 12 of 13", starts[9]),
        (EMPTY, "", "the patch folder is empty", -1),
    ]


def read_list(folder: Path) -> list[dict[str, Any]]:
    """The lines of a quarantine.jsonl."""
    text = (folder / "quarantine.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def differences(data_dir: Path, **options: Any) -> dict[str, list[str]]:
    """Runs the checks and returns check → differences, where there are any."""
    results = verify(data_dir, quiet=True, **options)
    return {r.check: r.shown for r in results if r.num_differences}


def hash_files(folder: Path) -> dict[str, str]:
    """Returns path → sha256 of all files that tell nothing of time and command."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def rewrite_list(data_dir: Path, change: Callable[[list[Any]], object]) -> None:
    """Changes the list of a store, and leaves the rest as it is."""
    path = data_dir / "arrow" / "quarantine.jsonl"
    entries = read_list(path.parent)
    change(entries)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


@pytest.fixture(scope="module")
def spoilt(
    fake_patches: Patches, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An archive of every kind of bad patch, and a directory built of it."""
    folder = tmp_path_factory.mktemp("spoilt")
    source = write_members(folder / "spoilt.tar", spoil(fake_patches)[0])
    build(source, folder / "data", S2, ASIDE, formats=tuple(FORMATS))
    return source, folder / "data"


@pytest.fixture
def data_dir(spoilt: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of its Arrow store that a test may damage."""
    shutil.copytree(spoilt[1] / "arrow", tmp_path / "data" / "arrow")
    return tmp_path / "data"


@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_of_bad_patch_is_listed(
    form: str, spoilt: tuple[Path, Path], fake_patches: Patches
) -> None:
    """The list of each store says which, what, why, and where in the archive."""
    source, data_dir = spoilt
    expected = spoil(fake_patches)[1]
    found = read_list(find_targets(data_dir, S2, [form])[form])
    with tarfile.open(source) as tar:
        offsets = [member.offset for member in tar.getmembers()]

    assert [bad[0] for bad in expected] == [bad["patch_id"] for bad in found]
    assert [None if start < 0 else offsets[start] for _, _, _, start in expected] == [
        bad["offset"] for bad in found
    ]
    for (_, file, reason, start), bad in zip(expected, found, strict=True):
        assert reason in bad["reason"]
        assert start < 0 or bad["file"].endswith(file)


def test_what_was_set_aside_is_nowhere_else(
    spoilt: tuple[Path, Path], fake_patches: Patches
) -> None:
    """Only the good patch is stored, and is in the table of patches."""
    data_dir = spoilt[1]
    table = pq.read_table(data_dir / "patches.parquet").to_pylist()
    manifest = json.loads((data_dir / "arrow" / "manifest.json").read_text())

    assert [(list(fake_patches)[5], True)] == [
        (row["patch_id"], row["stored"]) for row in table
    ]
    assert (1, 1, 9) == tuple(
        manifest["patches"][name] for name in ("rows", "stored", "quarantined")
    )


@pytest.mark.parametrize("decode", ["ours", "rasterio"])
def test_such_a_build_agrees_with_itself_and_its_source(
    decode: str, spoilt: tuple[Path, Path]
) -> None:
    """What was set aside is no difference."""
    source, data_dir = spoilt
    options = {"decode": decode_with_rasterio} if decode == "rasterio" else {}
    results = verify(data_dir, sources={"s2": source}, quiet=True, **options)  # type: ignore[arg-type]
    checked = {r.check: r.checked for r in results if r.format == "tfrecord"}

    assert {} == {r.check: r.shown for r in results if r.num_differences}
    assert 9 == checked["quarantine"]
    # The good patch, and what is wrong with seven others as a whole.
    assert 8 == checked["source spoilt.tar"]


def test_people_are_told(spoilt: tuple[Path, Path]) -> None:
    """The card of the Parquet store says how many were set aside."""
    text = (spoilt[1] / "huggingface" / "README.md").read_text()

    assert "**9 bad patches of the source were set aside" in text
    assert "quarantine.jsonl lists them" in text


def test_the_summary_says_how_many(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The summary of a build counts bad patches, and names the list."""
    bad = list(fake_patches)[2]
    source = write_archive(tmp_path, damage(fake_patches, bad, "B8A.tif", b""))
    result = build(source, tmp_path / "data", S2, ASIDE, formats=("arrow",))
    lines = summarize(result, find_targets(tmp_path / "data", S2, ["arrow"]))

    assert (
        f"set aside: 1 bad patch; see {tmp_path}/data/arrow/quarantine.jsonl: "
        "1 × not a readable TIFF; the first is " in lines
    )
    assert "5 of the 590,326 patches of v1.0 read, 5 stored" in lines


def test_a_good_source_has_no_list(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """With nothing set aside, a build is the same as without quarantine."""
    source = write_archive(tmp_path, fake_patches)
    for name, max_bad in (("one", None), ("other", 10)):
        options = dataclasses.replace(ASIDE, max_bad=max_bad)
        build(source, tmp_path / name, S2, options, formats=("arrow", "parquet"))

    assert hash_files(tmp_path / "one") == hash_files(tmp_path / "other")
    assert not list((tmp_path / "other").rglob("quarantine.jsonl"))
    assert "set aside" not in (tmp_path / "other/huggingface/README.md").read_text()


def test_bad_patches_of_a_folder_are_set_aside(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A folder's bad patches have no place, and verify knows them."""
    one, two, three, four, five, six = sorted(fake_patches)
    source = write_archive(
        tmp_path, damage(fake_patches, one, "B12.tif", b""), kind="folder"
    )
    root = source / TOP
    (root / two / f"{two}_B01.tif").unlink()
    (root / three / "more").write_text("")
    (root / four).rename(root / UNKNOWN)
    (root / EMPTY).mkdir()
    (root / "notes.doc").write_text("hello")
    build(source, tmp_path / "data", S2, ASIDE, formats=("arrow",))
    found = read_list(tmp_path / "data" / "arrow")
    table = pq.read_table(tmp_path / "data" / "patches.parquet")

    assert sorted([EMPTY, one, two, three, UNKNOWN, "notes.doc"]) == sorted(
        bad["patch_id"] for bad in found
    )
    assert {None} == {bad["offset"] for bad in found}
    assert [five, six] == table["patch_id"].to_pylist()
    assert {} == differences(tmp_path / "data", sources={"s2": source})


def test_an_entry_that_went_is_found(data_dir: Path) -> None:
    """A list that is shorter than the manifest says shows."""
    rewrite_list(data_dir, lambda entries: entries.pop())

    assert ["quarantine.jsonl has 8 patches, the manifest says 9"] == differences(
        data_dir
    )["descriptions"]


def test_a_list_that_went_is_found(data_dir: Path) -> None:
    """A store of which patches were set aside must say which."""
    (data_dir / "arrow" / "quarantine.jsonl").unlink()

    assert "has 0 patches" in differences(data_dir)["descriptions"][0]


def test_a_stored_patch_on_the_list_is_found(
    data_dir: Path, fake_patches: Patches
) -> None:
    """A patch is stored or set aside, and not both."""
    good = list(fake_patches)[5]
    rewrite_list(data_dir, lambda entries: entries[0].update(patch_id=good))

    assert [f"{good} was set aside, and is stored"] == (
        differences(data_dir)["quarantine"]
    )


def test_a_bad_patch_that_was_not_set_aside_is_found(
    data_dir: Path, spoilt: tuple[Path, Path], fake_patches: Patches
) -> None:
    """A source that has other bad patches than the list shows."""
    lacking = list(fake_patches)[4]
    rewrite_list(
        data_dir,
        lambda entries: [
            entry.update(patch_id=EMPTY)
            for entry in entries
            if entry["patch_id"] == lacking
        ],
    )
    (line,) = differences(data_dir, sources={"s2": spoilt[0]})["source spoilt.tar"]

    assert f"not set aside: {lacking}/{lacking}_B01.tif: missing file" in line


def test_a_damaged_list_is_one_difference(
    data_dir: Path, spoilt: tuple[Path, Path]
) -> None:
    """What cannot be read is named, and what it would say is skipped."""
    (data_dir / "arrow" / "quarantine.jsonl").write_text("not JSON")
    results = verify(data_dir, sources={"s2": spoilt[0]}, quiet=True)
    (line,) = [line for result in results for line in result.shown]

    assert "quarantine.jsonl cannot be read" in line
    assert {"quarantine": 9, "source spoilt.tar": 7} == {
        r.check: r.skipped for r in results if r.skipped
    }


def test_too_many_bad_patches_end_the_build(
    fake_patches: Patches, tmp_path: Path
) -> None:
    """The error names list and reasons; with a larger bound the same build goes on."""
    members, expected = spoil(fake_patches)
    source = write_members(tmp_path / "spoilt.tar", members)
    for most in (2, 8):
        options = dataclasses.replace(ASIDE, max_bad=most)
        with pytest.raises(
            QuarantineError,
            match=f"more than {most} bad patches: .* × .*{LEFT} lists them.*--max_bad",
        ):
            build(source, tmp_path / "data", S2, options, formats=("arrow",))

        assert [LEFT] == [path.name for path in (tmp_path / "data").iterdir()]
        left = [bad.patch_id for bad in read_quarantine(tmp_path / "data" / LEFT)]
        assert [bad[0] for bad in expected[: most + 1]] == left

    options = dataclasses.replace(ASIDE, max_bad=9)
    result = build(source, tmp_path / "data", S2, options, formats=("arrow",))

    assert [bad[0] for bad in expected] == [bad.patch_id for bad in result.quarantine]
    assert not (tmp_path / "data" / LEFT).exists()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_interrupted_build_has_the_same_list(
    number: int, spoilt: tuple[Path, Path], tmp_path: Path
) -> None:
    """The list and all files are those of a build that was not interrupted."""
    source, expected = spoilt
    decode, calls = stage_one.decode_patch, iter(range(1, 100))

    def end_at(*arguments: Any) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return decode(*arguments)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(stage_one, "decode_patch", end_at)
        with pytest.raises(KeyboardInterrupt):
            build(source, tmp_path / "data", S2, ASIDE, formats=("arrow",))
    build(source, tmp_path / "data", S2, ASIDE, formats=("arrow",))

    assert hash_files(expected / "arrow") == hash_files(tmp_path / "data" / "arrow")


def test_without_quarantine_the_first_bad_patch_ends_the_build(
    spoilt: tuple[Path, Path], fake_patches: Patches, tmp_path: Path
) -> None:
    """Nobody's bad patches are set aside who has not asked for it."""
    options = dataclasses.replace(ASIDE, max_bad=None)
    first = next(iter(fake_patches))

    with pytest.raises(PatchError, match=f"{first}_B05.tif: not a readable TIFF"):
        build(spoilt[0], tmp_path / "data", S2, options, formats=("arrow",))

    assert not (tmp_path / "data" / "arrow").exists()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "builder.build", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_sets_aside_what_it_is_told_to(
    spoilt: tuple[Path, Path], tmp_path: Path
) -> None:
    """--on_error and --max_bad decide, and the summary says what was done."""
    command = (
        f"--source={spoilt[0]}",
        f"--data_dir={tmp_path}",
        "--formats=arrow",
        "--include_excluded",
    )
    failed = run(*command)
    many = run(*command, "--on_error=quarantine", "--max_bad=8")
    done = run(*command, "--on_error=quarantine", "--max_bad=9")

    assert [1, 1, 0] == [one.returncode for one in (failed, many, done)], done.stderr
    assert "not a readable TIFF" in failed.stderr
    assert "error: more than 8 bad patches" in many.stderr
    assert f"set aside: 9 bad patches; see {tmp_path}/arrow/qu" in done.stdout


def test_a_build_that_set_patches_aside_is_not_ended_without(
    spoilt: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who allows fewer bad patches, or none, gets no store that lacks as many."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    data_dir = tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr("bigearthnet.engine.pipeline.write_shards", interrupt)
        options = BuildOptions(quiet=True, include_excluded=True, max_bad=9)
        with pytest.raises(KeyboardInterrupt):
            build(spoilt[0], data_dir, S2, options, formats=("arrow",))
    for most in (None, 8):
        options = BuildOptions(quiet=True, include_excluded=True, max_bad=most)
        with pytest.raises(
            QuarantineError, match=r"earlier run set 9 bad patches aside.*--max_bad=9"
        ):
            build(spoilt[0], data_dir, S2, options, formats=("arrow",))

        assert not (data_dir / "arrow").exists()
        assert 9 == len(read_quarantine(data_dir / LEFT))

    options = BuildOptions(quiet=True, include_excluded=True, max_bad=9)
    build(spoilt[0], data_dir, S2, options, formats=("arrow",))

    assert not (data_dir / LEFT).exists()


@pytest.mark.parametrize(
    ("countries", "good"),
    [
        ((), "holds 0 good patches; set aside: 5 bad"),
        (("Luxembourg",), "holds 1 good patch, none of them in a split or country"),
    ],
)
def test_nothing_but_bad_patches_is_no_store(
    countries: tuple[str, ...],
    good: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """The error counts them and their reasons, and leaves their list beside."""
    first, second, third, fourth, fifth, sixth = sorted(fake_patches)
    patches = dict(fake_patches)
    if not countries:
        del patches[sixth]
    for patch_id in (first, second, third):
        patches = damage(patches, patch_id, "B8A.tif", b"")
    for patch_id in (fourth, fifth):
        patches[patch_id] = dict(list(patches[patch_id].items())[1:])
    source = write_archive(tmp_path, patches)
    options = dataclasses.replace(ASIDE, countries=countries)

    for _ in range(2):  # the second build does not stumble over what the first left
        with pytest.raises(QuarantineError) as caught:
            build(source, tmp_path / "data", S2, options, formats=("arrow",))
        message = str(caught.value)

        assert f"no patch to store: {source} {good}" in message
        assert "set aside: 5 bad patches: 3 × not a readable TIFF, 2 × miss" in message
        assert f"{tmp_path}/data/{LEFT} lists them" in message
        assert 5 == len(read_quarantine(tmp_path / "data" / LEFT))
        assert [LEFT] == [path.name for path in (tmp_path / "data").iterdir()]


@pytest.mark.parametrize("value", [0, -1])
def test_a_bound_without_a_meaning_is_refused(value: int) -> None:
    """Who wants no bad patch asks for no quarantine."""
    with pytest.raises(ValueError, match=f"max_bad: expected at least 1, got {value}"):
        BuildOptions(max_bad=value)
