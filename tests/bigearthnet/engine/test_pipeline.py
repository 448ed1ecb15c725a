from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.engine import keys
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.leftovers import remove_workspace
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import encode
from bigearthnet.engine.workspace import open_workspace
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError, PatchError
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.formats.tfrecord.framing import read_records
from bigearthnet.release import RELEASES, V1, Digest
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.store.result import BuildResult

S2 = get_config("s2", RELEASES)

SPLITS = V1.splits

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


def run(
    source: Path,
    output: Path,
    config: str = "s2",
    digest: Digest | None = None,
    **options: object,
) -> BuildResult:
    """Builds a source; the shards are in a new folder, which is not there otherwise."""
    settings = get_config(config, RELEASES)
    chosen = BuildOptions(quiet=True, **options)  # type: ignore[arg-type]
    sources = (JobSource(settings.archives[0], source, digest),)
    with open_workspace(output.with_name("work"), {}) as work:
        result = encode(Job(settings, sources, ("tfrecord",), chosen), work)
        work.publish({"tfrecord": output})
    remove_workspace(output.with_name("work"))
    return result


def hash_files(folder: Path) -> dict[str, str]:
    """Returns file name → sha256 of a folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def expected_records(
    rows: list[Example], index: PatchIndex, *splits: str
) -> dict[str, list[bytes]]:
    """Returns split → records in order, made patch by patch."""
    encoder = make_encoder(S2.schema)
    records: dict[str, list[tuple[bytes, bytes]]] = {}
    for example in rows:
        patch_id = str(example["patch_id"])
        row = index.find(patch_id)
        assert row is not None
        split = index.split(row)
        if split in splits:
            key = hashlib.md5((split + patch_id).encode()).digest()
            records.setdefault(split, []).append((key, encoder(example)))
    return {split: [r for _, r in sorted(items)] for split, items in records.items()}


@pytest.mark.parametrize("sample", ["fake_patches", "sample_patches"])
def test_shards_do_not_depend_on_source_order_or_workers(
    sample: str,
    request: pytest.FixtureRequest,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """All kinds of source, orders and numbers of workers give identical shards."""
    patches: Patches = request.getfixturevalue(sample)
    builds = []
    for kind, shuffle, workers in itertools.product(
        ("tar.gz", "tar", "tar.zst", "folder"), (None, 7), (1, 2)
    ):
        here = tmp_path / f"{kind}-{shuffle}-{workers}"
        here.mkdir()
        source = write_archive(here, patches, kind=kind, shuffle=shuffle)
        run(source, here / "out", include_excluded=True, workers=workers)
        builds.append(hash_files(here / "out"))

    assert len(builds[0]) >= 3
    assert [builds[0]] * len(builds) == builds


def test_records_are_the_examples_in_the_order_of_keys(
    fake_patches: Patches,
    fake_rows: list[Example],
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Each split holds its own patches' examples, sorted by the hash of their id."""
    source = write_archive(tmp_path, fake_patches)
    result = run(source, tmp_path / "out", include_excluded=True)
    found: dict[str, list[bytes]] = {}
    for shard in result.shards:
        path = tmp_path / "out" / shard.files["tfrecord"].name
        found.setdefault(shard.split, []).extend(read_records(path, shard.num_patches))

    assert expected_records(fake_rows, patch_index, *SPLITS) == found
    assert {"train": 2, "validation": 1, "test": 2, "excluded": 1} == {
        split: len(records) for split, records in found.items()
    }


