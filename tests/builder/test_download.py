from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3 import Retry

import bigearthnet
from bigearthnet.download import DownloadError
from bigearthnet.errors import ChecksumError
from bigearthnet.release import V1, V2, Archive, Digest, Release
from builder import download as command
from builder.download import download
from tests.hub import Hub
from tests.hub.published import URL, publish_folder

RETRIES = Retry(0)
NAME = V1.archive("s2").filenames[0]


@contextlib.contextmanager
def serve(folder: Path, asked: list[str] | None = None) -> Iterator[str]:
    """Serves a folder on the loopback interface and yields its address.

    Args:
        folder: The folder.
        asked: Gets the path of each request.
    """

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keeps quiet."""
            if asked is not None:
                asked.append(self.path)

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
        (folder / NAME).write_bytes(random.Random(seed).randbytes(200_000))
    with serve(tmp_path / "server") as served:
        yield served


@pytest.fixture
def archive(address: str, tmp_path: Path) -> Archive:
    """A published archive of the right bytes."""
    content = (tmp_path / "server/right" / NAME).read_bytes()
    return dataclasses.replace(
        V1.archive("s2"),
        url=f"{address}/right/{NAME}",
        nbytes=len(content),
        digest=Digest("sha256", hashlib.sha256(content).hexdigest()),
    )


def test_the_archive_has_the_name_of_the_release(
    archive: Archive, tmp_path: Path
) -> None:
    """The archive is put into a new folder, whole, with nothing beside it."""
    path = download(archive, tmp_path / "a" / "b", retries=RETRIES, quiet=True)

    assert tmp_path / "a" / "b" / "BigEarthNet-S2-v1.0.tar.gz" == path
    assert archive.digest.hexdigest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [path.name] == os.listdir(path.parent)


def test_an_archive_of_the_older_name_is_verified(
    archive: Archive, tmp_path: Path
) -> None:
    """The same bytes under the name they had before are not downloaded again."""
    old = tmp_path / archive.filenames[1]
    old.write_bytes((tmp_path / "server/right" / NAME).read_bytes())

    assert old == download(archive, tmp_path, retries=RETRIES, quiet=True)
    assert not (tmp_path / NAME).exists()


def test_what_could_be_built_instead_is_named(
    archive: Archive,
    sample_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before a download begins, a copy beside it is named, and what is no copy."""
    (tmp_path / "BigEarthNet-v1.0").symlink_to(sample_folder)
    (tmp_path / "BigEarthNet-S2-v1.0.zip").write_bytes(b"PK")
    download(archive, tmp_path, retries=RETRIES)
    shown = capsys.readouterr().err

    assert f"builder.build --source={tmp_path / 'BigEarthNet-v1.0'}" in shown
    assert "BigEarthNet-S2-v1.0.zip is there: is not an archive" in shown


def test_mirrors_come_first(archive: Archive, address: str, tmp_path: Path) -> None:
    """A mirror is asked before the official URL, which is not needed then."""
    mirror = archive.url
    archive = dataclasses.replace(archive, url=f"{address}/missing")
    path = download(
        archive,
        tmp_path,
        mirrors=[f"{address}/missing", mirror],
        retries=RETRIES,
        quiet=True,
    )

    assert archive.nbytes == path.stat().st_size


