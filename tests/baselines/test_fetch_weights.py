from __future__ import annotations

import csv
import gzip
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from baselines import fetch_weights
from baselines.errors import WeightsError
from baselines.fetch_weights import INCEPTION_V2, WeightsRelease, extract_member
from bigearthnet.errors import ChecksumError

CHECKSUMS = Path(fetch_weights.__file__).parents[1] / "checksums"
NAME = "inception_v2.ckpt"
# Not one byte twice in a row, and longer than what a read gives.
CONTENT = bytes(range(251)) * 5000


@dataclass
class Server:
    """A server on this machine that has one file.

    Attributes:
        content: Path on the server → content.
        requests: Path and `Range` of each request.
        cut_after: Bytes after which the first answer ends, if at all.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0
    cut_after: int | None = None

    def url(self, name: str) -> str:
        """URL of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with whole files, or with the rest of one."""

    def __init__(self, server: Server, *args: object) -> None:
        self.files = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Sends a file, or 404."""
        name, span = self.path.strip("/"), self.headers["Range"]
        self.files.requests.append((name, span))
        content = self.files.content.get(name)
        if content is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        self.send_response(206 if span else 200)
        if span:
            end, total = len(content) - 1, len(content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{total}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = self.files.cut_after
        self.files.cut_after = None
        self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server without files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files = Server()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, files)
    ) as running:
        files.port = running.server_port
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield files
        running.shutdown()
        thread.join()


def make_tar(*members: tuple[str, bytes | str]) -> bytes:
    """A .tar.gz archive; where the content is text, a symbolic link to it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def make_release(archive: bytes, *urls: str) -> WeightsRelease:
    """A release of an archive."""
    digest = hashlib.sha384(archive).hexdigest()
    return WeightsRelease(urls, len(archive), digest, NAME, len(CONTENT))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes an archive into an empty folder."""

    def write_archive(content: bytes) -> Path:
        path = tmp_path / "weights.tar.gz"
        path.write_bytes(content)
        return path

    return write_archive


def test_the_checkpoint_is_fetched_and_unpacked(server: Server, tmp_path: Path) -> None:
    """The archive is downloaded and verified, and its checkpoint lies beside it."""
    archive = server.content["a.tar.gz"] = make_tar((NAME, CONTENT))
    output = tmp_path / "new" / "folder"

    written = fetch_weights.fetch_weights(
        output, make_release(archive, server.url("a.tar.gz")), quiet=True
    )

    assert ["a.tar.gz", NAME] == sorted(file.name for file in output.iterdir())
    assert CONTENT == (output / NAME).read_bytes()
    assert (NAME, len(CONTENT)) == (written.name, written.nbytes)
    assert hashlib.sha256(CONTENT).hexdigest() == written.sha256


def test_the_archive_is_fetched_once(server: Server, tmp_path: Path) -> None:
    """A second run unpacks the archive that is there, and asks no server."""
    archive = server.content["a.tar.gz"] = make_tar((NAME, CONTENT))
    release = make_release(archive, server.url("a.tar.gz"))

    for _ in range(2):
        fetch_weights.fetch_weights(tmp_path, release, quiet=True)
        assert CONTENT == (tmp_path / NAME).read_bytes()
        (tmp_path / NAME).unlink()

    assert [("a.tar.gz", None)] == server.requests


def test_a_download_goes_on(server: Server, tmp_path: Path) -> None:
    """A connection that ends early is no harm: the rest of the archive is asked for."""
    archive = server.content["a.tar.gz"] = make_tar((NAME, CONTENT))
    server.cut_after = 1000

    fetch_weights.fetch_weights(
        tmp_path, make_release(archive, server.url("a.tar.gz")), quiet=True
    )

    assert [("a.tar.gz", None), ("a.tar.gz", "bytes=1000-")] == server.requests
    assert CONTENT == (tmp_path / NAME).read_bytes()


