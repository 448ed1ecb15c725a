from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import DiskSpaceError, PublishError, StoreError
from bigearthnet.release import RELEASES
from bigearthnet.store.search import find_stores
from builder.publish import make_publisher
from builder.publishing.files import list_files
from tests.s3 import S3, SECRET

URL = "s3://bucket/2.0.0"


def publish(data_dir: Path, to: str, *formats: str, **options: object) -> str:
    """Publishes stores of a data directory, which are not verified."""
    names = formats or ("parquet",)
    stores = [s for s in find_stores(data_dir, RELEASES) if s.format.name in names]
    files = [file for store in stores for file in list_files(store)]
    return make_publisher(to, stores, files, quiet=True, **options).publish()


def read_published(data_dir: Path) -> dict[str, bytes]:
    """Returns what a target has after the Parquet store was published."""
    (store,) = (
        s for s in find_stores(data_dir, RELEASES) if s.format.name == "parquet"
    )
    return {file.path: file.read() for file in list_files(store)}


def test_s3_has_every_file(s3: S3, all_stores: Path) -> None:
    """Every file arrives, once; another store can be added."""
    publish(all_stores, URL, endpoint=s3.endpoint)
    assert read_published(all_stores) == s3.contents()
    s3.requests.clear()
    done = publish(all_stores, URL, endpoint=s3.endpoint)
    assert done.startswith("nothing had to be sent")
    assert not [request for request in s3.requests if not request.startswith("GET ")]
    publish(all_stores, URL, "parquet", "tfrecord", endpoint=s3.endpoint)

    name = "bigearthnet/s2/2.0.0/bigearthnet-test.tfrecord-00000-of-00001"
    assert (all_stores / name).read_bytes() == s3.contents()[name]


def find_moments(requests: list[str], *, is_done: bool) -> list[int]:
    """Returns the numbers of the requests, from 1, from which on all are to fail.

    What is left changes only with a PUT that is done. If nothing is done, a request
    fails like those before it if these have the same method and kind of path.
    """
    kinds = ["", *((r.partition(" ")[0], r.endswith("bucket")) for r in requests)]
    return [
        number
        for number, kind in enumerate(kinds[1:], start=1)
        if (kind[0] == "PUT" if is_done else kind != kinds[number - 1])
    ]


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True])
def test_an_interruption_leaves_nothing_half_loadable(
    is_done: bool, s3: S3, all_stores: Path
) -> None:
    """Cut off at any request: no card without all else; repeated, all is there."""
    expected = read_published(all_stores)
    publish(all_stores, URL, endpoint=s3.endpoint)
    moments = find_moments(s3.requests, is_done=is_done)
    for number in moments:
        s3.clear()
        s3.is_done, s3.fails = is_done, lambda n, first=number: n >= first
        with pytest.raises(PublishError, match=r"told to fail|Forbidden|Denied"):
            publish(all_stores, URL, endpoint=s3.endpoint)
        found = s3.contents()
        assert found.items() <= expected.items()
        if "README.md" in found:
            assert expected == found
        if "manifest.json" in found:
            assert expected.keys() - found.keys() <= {"README.md"}
        publish(all_stores, URL, endpoint=s3.endpoint)

        assert expected == s3.contents()


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_busy_server_is_asked_again(number: int, s3: S3, all_stores: Path) -> None:
    """A 503 once, in a listing or an upload, does no harm."""
    s3.status, s3.code = "503 Slow Down", "SlowDown"
    s3.fails = lambda n: n == number
    publish(all_stores, URL, endpoint=s3.endpoint)

    assert read_published(all_stores) == s3.contents()


