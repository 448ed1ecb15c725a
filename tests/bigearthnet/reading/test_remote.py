"""Published stores, read where they are."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import bigearthnet
from bigearthnet.errors import (
    BigEarthNetError,
    DownloadError,
    OptionError,
    ShardError,
    StoreError,
)
from bigearthnet.reading import remote
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.reading.reader import Reader
from bigearthnet.reading.remote import RemoteParquetReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.util.remote import RemotePath, parse_url
from tests.bigearthnet.reading.conftest import BOUNDS, ROWS_PER_GROUP, S2_COLUMNS
from tests.hub import Hub
from tests.hub.published import URL, publish_folder, run_python

ROWS = np.diff(BOUNDS).tolist()


@pytest.fixture
def published(
    hub: Hub, all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    """A hub with the Parquet store of the six real patches, in the main branch."""
    from huggingface_hub import HfFileSystem

    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before it tries again
    HfFileSystem.clear_instance_cache()  # it keeps the address of another hub
    publish_folder(hub, all_stores / "huggingface")
    hub.recover()
    yield hub
    HfFileSystem.clear_instance_cache()


@pytest.fixture
def reader(
    parquet_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> RemoteParquetReader:
    """A reader of 25 rows in three files, at a URL of the local disk."""
    monkeypatch.setattr(remote, "ROWS_PER_GROUP", ROWS_PER_GROUP)
    places = [
        RemotePath(f"file://{path}", f"file://{path}", nbytes=path.stat().st_size)
        for path in parquet_files
    ]
    return RemoteParquetReader(places, ROWS, S2_COLUMNS)


def read_ids(reader: Reader, **options: object) -> list[str]:
    """Returns the patch ids of an epoch, in batches of 4."""
    batches = reader.batches(4, ["patch_id"], **options)
    return [name for batch in batches for name in batch["patch_id"]]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("skip", [0, 3, 8, 20, 25])
def test_batches_equal_those_of_the_local_reader(
    shuffle: bool, skip: int, reader: RemoteParquetReader, parquet_files: list[Path]
) -> None:
    """The order, and every column, is what the same seed gives of local files."""
    local = ParquetReader(parquet_files, S2_COLUMNS)
    options = {"shuffle": shuffle, "seed": 5, "epoch": 1, "skip": skip}
    names = ["patch_id", "bands_60m", "B04", "preview", "coordinates/uly"]
    found = list(pickle.loads(pickle.dumps(reader)).batches(7, names, **options))
    expected = list(local.batches(7, names, **options))

    assert 25 == len(reader)
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        for name in names:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_reader_goes_on_where_a_run_ended(
    shuffle: bool,
    reader: RemoteParquetReader,
    parquet_files: list[Path],
    arrow_files: list[Path],
    record_files: list[Path],
) -> None:
    """What is skipped is what the same epoch gave first; more than all is refused."""
    for one in (
        reader,
        ParquetReader(parquet_files, S2_COLUMNS),
        ArrowReader.map_files(arrow_files, S2_COLUMNS),
        TFRecordReader(record_files, ROWS, S2_COLUMNS),
    ):
        options = {"shuffle": shuffle, "seed": 1}
        whole = read_ids(one, **options)

        for skip in (1, 4, 21, 25):
            assert whole[skip:] == read_ids(one, skip=skip, **options)
        with pytest.raises(OptionError, match="skip: expected 0 to 25, got 26"):
            next(one.batches(4, skip=26))


def test_a_hub_is_read_in_a_fresh_process(
    published: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """`load` and `open_reader` give the pixels of the local store, of any revision."""
    from huggingface_hub import HfApi

    client = HfApi(endpoint=published.endpoint)
    client.create_tag("org/data", tag="v1", repo_type="dataset")
    client.delete_file("manifest.json", "org/data", repo_type="dataset")
    code = f"""
