from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.engine.tries import PartTask, ShardTry
from bigearthnet.errors import (
    ArchiveError,
    DownloadError,
    JournalError,
)
from bigearthnet.util.remote import parse_url
from builder.build import build
from tests.bigearthnet.engine.buckets import (
    OPTIONS,
    S2,
    Meddling,
    check,
    run,
)
from tests.s3 import S3, SECRET


@pytest.mark.parametrize(
    ("status", "code"),
    [("500 Internal Server Error", "InternalError"), ("503 Slow Down", "SlowDown")],
)
def test_a_server_that_fails_at_times(
    status: str, code: str, source: S3, real_stores: dict[str, bytes]
) -> None:
    """Requests that fail once are repeated by the client; the bytes are the same."""
    source.status, source.code = status, code
    source.fails = lambda number: number % 20 == 0
    run()
    check(source.contents("data"), real_stores)


def test_a_server_that_is_down(
    source: S3, real_stores: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that always fails is one error; later, the same command goes on."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    source.status, source.code = "500 Internal Server Error", "InternalError"

    def stop() -> None:
        source.fails = lambda number: True

    with pytest.raises(DownloadError, match=r"s3://bucket/data/.* \(status 500\)"):
        run(Meddling(ShardTry, stop))
    assert [p for p in source.contents("data") if p.endswith("/journal.jsonl")]
    run()
    check(source.contents("data"), real_stores)


@pytest.mark.parametrize("denied", [("PUT",), ("PUT", "POST", "DELETE")])
def test_a_login_that_may_not_write(denied: tuple[str, ...], source: S3) -> None:
    """A build with a login that may only read ends at once, and says no secret."""
    source.requests.clear()
    source.fails = lambda number: source.requests[-1].startswith(denied)
    with pytest.raises(DownloadError, match=r"may not be (written|deleted)") as raised:
        run()
    assert SECRET not in str(raised.value)
    assert not [r for r in source.requests if r.endswith(".tif")]
    assert source.contents("data") == {}


def test_an_answer_that_is_cut(source: S3, real_stores: dict[str, bytes]) -> None:
    """Ranges of a spool that end early are asked for again, or are one error."""
    source.cuts = lambda request: "/spool-s2/train-" in request
    with pytest.raises(DownloadError, match="train-000 cannot be read"):
        run()
    left = iter([True])
    source.cuts = lambda request: "/spool-s2/train-" in request and next(left, False)
    run()
    check(source.contents("data"), real_stores)


def test_a_patch_that_vanishes(source: S3, sample_folder: Path) -> None:
    """A patch that was listed and is gone when it is read is named."""
    name = sorted(path.name for path in sample_folder.iterdir())[0]
    with pytest.raises(ArchiveError, match=f"{name} was in s3://.* and is gone"):
        run(Meddling(PartTask, lambda: source.clear(f"source/{name}")))
    assert source.contents("data") == {}


def test_a_bucket_that_vanishes(source: S3, real_stores: dict[str, bytes]) -> None:
    """A bucket of the spool that is gone ends the build before it is published."""

    def delete() -> None:
        for key in source.keys("data"):
            if "/spool-s2/train-" in key:
                source.client.delete_object(Bucket="bucket", Key=key)

    with pytest.raises(JournalError, match=r"is gone, .*train-000 is missing"):
        run(Meddling(ShardTry, delete))
    run(restart=True)
    check(source.contents("data"), real_stores)


def test_google_cloud_storage(
    sample_folder: Path, real_stores: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder here into `gs://`: the same bytes, and nothing is left over.

    The emulator cuts line feeds off the end of what it gets: it can hold no sources.
    """
    gcsfs = pytest.importorskip("gcsfs")
    server = pytest.importorskip("gcp_storage_emulator.server").create_server(
        "127.0.0.1", 0, in_memory=True, default_bucket="bucket"
    )
    server.start()
    try:
        port = server._api._httpd.socket.getsockname()[1]
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "*")
        client = gcsfs.GCSFileSystem(skip_instance_cache=True)
        data_dir = parse_url("gs://bucket/data")
        build(sample_folder, data_dir, S2, OPTIONS, formats=["arrow"])
        names = client.find("bucket/data")
        found = {n.removeprefix("bucket/data/"): client.cat_file(n) for n in names}
    finally:
        server.stop()
    check(found, real_stores)
