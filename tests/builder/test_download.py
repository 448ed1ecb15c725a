from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3 import Retry

from bigearthnet.download import DownloadError
from bigearthnet.errors import ChecksumError
from bigearthnet.release import RELEASES, V1, Release
from builder.download import RELEASES, download

RETRIES = Retry(0)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serves a folder on the loopback interface and yields its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keeps quiet."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of a folder with `right/` and `wrong/` archives of the same size."""
    monkeypatch.setenv("no_proxy", "*")
    for name, seed in [("right", 1), ("wrong", 2)]:
        folder = tmp_path / "server" / name
        folder.mkdir(parents=True)
        (folder / V1.filenames[0]).write_bytes(random.Random(seed).randbytes(200_000))
    with serve(tmp_path / "server") as served:
        yield served


@pytest.fixture
def release(address: str, tmp_path: Path) -> Release:
    """A release of the right archive."""
    content = (tmp_path / "server/right" / V1.filenames[0]).read_bytes()
    return dataclasses.replace(
        V1,
        url=f"{address}/right/{V1.filenames[0]}",
        nbytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def test_the_archive_has_the_name_of_the_release(
    release: Release, tmp_path: Path
) -> None:
    """The archive is put into a new folder, whole, with nothing beside it."""
    path = download(release, tmp_path / "a" / "b", retries=RETRIES, quiet=True)

    assert tmp_path / "a" / "b" / "BigEarthNet-S2-v1.0.tar.gz" == path
    assert release.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [path.name] == os.listdir(path.parent)


def test_mirrors_come_first(release: Release, address: str, tmp_path: Path) -> None:
    """A mirror is asked before the official URL, which is not needed then."""
    mirror = release.url
    release = dataclasses.replace(release, url=f"{address}/missing")
    path = download(
        release,
        tmp_path,
        mirrors=[f"{address}/missing", mirror],
        retries=RETRIES,
        quiet=True,
    )

    assert release.nbytes == path.stat().st_size


def test_a_mirror_with_other_bytes_does_no_harm(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong bytes of a mirror are told, then thrown away; the next URL is used."""
    mirror = release.url.replace("right", "wrong")
    path = download(release, tmp_path, mirrors=[mirror], retries=RETRIES)

    assert f"{mirror}: expected sha256 {release.sha256}" in capsys.readouterr().err
    assert release.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_archive_is_made_of_wrong_bytes(release: Release, tmp_path: Path) -> None:
    """If nobody has the right bytes, there is an error and no file."""
    wrong = dataclasses.replace(release, url=release.url.replace("right", "wrong"))
    missing = dataclasses.replace(release, url=release.url.replace("right", "x"))
    with pytest.raises(ChecksumError, match="expected sha256"):
        download(wrong, tmp_path / "out", retries=RETRIES, quiet=True)
    with pytest.raises(DownloadError, match="404 Not Found"):
        download(missing, tmp_path / "out", retries=RETRIES, quiet=True)

    assert [] == os.listdir(tmp_path / "out")


def run_command(
    *arguments: str, release: Release | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, for another release if given."""
    code = "from bigearthnet import command\nfrom builder import download\n"
    if release is not None:
        fields = {
            "url": release.url,
            "nbytes": release.nbytes,
            "sha256": release.sha256,
        }
        code += (
            "import dataclasses\n"
            f"download.RELEASES['v1'] = dataclasses.replace(download.V1, **{fields})\n"
        )
    code += "command.run(download._main, download._define_flags)"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_what_it_fetches(release: Release, tmp_path: Path) -> None:
    """It prints file, size, URLs, then the checksum; run again, it verifies."""
    mirror = release.url.replace("right", "missing")
    arguments = [f"--output={tmp_path / 'out'}", f"--mirror={mirror}"]
    done = run_command(*arguments, release=release)
    again = run_command(*arguments, release=release)
    name = V1.filenames[0]

    assert [
        f"{name}, 0.0 GB, to {tmp_path / 'out'}/ from {mirror}, else {release.url}",
        f"{tmp_path / 'out' / name}: 200,000 bytes, sha256 {release.sha256}: verified",
    ] == done.stdout.splitlines()
    assert f"{mirror}: 404" in done.stderr
    assert f"download {name}: 0.2 MB of 0.2 MB" in done.stderr
    assert (0, 0) == (done.returncode, again.returncode)
    assert again.stderr.startswith(f"verify {name}: 0.2 MB of 0.2 MB")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--mirror=file:///etc/passwd", "error: 'file:///etc/passwd' cannot be"),
        ("--release=v9", "v9"),
    ],
)
def test_wrong_flags_are_refused(flag: str, message: str, tmp_path: Path) -> None:
    """A flag that makes no sense ends the command with an error that shows it."""
    done = run_command(f"--output={tmp_path / 'out'}", flag)

    assert 1 == done.returncode
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_an_example() -> None:
    """`python -m builder.download --help` shows what it does, and how."""
    done = subprocess.run(
        [sys.executable, "-m", "builder.download", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Downloads an archive of BigEarthNet" in done.stdout
    assert "python -m builder.download --output=downloads" in done.stdout
    assert "--mirror" in done.stdout


def test_the_first_release_is_the_published_one() -> None:
    """`--release=v1` is `release.V1`."""
    assert {"v1": V1} == RELEASES
