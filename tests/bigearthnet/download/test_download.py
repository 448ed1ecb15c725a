"""Downloads from a server that does everything wrong that servers do."""

from __future__ import annotations

import base64
import errno
import fcntl
import functools
import hashlib
import os
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from urllib3 import Retry
from urllib3.exceptions import SSLError

from bigearthnet import download
from bigearthnet.download import DownloadError, fetch
from bigearthnet.errors import ChecksumError, DiskSpaceError, OptionError
from bigearthnet.release import Digest

# The server and a handler of `conftest`, which cannot be imported.
Server = Any
Handler = Any
Act = Callable[[Handler], None]

RETRIES = Retry(3, backoff_factor=0.001, backoff_max=0.01, retry_after_max=0.01)


def get(
    server: Server,
    path: Path,
    *paths: str,
    urls: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Downloads the server's file from paths of it (`/file`)."""
    if urls is None:
        urls = [server.url(name) for name in paths or ("/file",)]
    nbytes = kwargs.pop("nbytes", len(server.content))
    algorithm = kwargs.pop("algorithm", "sha256")
    expected = hashlib.sha256(server.content).hexdigest()
    digest = Digest(algorithm, kwargs.pop("digest", expected))
    options = {"retries": RETRIES, "quiet": True} | kwargs
    fetch(urls, path, nbytes, digest, **options)


def give(**kwargs: Any) -> Act:
    """An act that answers well except for what the arguments of `give` say."""
    return lambda handler: handler.give(**kwargs)


def stall(handler: Handler) -> None:
    """Sends a third of the file, then nothing, without closing the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(handler.server.content)))
    handler.end_headers()
    handler.wfile.write(handler.server.content[:100_000])
    handler.rfile.read(1)  # until the client has gone


def hang_up(handler: Handler) -> None:
    """Ends the connection without an answer."""


def babble(handler: Handler) -> None:
    """Answers with something that is not HTTP."""
    handler.wfile.write(b"\x00\xff" * 1000 + b"\r\n\r\n")


def sway(handler: Handler) -> None:
    """Starts anew each time, and gets now a bit less far, now a bit further."""
    handler.give(has_ranges=False, cut=50 + len(handler.server.requests) % 2)


def flip(handler: Handler, **kwargs: Any) -> None:
    """Sends the file with one wrong byte."""
    right = handler.server.content
    handler.server.content = bytes([right[0] ^ 1]) + right[1:]
    try:
        handler.give(**kwargs)
    finally:
        handler.server.content = right


def change(handler: Handler) -> None:
    """Sends a part of another file, which then becomes the right one."""
    flip(handler, cut=100_000)


def chunk(handler: Handler) -> None:
    """Sends a part of the file in chunks, without its length, and stops."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = handler.server.content[:50_000]
    handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


CUT = give(cut=100_000)
# What a server does before it answers well.
TEMPORARY: dict[str, list[Act]] = {
    "cut once": [CUT],
    "cut again and again": [give(cut=n) for n in (1, 90_000, 1, 1, 70_000, 9, 9, 9, 9)],
    "cut at once": [give(cut=0), give(cut=0)],
    "hangs up": [hang_up, CUT, hang_up],
    "is not http": [babble],
    "stalls": [stall],
    "chunks without an end": [chunk],
    "503 with a time": [give(status=503, headers={"Retry-After": "3600"})],
    "503 with a date": [
        give(status=503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})
    ],
    "503 with nonsense": [give(status=503, headers={"Retry-After": "soon"})],
    "429": [give(status=429), give(status=429)],
    "500 in the middle": [CUT, give(status=500)],
    "ignores ranges": [CUT, give(has_ranges=False)],
    "ignores ranges and cuts": [CUT, give(has_ranges=False, cut=200_000)],
    "416": [CUT, give(status=416)],
    "wrong range": [CUT, give(headers={"Content-Range": "bytes 0-299999/300000"})],
    "nonsense range": [CUT, give(headers={"Content-Range": "bytes 9-1/x"})],
    "no range": [CUT, give(headers={"Content-Range": None})],
    "huge range": [CUT, give(headers={"Content-Range": f"bytes 1-2/{'9' * 5000}"})],
    "range of another length": [CUT, give(headers={"Content-Length": "7"}, cut=7)],
    "range of unknown size": [
        CUT,
        give(headers={"Content-Range": "bytes 100000-299999/*"}),
    ],
    "range of another file": [
        CUT,
        give(headers={"Content-Range": "bytes 100000-299999/300001"}),
    ],
    "several ranges": [
        CUT,
        give(headers={"Content-Range": "bytes 100000-199999/300000, bytes 1-2/3"}),
    ],
    "range of other digits": [
        CUT,
        give(
            headers={
                "Content-Range": "bytes 100000-\u0669/300000".encode().decode("latin-1")
            }
        ),
    ],
    "a part of the range": [
        CUT,
        give(
            headers={
                "Content-Range": "bytes 100000-149999/300000",
                "Content-Length": "50000",
            },
            cut=50_000,
        ),
    ],
    "range beyond the end": [
        CUT,
        give(
            headers={
                "Content-Range": "bytes 100000-399999/*",
                "Content-Length": "300000",
            },
            extra=bytes(100_000),
        ),
    ],
    "no length": [give(headers={"Content-Length": None})],
    "no length and cut": [give(headers={"Content-Length": None}, cut=9)],
    "no length and too much": [give(headers={"Content-Length": None}, extra=b"x" * 9)],
    "sends too much": [give(extra=b"x" * 100_000)],
    "file changes": [change],
    "redirects": [give(status=302, headers={"Location": "/elsewhere"})],
    "redirects to nonsense characters": [
        give(status=301, headers={"Location": "/a b\u00e9"})
    ],
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_server_may_do_wrong_for_a_while(
    name: str, server: Server, tmp_path: Path
) -> None:
    """The file is right in the end, and alone, whatever the server does before."""
    server.acts["/file"] = list(TEMPORARY[name])
    get(server, tmp_path / "file", timeout_s=0.2 if name == "stalls" else 60)

    assert server.content == (tmp_path / "file").read_bytes()
    assert ["file"] == os.listdir(tmp_path)
    assert [] == server.acts["/file"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ignores ranges", [None, "bytes=100000-"]),
        ("416", [None, "bytes=100000-", None]),
        ("wrong range", [None, "bytes=100000-", None]),
        ("nonsense range", [None, "bytes=100000-", None]),
        ("no range", [None, "bytes=100000-", None]),
        ("huge range", [None, "bytes=100000-", None]),
        ("range of another length", [None, "bytes=100000-", "bytes=100007-"]),
        ("range of another file", [None, "bytes=100000-", None]),
        ("several ranges", [None, "bytes=100000-", None]),
        ("range of other digits", [None, "bytes=100000-", None]),
        ("a part of the range", [None, "bytes=100000-", "bytes=150000-"]),
        ("range of unknown size", [None, "bytes=100000-"]),
        ("range beyond the end", [None, "bytes=100000-"]),
        ("no length and too much", [None]),
        ("sends too much", [None]),
        ("file changes", [None, "bytes=100000-", None]),
    ],
)
def test_what_is_asked_of_a_server_that_does_wrong(
    name: str, expected: list[str | None], server: Server, tmp_path: Path
) -> None:
    """A range that is not answered as it should be is followed by a new beginning."""
    server.acts["/file"] = list(TEMPORARY[name])
    get(server, tmp_path / "file")

    assert expected == server.ranges()