@pytest.mark.parametrize(
    ("status", "code", "to"),
    [
        ("403 Forbidden", "AccessDenied", URL),
        ("403 Forbidden", "RequestTimeTooSkewed", URL),
        ("400 Bad Request", "ExpiredToken", URL),
        ("400 Bad Request", "QuotaExceeded", URL),
        ("200 OK", "", "s3://missing-bucket/x"),
    ],
)
def test_a_refusal_is_one_clear_error(
    status: str,
    code: str,
    to: str,
    s3: S3,
    all_stores: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It names the address and what the server says; the secret is in no output."""
    caplog.set_level("DEBUG")
    s3.status, s3.code = status, code
    if code:
        s3.fails = lambda number: number > 3
    with pytest.raises(PublishError, match=f"{to} cannot be written or read") as caught:
        publish(all_stores, to, endpoint=s3.endpoint)
    said = f"{caught.getrepr(style='long')} {''.join(capfd.readouterr())} {caplog.text}"

    assert SECRET not in said
    assert "AKIAEXAMPLE" not in caplog.text


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("s2/test-00000-of-00001.parquet", b"x", "test-00000-of-00001.parquet has oth"),
        ("manifest.json", b"{}", "manifest.json has other content"),
        (
            "s2/train-00001-of-00002.parquet",
            b"x",
            "00002.parquet is not part of the bu",
        ),
    ],
)
def test_what_is_published_does_not_change(
    path: str, content: bytes, message: str, s3: S3, all_stores: Path
) -> None:
    """Other content, another manifest or an extra shard is refused, and left alone."""
    publish(all_stores, URL, endpoint=s3.endpoint)
    s3.write(path, content)
    before = s3.contents()
    with pytest.raises(
        PublishError, match=f"another build is published at .*{message}"
    ):
        publish(all_stores, URL, endpoint=s3.endpoint)

    assert before == s3.contents()


def test_a_shard_that_was_lost_is_sent_again(s3: S3, all_stores: Path) -> None:
    """What is missing beside the same manifest is repaired; other files are let be."""
    publish(all_stores, URL, endpoint=s3.endpoint)
    s3.client.delete_object(Bucket="bucket", Key="2.0.0/s2/test-00000-of-00001.parquet")
    s3.write("notes/theirs.txt", b"theirs")
    publish(all_stores, URL, endpoint=s3.endpoint)

    expected = {**read_published(all_stores), "notes/theirs.txt": b"theirs"}
    assert expected == s3.contents()


def test_bytes_that_arrive_changed_are_found(
    s3: S3, all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent is read back and compared before it becomes loadable."""
    app = s3._app

    def spoil(environ: dict, start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and "test-0" in environ["PATH_INFO"]:
            monkeypatch.setattr(s3, "_app", app)
            done = list(app(environ, start))
            s3.write("s2/test-00000-of-00001.parquet", b"spoiled")
            return done
        return app(environ, start)

    monkeypatch.setattr(s3, "_app", spoil)
    with pytest.raises(
        PublishError, match=r"test-00000-of-00001.parquet has other con"
    ):
        publish(all_stores, URL, endpoint=s3.endpoint)
    assert s3.contents().keys().isdisjoint({"manifest.json", "README.md"})


def test_datasets_streams_from_s3(s3: S3, all_stores: Path, tmp_path: Path) -> None:
    """`datasets` reads the published shards; their pixels are those of the build."""
    publish(all_stores, URL, endpoint=s3.endpoint)
    code = f"""
import numpy as np
from datasets import load_dataset
import bigearthnet
options = {{"endpoint_url": {s3.endpoint!r}}}
files = {{"train": "{URL}/s2/train-*.parquet"}}
rows = load_dataset("parquet", data_files=files, storage_options=options,
                    streaming=True, split="train")
rows = {{row["patch_id"]: np.array(row["bands_10m"], np.uint16) for row in rows}}
reader = bigearthnet.open_reader("train", {str(all_stores)!r})
batch = reader.gather(range(len(rows)))
for name, bands in zip(batch["patch_id"], batch["bands_10m"]):
    name = name if isinstance(name, str) else name.decode()
    assert np.array_equal(bands, rows[name])
print(len(rows))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )

    assert "4" == done.stdout.strip(), done.stderr


def test_a_folder_gets_whole_files(all_stores: Path, tmp_path: Path) -> None:
    """A folder is made with its parents; an interrupted file does not count."""
    target = tmp_path / "a/b/2.0.0"
    (target / "s2").mkdir(parents=True)
    (target / "s2/test-00000-of-00001.parquet.unfinished").write_bytes(b"half")
    publish(all_stores, f"file://{target}")

    expected = read_published(all_stores)
    found = {p.relative_to(target).as_posix(): p for p in target.rglob("*.*")}
    assert expected == {name: path.read_bytes() for name, path in found.items()}


def test_a_folder_that_is_interrupted_is_finished(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after any file, the card is missing; repeated, the folder is whole."""
    from builder.publishing import object_store

    expected = read_published(all_stores)
    copy = object_store.FolderPublisher._copy
    for number in range(len(expected)):
        target = tmp_path / str(number)
        left = [number]

        def fail(*args: Any, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError(28, "No space left on device")
            left[0] -= 1
            copy(*args)

        with monkeypatch.context() as patched:
            patched.setattr(object_store.FolderPublisher, "_copy", fail)
            with pytest.raises(PublishError, match="No space left on device"):
                publish(all_stores, f"file://{target}")
        assert not (target / "README.md").exists()
        publish(all_stores, f"file://{target}")

        assert all((target / name).read_bytes() == c for name, c in expected.items())


def test_a_full_disk_is_told_before(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on a disk without room is left empty."""
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskSpaceError, match="bytes more, 1,000 are free"):
        publish(all_stores, f"file://{tmp_path / 'out'}")

    assert [] == list((tmp_path / "out").iterdir())


def test_google_cloud_storage_is_published_to_and_read(
    all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gs://` gets the same files, once; only the columns asked for are read there."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        port = server._api._httpd.socket.getsockname()[1]
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "*")
        publish(all_stores, "gs://bucket/2.0.0")
        again = publish(all_stores, "gs://bucket/2.0.0")
        reader = bigearthnet.open_reader("train", "gs://bucket/2.0.0")
        (found,) = reader.batches(4, ["B04"])
        with pytest.raises(StoreError, match=r"gs://bucket/3/manif.* is missing"):
            bigearthnet.open_reader("train", "gs://bucket/3")
    finally:
        server.stop()
    (local,) = bigearthnet.open_reader("train", all_stores).batches(4, ["B04"])

    assert again.startswith("nothing had to be sent")
    np.testing.assert_array_equal(local["B04"], found["B04"])