def test_a_mirror_with_other_bytes_does_no_harm(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong bytes of a mirror are told, then thrown away; the next URL is used."""
    mirror = archive.url.replace("right", "wrong")
    path = download(archive, tmp_path, mirrors=[mirror], retries=RETRIES)

    assert (
        f"{mirror}: expected sha256 {archive.digest.hexdigest}"
        in capsys.readouterr().err
    )
    assert archive.digest.hexdigest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_archive_is_made_of_wrong_bytes(archive: Archive, tmp_path: Path) -> None:
    """If nobody has the right bytes, there is an error and no file."""
    wrong = dataclasses.replace(archive, url=archive.url.replace("right", "wrong"))
    missing = dataclasses.replace(archive, url=archive.url.replace("right", "x"))
    with pytest.raises(ChecksumError, match="expected sha256"):
        download(wrong, tmp_path / "out", retries=RETRIES, quiet=True)
    with pytest.raises(DownloadError, match="404 Not Found"):
        download(missing, tmp_path / "out", retries=RETRIES, quiet=True)

    assert [] == os.listdir(tmp_path / "out")


def run_command(
    *arguments: str, archive: Archive | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, for another archive if given."""
    code = (
        "from bigearthnet.release import V1, Archive, Digest\n"
        "from bigearthnet.util import command\n"
        "from builder import download\n"
    )
    if archive is not None:
        fields = {"url": archive.url, "nbytes": archive.nbytes}
        code += (
            "import dataclasses\n"
            f"archive = dataclasses.replace(V1.archive('s2'), **{fields},\n"
            f"    digest=Digest('sha256', {archive.digest.hexdigest!r}))\n"
            "release = dataclasses.replace(V1, archives=(archive,))\n"
            "download._RELEASES['v1.0'] = release\n"
        )
    code += "command.run(download._main, download._define_flags)"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


PAIRED = """
import dataclasses, hashlib, pathlib, sys
from bigearthnet.release import V1, V2, Digest
from bigearthnet.util import command
from builder import download

def replace(archive):
    content = (pathlib.Path({folder!r}) / archive.filenames[0]).read_bytes()
    return dataclasses.replace(
        archive,
        url="{address}/" + archive.filenames[0],
        nbytes=archive.nbytes and len(content),
        digest=Digest("md5", hashlib.md5(content).hexdigest()),
    )

for release in (V1, V2):
    archives = tuple(map(replace, release.archives))
    changed = dataclasses.replace(release, archives=archives)
    download._RELEASES[release.name] = changed
command.run(download._main, download._define_flags)
"""


@pytest.mark.parametrize(
    ("arguments", "expected", "config"),
    [
        (["--release=v2.0", "--only=s2,maps"], (V2, "s2", "maps"), " --config=v2-s2"),
        (["--release=v2.0", "--only=s1"], (V2, "s1"), " --config=v2-s1"),
        (["--release=v2.0"], (V2, "s2", "s1", "maps"), " --config=v2-s2"),
        (["--only=s1"], (V1, "s1"), " --config=s1"),
        ([], (V1, "s2"), ""),
    ],
)
def test_no_byte_of_another_archive_is_received(
    arguments: list[str],
    expected: tuple[Release, str],
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is asked for is verified by its MD5, also if its size is not published."""
    monkeypatch.setenv("no_proxy", "*")
    folder, output = tmp_path / "server", tmp_path / "out"
    folder.mkdir()
    for release in (V1, V2):
        for archive in release.archives:
            (folder / archive.filenames[0]).write_bytes(archive.url.encode() * 1_000)
    release, *names = expected
    files = [release.archive(name).filenames[0] for name in names]
    asked: list[str] = []
    with serve(folder, asked) as address:
        code = PAIRED.format(folder=str(folder), address=address)
        done = subprocess.run(
            [sys.executable, "-c", code, f"--output={output}", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    source = output / files[0] if len(files) == 1 else output

    assert {f"/{name}" for name in files} == set(asked)
    assert sorted(files) == sorted(os.listdir(output))
    for name in files:
        digest = hashlib.md5((output / name).read_bytes()).hexdigest()
        assert f"md5 {digest}: verified" in done.stdout
    assert f"--source={source}{config}\n" in done.stdout


def test_a_mirror_is_of_one_archive(tmp_path: Path) -> None:
    """Nobody can know which one it is of; and names of archives are checked."""
    done = run_command("--release=v2.0", f"--output={tmp_path}", "--mirror=http://x/y")
    other = run_command("--release=v2.0", f"--output={tmp_path}", "--only=s3")

    assert "error: --mirror is the URL of one archive: choose it with" in done.stderr
    assert "s2, s1, maps, got 's3'" in other.stderr
    assert [] == os.listdir(tmp_path)


def test_the_command_says_what_it_fetches(archive: Archive, tmp_path: Path) -> None:
    """It prints file, size, URLs, then the checksum; run again, it verifies."""
    mirror, sha256 = archive.url.replace("right", "missing"), archive.digest.hexdigest
    arguments = [f"--output={tmp_path / 'out'}", f"--mirror={mirror}"]
    done = run_command(*arguments, archive=archive)
    again = run_command(*arguments, archive=archive)

    assert [
        f"{NAME}, 0.0 GB, to {tmp_path / 'out'}/ from {mirror}, else {archive.url}",
        f"{tmp_path / 'out' / NAME}: 200,000 bytes, sha256 {sha256}: verified",
        "next: python -m builder.build --data_dir=data "
        f"--source={tmp_path / 'out' / NAME}",
    ] == done.stdout.splitlines()
    assert f"{mirror}: 404" in done.stderr
    assert f"download {NAME}: 0.2 MB of 0.2 MB" in done.stderr
    assert (0, 0) == (done.returncode, again.returncode)
    assert again.stderr.startswith(f"verify {NAME}: 0.2 MB of 0.2 MB")


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

    assert "Downloads archives of BigEarthNet" in done.stdout
    assert "python -m builder.download --output=downloads" in done.stdout
    assert "--mirror" in done.stdout


def test_the_first_release_is_the_published_one() -> None:
    """Releases have their names, and the first the one it had before, too."""
    assert {"v1.0": V1, "v1": V1, "v2.0": V2} == command._RELEASES


def run_mirror(hub: Hub, home: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the command with a hub."""
    return subprocess.run(
        [sys.executable, "-m", "builder.download", *arguments],
        env=hub.environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_mirrors_a_published_store(
    hub: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """It says what came; a second run downloads nothing; no secret is ever shown."""
    publish_folder(hub, all_stores / "huggingface")
    arguments = (f"--from={URL}", f"--data_dir={tmp_path / 'data'}", "--splits=train")
    done = run_mirror(hub, tmp_path / "home", *arguments)
    again = run_mirror(hub, tmp_path / "home", *arguments)

    assert 4 == len(bigearthnet.open_reader("train", tmp_path / "data"))
    assert "huggingface: shards: 1, " in done.stdout
    assert "huggingface: nothing had to be downloaded" in again.stdout
    assert f"mirrors s2 (parquet; train) from {URL} into " in done.stderr
    assert f'"{tmp_path / "data"}") loads it' in done.stdout
    for secret in (hub.token, hub.signature, "X-Amz-Signature"):
        assert secret not in done.stdout + done.stderr + again.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--data_dir=x"], "--data_dir has no meaning without --from"),
        (["--from=s3://a", "--mirror=b"], "--mirror has no meaning with --from"),
        (["--from=s3://a/b"], "--from needs --data_dir"),
        (["--from=/a", "--data_dir=b"], "--from: expected a URL, .* got '/a'"),
    ],
)
def test_flags_without_a_meaning_are_refused(
    arguments: list[str], problem: str, hub: Hub, tmp_path: Path
) -> None:
    """The error names the flag."""
    done = run_mirror(hub, tmp_path, *arguments)

    assert 1 == done.returncode
    assert re.search(f"error: {problem}", done.stderr)