import sys, bigearthnet, numpy as np
r = bigearthnet.open_reader("train", "{URL}@v1")
(found,) = r.batches(4)
assert not {{"tensorflow", "datasets"}} & set(sys.modules)
(expected,) = bigearthnet.open_reader("train", {str(all_stores)!r}).batches(4)
names = [name for name in expected if name in found and name[:6] != "labels"]
print(len(names), all((expected[n] == found[n]).all() for n in names))
for options in ({{}}, {{"bands": ["B04"]}}, {{"labels": "ben19", "bands": "rgb"}}):
    one, other = (
        next(iter(bigearthnet.load("test", place, **options)))
        for place in ("{URL}@v1", {str(all_stores)!r})
    )
    print(all((a.numpy() == b.numpy()).all() for a, b in zip(one, other)))
"""
    lines = run_python(published, tmp_path / "home", code).splitlines()

    assert [True] * 3 == [line == "True" for line in lines[1:]]
    assert lines[0].endswith(" True")


@pytest.mark.parametrize("columns", [["B04", "multi_hot_43"], ["patch_id"], None])
def test_no_more_is_read_than_the_columns_need(
    columns: list[str] | None, published: Hub, all_stores: Path
) -> None:
    """Of shards, the footers and the chunks of the columns: each run in one request."""
    assert len(list(bigearthnet.open_reader("train", URL).batches(4, columns))) == 1
    sent = [r for r in published.requests if r.path.startswith("/objects/") and r.sent]
    (path,) = (all_stores / "huggingface/s2").glob("train-*")
    group = pq.read_metadata(path).row_group(0)
    names = {"B04": "bands_10m"}
    wanted = None if columns is None else {names.get(name, name) for name in columns}
    chunks = [
        chunk.total_compressed_size
        for chunk in map(group.column, range(group.num_columns))
        if wanted is None or chunk.path_in_schema.partition(".")[0] in wanted
    ]
    footer, *parts = [request.sent for request in sent]

    assert footer <= 65_536
    assert sum(chunks) == sum(parts)
    assert (len(columns) if columns else 1) == len(parts)


def fail_status(status: int) -> object:
    """Makes every request of a shard fail."""
    return lambda hub: hub.fail("GET /objects", status=status, times=None)


def cut_objects(hub: Hub) -> None:
    """Cuts the shards on the disk of the server, which does not notice."""
    for path in hub.objects.iterdir():
        if path.stat().st_size > 100_000:
            os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (lambda hub: hub.fail("", status=401), DownloadError, r"status 401.*log in"),
        (fail_status(403), DownloadError, r"s2/test-.*may not be read \(status 403\)"),
        (fail_status(404), StoreError, r"s2/test-00000-of-00001.parquet is missing"),
        (fail_status(500), DownloadError, r"cannot be read \(status 500\).*try again"),
        (
            lambda hub: hub.fail("GET /objects", drop="answer", times=None),
            DownloadError,
            "Check network",
        ),
        (cut_objects, DownloadError, r"test-.* cannot be read: .*damaged"),
    ],
)
def test_what_cannot_be_read_is_named(
    fault: object, kind: type[BigEarthNetError], text: str, published: Hub
) -> None:
    """The error has its own type, names URL and file, and never the token."""
    fault(published)
    with pytest.raises(kind, match=text) as raised:
        list(bigearthnet.open_reader("test", URL).batches(4, ["B04"]))

    assert URL in str(raised.value)
    for secret in (published.token, published.signature):
        assert secret not in str(raised.value)


def test_a_request_is_repeated(published: Hub) -> None:
    """A connection that ends in mid-answer, or a server that is busy, fails no run."""
    published.fail("GET /objects", drop="answer", times=1)
    published.fail("manifest.json", status=503, times=1)

    assert 1 == len(list(bigearthnet.open_reader("test", URL).batches(4)))


@pytest.mark.parametrize(
    ("place", "kind", "text"),
    [
        (f"{URL}-other", StoreError, "org/data-other is missing"),
        (f"{URL}@v7", StoreError, "@v7 is missing"),
        (f"{URL}/s2", StoreError, "s2/manifest.json is missing"),
        ("ftp://host/data", OptionError, "ftp:// cannot be read: .*hf://"),
        ("https://me:secret@host/data", OptionError, "https: expected the address"),
        ("https://host/data?key=secret", OptionError, "without user, password or que"),
        ("s3://key:secret@bucket/data", OptionError, "without user, password or que"),
    ],
)
def test_an_address_without_a_store_is_refused(
    place: str, kind: type[BigEarthNetError], text: str, published: Hub
) -> None:
    """The error says what is missing, or what an address looks like; no secret."""
    with pytest.raises(kind, match=text) as raised:
        bigearthnet.open_reader("train", place)

    assert "secret" not in str(raised.value)


def test_only_the_store_that_is_there_is_read(published: Hub) -> None:
    """Another configuration, format or split is refused, and named."""
    for options in ({"store": "tfrecord"}, {"config": "s2-rgb"}):
        with pytest.raises(OptionError, match="only Parquet stores are streamed"):
            bigearthnet.open_reader("train", URL, **options)
    with pytest.raises(StoreError, match="of config s2 in the format parquet"):
        bigearthnet.open_reader("train", URL, config="s2-random")
    with pytest.raises(OptionError, match=f"no split 'dev' in {URL}"):
        bigearthnet.open_reader("dev", URL)


def test_a_shard_of_another_build_is_refused(
    published: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """A shard that is whole, but has other patches than the manifest says, is named."""
    folder = tmp_path / "store"
    shutil.copytree(all_stores / "huggingface", folder)
    (train,), (test,) = ((folder / "s2").glob(f"{n}-*") for n in ("train", "test"))
    manifest = (folder / "manifest.json").read_text()
    sizes = [str(path.stat().st_size) for path in (test, train)]
    (folder / "manifest.json").write_text(manifest.replace(*sizes))
    shutil.copy(train, test)
    publish_folder(published, folder)

    with pytest.raises(ShardError, match="has 4 patches in 1 row groups: expected 1,"):
        bigearthnet.open_reader("test", URL)
    os.truncate(train, 100_000)
    publish_folder(published, folder)
    with pytest.raises(ShardError, match=r"train-.* has 100,000 bytes: expected [0-9]"):
        bigearthnet.open_reader("train", URL)


def test_a_web_server_is_read(published: Hub, all_stores: Path) -> None:
    """A server that answers ranges is enough, even if it fails now and then."""
    pytest.importorskip("aiohttp")
    published.fail("GET /objects", drop="answer")
    published.fail("GET /objects", status=503, first=3)
    place = f"{published.endpoint}/datasets/org/data/resolve/main"
    (found,) = bigearthnet.open_reader("train", place).batches(4, ["B04"])
    local = bigearthnet.open_reader("train", all_stores, store="parquet")

    np.testing.assert_array_equal(
        next(local.batches(4))["bands_10m"][:, 2], found["B04"]
    )
    with pytest.raises(StoreError, match=r"other/manifest\.json is missing"):
        bigearthnet.open_reader("train", f"{place}/other")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(OptionError, match=r"s3:// needs fsspec and s3fs: .*\[s3\]"):
        parse_url("s3://bucket/data").read_bytes()


def test_a_bucket_is_read(all_stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store is read with the login of its client; no object, no store."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    s3fs = pytest.importorskip("s3fs")
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "no_proxy": "*",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        files = s3fs.S3FileSystem()
        files.mkdir("published")
        files.put(str(all_stores / "huggingface"), "published/data", recursive=True)
        (found,) = bigearthnet.open_reader("train", "s3://published/data").batches(4)
        with pytest.raises(StoreError, match=r"published/other/manif.* is missing"):
            bigearthnet.open_reader("train", "s3://published/other")
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()
    local = bigearthnet.open_reader("train", all_stores, store="parquet")

    np.testing.assert_array_equal(
        next(local.batches(4))["bands_10m"], found["bands_10m"]
    )