def test_a_wrong_archive_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    """What has another checksum than the release is an error, and is thrown away."""
    release = make_release(make_tar((NAME, CONTENT)), server.url("a.tar.gz"))
    wrong = make_tar((NAME, CONTENT[::-1]))
    server.content["a.tar.gz"] = (wrong + bytes(9))[: release.nbytes]

    with pytest.raises(ChecksumError, match="sha384"):
        fetch_weights.fetch_weights(tmp_path, release, quiet=True)

    assert [] == [f.name for f in tmp_path.iterdir() if "part" not in f.name]


def test_a_mirror_is_tried_first(server: Server, tmp_path: Path) -> None:
    """The mirror is asked first; where it has nothing, the others are."""
    archive = server.content["a.tar.gz"] = make_tar((NAME, CONTENT))
    release = make_release(archive, server.url("a.tar.gz"))
    mirror = server.url("mirror.tar.gz")

    fetch_weights.fetch_weights(tmp_path, release, mirror=mirror, quiet=True)

    assert [("mirror.tar.gz", None), ("a.tar.gz", None)] == server.requests
    assert (tmp_path / "a.tar.gz").is_file()


def test_a_name_may_begin_with_a_dot(write: Callable[[bytes], Path]) -> None:
    """`./name` is the name; other members stay in the archive."""
    archive = write(make_tar(("../evil", b"1"), (f"./{NAME}", CONTENT), ("b", b"2")))

    extract_member(archive, NAME, len(CONTENT))

    assert CONTENT == (archive.parent / NAME).read_bytes()
    assert {NAME, archive.name} == {file.name for file in archive.parent.iterdir()}
    assert not (archive.parent.parent / "evil").exists()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (make_tar(("b", b"1")), "got none"),
        (make_tar((f"folder/{NAME}", b"1")), "got none"),
        (make_tar((f"/{NAME}", b"1")), "got none"),
        (make_tar((NAME, "/etc/passwd")), "got no regular file"),
        (make_tar((NAME, CONTENT + b"1")), "at most 1,255,000 .* got .* 1,255,001 b"),
        (make_tar((NAME, b"1"), (NAME, b"22")), "got a file of 1 bytes and .* 2 bytes"),
        (make_tar((NAME, CONTENT))[:-3000], "cannot be read"),
        (gzip.compress(b"1" * 700, mtime=0), "cannot be read"),
        (b"<html>", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_another_archive_is_refused(
    archive: bytes, message: str, write: Callable[[bytes], Path]
) -> None:
    """Links, paths, too large files, damage: an error of ours, and no checkpoint."""
    path = write(archive)

    with pytest.raises(WeightsError, match=rf"weights\.tar\.gz.*{message}"):
        extract_member(path, NAME, len(CONTENT))

    assert not (path.parent / NAME).exists()


def test_a_cut_member_is_refused(write: Callable[[bytes], Path]) -> None:
    """An archive that ends within the checkpoint, but is whole as gzip, is refused."""
    cut = gzip.decompress(make_tar((NAME, CONTENT)))[:100_000]
    path = write(gzip.compress(cut))

    with pytest.raises(WeightsError, match="cannot be read"):
        extract_member(path, NAME, len(CONTENT))

    assert not (path.parent / NAME).exists()


def test_the_release_is_the_published_one() -> None:
    """URLs, size and checksum stand in `checksums/weights.tsv`, too."""
    with (CHECKSUMS / "weights.tsv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="\t")

    assert ["url", "bytes", "sha384", "filename"] == header
    assert rows == [
        [url, str(INCEPTION_V2.nbytes), INCEPTION_V2.sha384, INCEPTION_V2.filename]
        for url in INCEPTION_V2.urls
    ]
    assert 41_577_079 == INCEPTION_V2.nbytes
    assert 96 == len(INCEPTION_V2.sha384)
    assert all(url.endswith(f"/{INCEPTION_V2.filename}") for url in INCEPTION_V2.urls)


def test_weights_have_a_folder_of_their_own() -> None:
    """Without --output, the command writes into `weights`."""
    line = [sys.executable, "-m", "baselines.fetch_weights", "--help"]
    shown = subprocess.run(line, capture_output=True, text=True, check=False).stdout

    assert "(default: weights)" in shown