@pytest.mark.parametrize(
    "text",
    ["-1", f"Fri, 31 Dec {'9' * 30} 23:59:59 GMT", "1.5", "9" * 5000, "soon", ""],
)
def test_an_invalid_retry_after_is_ignored(
    text: str, server: Server, tmp_path: Path
) -> None:
    """A Retry-After that is neither seconds nor a date does not end the download."""
    server.acts["/file"] = [give(status=503, headers={"Retry-After": text})]
    get(server, tmp_path / "file")

    assert [None, None] == server.ranges()
    assert server.content == (tmp_path / "file").read_bytes()


# What a server never stops doing, and what the error says.
PERMANENT: dict[str, tuple[Act, str]] = {
    "404": (give(status=404), "404 Not Found"),
    "403": (give(status=403), "403 Forbidden"),
    "410": (give(status=410), "410 Gone"),
    "204": (give(status=204), "204 No Content"),
    "206 of all": (give(status=206), "206 Partial Content"),
    "short": (
        give(headers={"Content-Length": "299999"}, cut=299_999),
        "expected 300000 bytes, got 299999",
    ),
    "long": (
        give(headers={"Content-Length": "300001"}, extra=b"x"),
        "expected 300000 bytes, got 300001",
    ),
    "gzip": (give(headers={"Content-Encoding": "gzip"}), "in the encoding 'gzip'"),
    "redirects to itself": (
        give(status=302, headers={"Location": "/file"}),
        "redirects more than 10 times",
    ),
    "redirects to a file": (
        give(status=302, headers={"Location": "file:///etc/passwd"}),
        "redirects to 'file:///etc/passwd'",
    ),
    "redirects to a password": (
        give(status=302, headers={"Location": "http://a:b@127.0.0.1/"}),
        "redirects to 'http://a:b@127.0.0.1/'",
    ),
    "redirects to half an address": (
        give(status=302, headers={"Location": "http://[::1/"}),
        "redirects to 'http://",
    ),
    "redirects nowhere": (give(status=307), "redirects more than 10 times"),
    "always stalls": (stall, "Read timed out.*; gave up after 4 attempts"),
    "always cuts": (
        give(has_ranges=False, cut=9),
        r"failed after 9 bytes \(.*\); gave up after 4 attempts",
    ),
    "never gets further": (sway, "gave up after 4 attempts"),
    "always hangs up": (hang_up, "Connection aborted.*; gave up after 4 attempts"),
    "always 503": (give(status=503), "503 Service Unavailable.*; gave up after 4"),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_a_server_that_cannot_give_the_file_is_left(
    name: str, server: Server, tmp_path: Path
) -> None:
    """The error names URL and reason; another server gives the file all the same."""
    act, message = PERMANENT[name]
    server.acts["/file"] = [act] * 100
    timeout_s = 0.2 if name == "always stalls" else 60
    with pytest.raises(DownloadError, match=f"{server.url('/file')}: .*{message}"):
        get(server, tmp_path / "file", timeout_s=timeout_s)

    assert not (tmp_path / "file").exists()
    get(server, tmp_path / "file", "/file", "/mirror", timeout_s=timeout_s)
    assert server.content == (tmp_path / "file").read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_nothing_is_left_where_nothing_came(server: Server, tmp_path: Path) -> None:
    """A download that failed without a byte leaves an empty folder."""
    server.acts["/file"] = [give(status=404)]
    with pytest.raises(DownloadError):
        get(server, tmp_path / "new" / "file")

    assert [] == os.listdir(tmp_path / "new")


def test_an_uninterrupted_download_is_one_request_and_one_pass(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is asked for once, as it is, and its bytes are not read again."""

    def read_end(file: int, nbytes: int) -> bytes:
        piece = read(file, nbytes)
        assert not piece
        return piece

    read = os.read
    monkeypatch.setattr("os.read", read_end)
    get(server, tmp_path / "file")
    (request,) = server.requests

    assert "identity" == request.headers["accept-encoding"]
    assert "range" not in request.headers


def test_a_cut_download_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    """What is missing is asked for by range; no byte is sent twice."""
    server.acts["/file"] = [CUT, give(cut=50_000)]
    get(server, tmp_path / "file")

    assert [None, "bytes=100000-", "bytes=150000-"] == server.ranges()
    assert len(server.content) == server.served


def test_the_next_server_goes_on(server: Server, tmp_path: Path) -> None:
    """Bytes of one server are completed by another."""
    server.acts["/file"] = [CUT, *[give(status=404)] * 9]
    get(server, tmp_path / "file", "/file", "/mirror")

    assert [None, "bytes=100000-", "bytes=100000-"] == server.ranges()
    assert len(server.content) == server.served


def test_a_wrong_byte_is_not_kept(server: Server, tmp_path: Path) -> None:
    """A wrong digest names URL, expected and got; nothing of the file is left."""
    server.acts["/file"] = [flip]
    right = hashlib.sha256(server.content).hexdigest()
    wrong = bytes([server.content[0] ^ 1]) + server.content[1:]
    got = hashlib.sha256(wrong).hexdigest()

    with pytest.raises(
        ChecksumError, match=f"{server.url()}: expected sha256 {right}, got {got}"
    ):
        get(server, tmp_path / "file")

    assert [] == os.listdir(tmp_path)


def test_after_a_wrong_byte_the_next_server_is_asked(
    server: Server, tmp_path: Path
) -> None:
    """A server that gives other bytes does not spoil those of the next."""
    server.acts["/file"] = [flip]
    get(server, tmp_path / "file", "/file", "/mirror")

    assert ["/file", "/mirror"] == [request.path for request in server.requests]
    assert server.content == (tmp_path / "file").read_bytes()


def test_wrong_bytes_are_told_even_if_the_last_server_is_down(
    server: Server, tmp_path: Path
) -> None:
    """An error of several servers names each; a wrong digest decides its type."""
    server.acts = {"/a": [flip], "/b": [give(status=404)]}

    with pytest.raises(ChecksumError, match=r"/a: expected sha256.*/b: 404 Not Found"):
        get(server, tmp_path / "file", "/a", "/b")


def test_parts_that_do_not_fit_are_fetched_again(
    server: Server, tmp_path: Path
) -> None:
    """If bytes of several answers are wrong together, all are fetched once more."""
    path = tmp_path / "file"
    leave_part(server, path)
    part = tmp_path / "file.part"
    part.write_bytes(bytes(part.stat().st_size))  # as after a power loss
    get(server, path)

    assert [None, "bytes=100000-", None] == server.ranges()
    assert server.content == path.read_bytes()


def test_wrong_bytes_in_pieces_are_fetched_once_more_only(
    server: Server, tmp_path: Path
) -> None:
    """A server that cuts and has another file is left after the second wrong digest."""
    server.acts["/file"] = [CUT, give(), CUT]
    with pytest.raises(ChecksumError, match="expected sha256"):
        get(server, tmp_path / "file", digest="0" * 64)

    ranges = [None, "bytes=100000-", None, "bytes=100000-"]
    assert ranges == server.ranges()
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("scheme", ["", "http://", "http://user:pass%21word@"])
def test_the_proxy_of_the_environment_is_asked(
    scheme: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets the whole URL, and the user and password of its own."""
    monkeypatch.setenv("http_proxy", scheme + server.url("").removeprefix("http://"))
    monkeypatch.setenv("no_proxy", "")
    url = "http://archive.example/file"
    get(server, tmp_path / "file", urls=[url])
    (request,) = server.requests
    basic = base64.b64encode(b"user:pass!word").decode()

    assert url == request.path
    assert server.content == (tmp_path / "file").read_bytes()
    assert request.headers.get("proxy-authorization") == (
        f"Basic {basic}" if "@" in scheme else None
    )


def leave_part(server: Server, path: Path, **kwargs: Any) -> None:
    """Ends a download after 100,000 bytes."""
    server.acts["/file"] = [CUT, give(status=404)]
    with pytest.raises(DownloadError, match="The 100,000 bytes received are kept"):
        get(server, path, **kwargs)
    del server.requests[1:]


def test_a_part_of_another_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    """A leftover of another file is replaced, once its digest has turned out wrong."""
    (tmp_path / "file.part").write_bytes(b"another" * 10_000)
    get(server, tmp_path / "file")

    assert ["bytes=70000-", None] == server.ranges()
    assert server.content == (tmp_path / "file").read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_after_a_resumed_wrong_file_all_is_fetched_once_more_only(
    server: Server, tmp_path: Path
) -> None:
    """A server that has another file is asked for all of it once, then left."""
    (tmp_path / "file.part").write_bytes(server.content[:100_000])
    with pytest.raises(ChecksumError, match="expected sha256"):
        get(server, tmp_path / "file", digest="0" * 64)

    assert ["bytes=100000-", None] == server.ranges()
    assert [] == os.listdir(tmp_path)


def test_a_part_is_not_written_through_a_link(server: Server, tmp_path: Path) -> None:
    """A link under the part's name is refused, and where it leads is not touched."""
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "file.part").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match=r"file\.part"):
        get(server, tmp_path / "file")

    assert b"other" == (tmp_path / "other").read_bytes()