def test_splits_are_cut_into_several_shards(
    fake_patches: Patches,
    fake_rows: list[Example],
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shards follow one another in the order of keys, and share buckets if need be."""
    monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", 1)
    monkeypatch.setattr("bigearthnet.engine.spool.choose_bucket_bits", lambda _: 0)
    source = write_archive(tmp_path, fake_patches)
    result = run(source, tmp_path / "out")
    train = [
        data
        for shard in result.shards
        if shard.split == "train"
        for data in read_records(tmp_path / "out" / shard.files["tfrecord"].name, 1)
    ]

    assert [
        "bigearthnet-train.tfrecord-00000-of-00002",
        "bigearthnet-train.tfrecord-00001-of-00002",
    ] == [s.files["tfrecord"].name for s in result.shards if s.split == "train"]
    assert expected_records(fake_rows, patch_index, "train")["train"] == train


def test_what_is_reported_is_what_was_written(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Names, sizes and checksums of the result are those of the files."""
    source = write_archive(tmp_path, fake_patches)
    result = run(source, tmp_path / "out")

    files = [shard.files["tfrecord"] for shard in result.shards]

    assert hash_files(tmp_path / "out") == {file.name: file.sha256 for file in files}
    for file in files:
        assert (tmp_path / "out" / file.name).stat().st_size == file.nbytes
    assert hashlib.sha256(source.read_bytes()).hexdigest() == result.sources[0].sha256


def test_excluded_patches_are_read_but_not_stored(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Without include_excluded, a snowy or cloudy patch is counted only."""
    result = run(write_archive(tmp_path, fake_patches), tmp_path / "out")

    assert 6 == int(result.read.sum())
    assert 5 == int(result.stored.sum())
    assert "excluded" not in {shard.split for shard in result.shards}


def test_limit_and_countries_choose_patches(
    fake_patches: Patches,
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A limit stops the build early; countries leave out the others' patches."""
    source = write_archive(tmp_path, fake_patches, kind="tar")
    limited = run(source, tmp_path / "limited", limit=2)
    finnish = run(source, tmp_path / "finnish", countries=("Finland",))
    rows = [row for p in fake_patches if (row := patch_index.find(p)) is not None]
    in_finland = [
        row for row in rows if patch_index.countries[row] == 2 and row != rows[-1]
    ]

    assert 2 == int(limited.stored.sum())
    assert None is limited.sources[0].sha256
    assert sorted(in_finland) == list(finnish.stored.nonzero()[0])


def test_a_source_without_a_wanted_patch_is_an_error(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A selection that leaves nothing is an error, not an empty build."""
    source = write_archive(tmp_path, fake_patches)

    with pytest.raises(OptionError, match="no patch to store"):
        run(source, tmp_path / "out", countries=("Kosovo",))


def test_another_file_than_the_published_one_is_an_error(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A wrong checksum is found before any shard is written."""
    source = write_archive(tmp_path, fake_patches)

    with pytest.raises(ChecksumError, match=f"expected sha256 {'0' * 64}"):
        run(source, tmp_path / "out", digest=Digest("sha256", "0" * 64))

    assert [source] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"workers": 0}, "workers: expected at least 1, got 0"),
        ({"decompressors": 0}, "decompressors: expected at least 1, got 0"),
        ({"countries": ("Atlantis",)}, "'Atlantis'"),
    ],
)
def test_options_without_a_meaning_are_refused(
    options: dict[str, object], match: str
) -> None:
    """A wrong option is an error that names it."""
    with pytest.raises(OptionError, match=match):
        BuildOptions(**options)  # type: ignore[arg-type]


def _truncate(files: dict[str, bytes], name: str) -> None:
    files[name] = files[name][:-100]


def _replace(content: bytes) -> Callable[[dict[str, bytes], str], None]:
    def damage(files: dict[str, bytes], name: str) -> None:
        files[name] = content

    return damage


def _wrong_band(files: dict[str, bytes], name: str) -> None:
    files[name] = next(data for n, data in files.items() if n.endswith("_B02.tif"))


_VRT = b'<VRTDataset rasterXSize="60" rasterYSize="60"></VRTDataset>'


@pytest.mark.parametrize(
    ("suffix", "damage", "match"),
    [
        ("B05.tif", _truncate, "damaged TIFF"),
        ("B05.tif", _replace(b""), "not a readable TIFF"),
        ("B05.tif", _replace(b"GIF89a"), "not a readable TIFF"),
        ("B05.tif", _replace(_VRT), "not a readable TIFF"),
        ("B05.tif", _wrong_band, r"expected \(60, 60\), got \(120, 120\)"),
        ("metadata.json", _replace(b"{"), "broken JSON"),
        ("metadata.json", _replace(b'{"labels": []}'), "at least one label"),
        ("metadata.json", _replace(b'{"labels": ["Sea"]}'), "unknown label.*'Sea'"),
        ("metadata.json", _replace(b"{}"), "missing key 'labels'"),
    ],
)
def test_damaged_patches_end_the_build(
    suffix: str,
    damage: Callable[[dict[str, bytes], str], None],
    match: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A damaged file is one error that names patch and file; nothing is left."""
    patch_id = list(fake_patches)[3]
    files = dict(fake_patches[patch_id])
    name = next(name for name in files if name.endswith(suffix))
    damage(files, name)
    source = write_archive(tmp_path, {**fake_patches, patch_id: files})

    with pytest.raises(PatchError, match=f"{patch_id}/{name}: .*{match}"):
        run(source, tmp_path / "out")

    assert [source] == list(tmp_path.iterdir())


def test_a_truncated_archive_ends_the_build(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """An archive that ends early leaves no shard behind."""
    source = write_archive(tmp_path, fake_patches)
    source.write_bytes(source.read_bytes()[:-2000])

    with pytest.raises(ArchiveError, match=r"archive\.tar\.gz"):
        run(source, tmp_path / "out")

    assert [source] == list(tmp_path.iterdir())


def test_a_failing_write_ends_the_build(
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk in stage two ends the build, and no shard has its final name."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bigearthnet.util.files.write_all", fail)

    with pytest.raises(OSError, match="No space left"):
        run(write_archive(tmp_path, fake_patches), tmp_path / "out", workers=1)

    assert not [p for p in tmp_path.rglob("*-of-*") if p.suffix != ".unfinished"]


def test_a_random_split_puts_patches_elsewhere(
    sample_folder: Path, tmp_path: Path
) -> None:
    """The config s2-random stores the same patches in other splits."""
    result = run(sample_folder, tmp_path / "out", config="s2-random")

    assert {"train": 3, "test": 2} == {s.split: s.num_patches for s in result.shards}