def test_a_part_that_is_too_long_is_not_used(server: Server, tmp_path: Path) -> None:
    """A part with more bytes than the file has is thrown away."""
    leave_part(server, tmp_path / "file")
    (tmp_path / "file.part").write_bytes(bytes(300_001))
    get(server, tmp_path / "file")

    assert [None, None] == server.ranges()
    assert server.content == (tmp_path / "file").read_bytes()


def test_a_whole_part_needs_no_server(server: Server, tmp_path: Path) -> None:
    """A download that was killed before the renaming is finished without a request."""
    leave_part(server, tmp_path / "file")
    (tmp_path / "file.part").write_bytes(server.content)
    get(server, tmp_path / "file")

    assert [None] == server.ranges()
    assert ["file"] == os.listdir(tmp_path)


def test_ctrl_c_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the same call goes on where it was ended."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    server.acts["/file"] = [CUT]
    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get(server, tmp_path / "file")
    get(server, tmp_path / "file")

    assert [None, "bytes=100000-"] == server.ranges()
    assert server.content == (tmp_path / "file").read_bytes()


def test_a_killed_download_goes_on(server: Server, tmp_path: Path) -> None:
    """After SIGKILL the same call fetches only what is missing."""
    path, part = tmp_path / "file", tmp_path / "file.part"
    killed = threading.Event()

    def give_half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(server.content)))
        handler.end_headers()
        handler.wfile.write(server.content[:150_000])
        killed.wait(60)

    server.acts["/file"] = [give_half]
    digest = hashlib.sha256(server.content).hexdigest()
    code = (
        "import sys; from pathlib import Path\n"
        "from bigearthnet.download import fetch\n"
        "from bigearthnet.release import Digest\n"
        f"digest, nbytes = Digest('sha256', {digest!r}), {len(server.content)}\n"
        f"fetch([{server.url()!r}], Path(sys.argv[1]), nbytes, digest, quiet=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)])
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == 150_000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed.set()
    assert ["file.part"] == os.listdir(tmp_path)
    get(server, path)

    assert [None, "bytes=150000-"] == server.ranges()
    assert len(server.content) - 150_000 == server.served
    assert server.content == path.read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_a_second_download_of_the_same_file_is_refused(
    server: Server, tmp_path: Path
) -> None:
    """While one download runs, another of the same file ends with an error."""
    errors: list[Exception] = []

    def download_again(handler: Handler) -> None:
        try:
            get(server, tmp_path / "file", "/other")
        except DownloadError as error:
            errors.append(error)
        handler.give()

    server.acts["/file"] = [download_again]
    get(server, tmp_path / "file")
    (error,) = errors

    assert f"{tmp_path / 'file'} is being downloaded by another" in str(error)
    assert server.content == (tmp_path / "file").read_bytes()


def test_a_part_that_another_download_finishes_meanwhile_is_not_touched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is renamed before it is locked is the file now, and left alone."""
    path, lock = tmp_path / "file", fcntl.flock

    def finish_first(file: int, operation: int) -> None:
        path.with_name("file.part").rename(path)
        path.write_bytes(server.content)
        lock(file, operation)

    monkeypatch.setattr("fcntl.flock", finish_first)
    with pytest.raises(DownloadError, match="by another process"):
        get(server, path)

    assert server.content == path.read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_a_file_is_durable_before_it_has_its_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are synchronised first, then renamed, then the folder is."""
    steps: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def note(file: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(file).st_mode)
        steps.append((is_folder, (tmp_path / "file").exists()))
        fsync(file)

    monkeypatch.setattr("os.fsync", note)
    get(server, tmp_path / "file")

    assert [(False, False), (True, True)] == steps


def test_a_file_system_without_locks_is_no_obstacle(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no locks, the download goes on without."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    get(server, tmp_path / "file")

    assert server.content == (tmp_path / "file").read_bytes()


def test_a_file_that_is_there_is_verified(server: Server, tmp_path: Path) -> None:
    """A whole file is accepted without a request."""
    (tmp_path / "file").write_bytes(server.content)
    get(server, tmp_path / "file")

    assert [] == server.requests


@pytest.mark.parametrize("content", [b"short", bytes(300_000)])
def test_a_wrong_file_that_is_there_is_refused_and_kept(
    content: bytes, server: Server, tmp_path: Path
) -> None:
    """Another file under the name is neither accepted nor replaced."""
    (tmp_path / "file").write_bytes(content)
    message = "file exists: expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}. Remove it"
    with pytest.raises(ChecksumError, match=message):
        get(server, tmp_path / "file")

    assert [] == server.requests
    assert content == (tmp_path / "file").read_bytes()


def test_waits_grow_and_obey_the_server_within_bounds(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits double without gain, start over after one, and heed Retry-After.

    The first repetition comes at once.
    """
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    busy = functools.partial(give, status=503)
    server.acts["/file"] = [
        busy(),
        busy(),
        busy(headers={"Retry-After": "7"}),
        busy(headers={"Retry-After": "999999999"}),
        CUT,
        busy(),
    ]
    retries = Retry(4, backoff_factor=1, backoff_max=20, retry_after_max=20)
    get(server, tmp_path / "file", retries=retries)

    assert [0, 2, 7, 20, 0, 2] == waits


def test_a_full_disk_is_told_before(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not fit is not begun; what is there counts as room taken."""
    leave_part(server, tmp_path / "file")
    usage = type("Usage", (), {"free": 199_999})
    monkeypatch.setattr(download.part.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskSpaceError, match="200,000 bytes more, 199,999 are free"):
        get(server, tmp_path / "file")
    usage.free = 200_000  # type: ignore[attr-defined]
    get(server, tmp_path / "file")

    assert server.content == (tmp_path / "file").read_bytes()


def test_an_error_of_the_disk_is_not_the_servers(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails ends the download, and no server is asked again."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "file.part")

    monkeypatch.setattr("bigearthnet.download.part.write_all", fail)
    with pytest.raises(OSError, match=r"No space left on device: 'file.part'"):
        get(server, tmp_path / "file", "/file", "/mirror")

    assert 1 == len(server.requests)


@pytest.mark.parametrize("algorithm", ["sha384", "md5", "blake2b"])
def test_other_digests(algorithm: str, server: Server, tmp_path: Path) -> None:
    """Any digest of a fixed size that hashlib has can be expected."""
    digest = hashlib.new(algorithm, server.content).hexdigest()
    get(server, tmp_path / "file", algorithm=algorithm, digest=digest)

    assert server.content == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha256", "0" * 63),
        ("sha256", "G" * 64),
        ("sha384", "0" * 64),
        ("shake_128", ""),
        ("crc", "0" * 8),
    ],
)
def test_a_wrong_digest_is_refused(
    algorithm: str, digest: str, server: Server, tmp_path: Path
) -> None:
    """A digest that no file can have is refused before anything is done."""
    with pytest.raises(OptionError, match=f"no digest of {algorithm}"):
        get(server, tmp_path / "file", algorithm=algorithm, digest=digest)

    assert [] == server.requests


def test_no_url_is_refused(server: Server, tmp_path: Path) -> None:
    """Without a URL there is nothing to do."""
    with pytest.raises(OptionError, match="no URL to download file from"):
        get(server, tmp_path / "file", urls=[])


def test_a_closed_port_is_an_error(server: Server, tmp_path: Path) -> None:
    """A server that is not there is tried again, then given up."""
    with pytest.raises(DownloadError, match=r"Connection refused.*gave up after 4"):
        get(server, tmp_path / "file", urls=["http://127.0.0.1:1/file"])


def test_https_is_not_spoken_by_this_server(server: Server, tmp_path: Path) -> None:
    """A handshake that fails is an error of ours."""
    with pytest.raises(DownloadError, match=r"SSL.*gave up after 4"):
        get(server, tmp_path / "file", urls=[server.url().replace("http", "https")])


def test_an_invalid_certificate_is_not_retried(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate is invalid is left at once; the next one is asked."""

    def verify(url: str, *_: object) -> object:
        if "mirror" not in url:
            text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
            raise SSLError(ssl.SSLCertVerificationError(1, text))
        return open_rest(url, *_)

    open_rest = download.open_rest
    monkeypatch.setattr("bigearthnet.download.open_rest", verify)
    monkeypatch.setattr("time.sleep", pytest.fail)
    with pytest.raises(DownloadError, match="certificate verify failed"):
        get(server, tmp_path / "file")
    get(server, tmp_path / "file", "/file", "/mirror")

    assert server.content == (tmp_path / "file").read_bytes()


def test_what_happens_is_told(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress and each failure are shown, but not if it is to be quiet."""
    server.acts["/file"] = [CUT]
    get(server, tmp_path / "loud", quiet=False)
    loud = capsys.readouterr().err
    server.acts["/file"] = [CUT]
    get(server, tmp_path / "quiet")

    assert "failed after 100,000 bytes" in loud
    assert "; retrying in 0 s." in loud
    assert "download loud: 0.3 MB of 0.3 MB" in loud
    assert ("", "") == tuple(capsys.readouterr())


def test_a_size_that_nobody_published_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    """The second server knows it; the digest alone decides, also after an error."""
    server.acts["/down"] = [give(status=503)]
    server.acts["/file"] = [give(headers={"Content-Length": None}), give(), give(cut=9)]
    with pytest.raises(DownloadError, match=r"503, and no size.*200, and no size"):
        get(server, tmp_path / "file", "/down", "/file", nbytes=None)
    assert [] == os.listdir(tmp_path)
    get(server, tmp_path / "file", "/file", nbytes=None)

    assert server.content == (tmp_path / "file").read_bytes()
    with pytest.raises(ChecksumError, match="exists: expected sha256"):
        get(server, tmp_path / "file", "/file", nbytes=None, digest="0" * 64)
