from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.util.console import COMMANDS, describe
from builder.publish import publish
from tests.hub import Hub

REPO = "org/bigearthnet"
TO = f"hf://datasets/{REPO}"


def start(hub: Hub, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts the command in a process of its own, with the hub's token."""
    return subprocess.Popen(
        [sys.executable, "-m", "builder.publish", "--allow=incomplete", *arguments],
        env=hub.environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; returns its exit status and output, which hold no secret."""

    def run(*arguments: str) -> tuple[int, str, str]:
        process = start(hub, tmp_path / "home", *arguments)
        out, err = process.communicate()
        logs = [p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file()]
        for secret in (hub.token, hub.signature):
            assert secret not in out + err
            assert not any(secret.encode() in log for log in logs)
        return process.returncode, out, err

    return run


LOAD = """
import numpy as np
from datasets import load_dataset
import bigearthnet
reader = bigearthnet.open_reader("train", {data_dir!r})
batch = reader.gather(range(len(reader)))
names = [n if isinstance(n, str) else n.decode() for n in batch["patch_id"]]
for streaming in (False, True):
    rows = load_dataset({repo!r}, "s2-43", split="train", streaming=streaming)
    rows = {{row["patch_id"]: row for row in rows}}
    assert sorted(rows) == sorted(names)
    for group in ("bands_10m", "bands_20m", "bands_60m"):
        for name, pixels in zip(names, batch[group]):
            assert np.array_equal(pixels, np.array(rows[name][group], np.uint16))
print(len(names))
"""


def test_what_is_published_is_what_was_built(
    hub: Hub, run: Callable, all_stores: Path, tmp_path: Path
) -> None:
    """It says what it would do, does it, and `load_dataset` gives the pixels."""
    arguments = (f"--data_dir={all_stores}", f"--to={TO}")
    status, out, _ = run(*arguments, "--dry_run")
    assert (0, {}) == (status, hub.repositories)
    assert "add      s2/train-00000-of-00001.parquet (" in out
    status, out, err = run(*arguments)
    assert 0 == status, err
    assert "21 files of 0.9 MB added, 0 deleted; org/bigearthnet at" in out
    assert "publish: 0.9 MB of 0.9 MB" in err
    status, out, _ = run(*arguments)
    assert out.startswith("nothing had to be sent")
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD.format(data_dir=str(all_stores), repo=REPO)],
        env=hub.environment(tmp_path / "reader"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "4" == loaded.stdout.strip(), loaded.stderr


def test_every_store_can_be_published(
    hub: Hub, run: Callable, all_stores: Path
) -> None:
    """Other stores keep their folders; an earlier publication is added to."""
    arguments = (f"--data_dir={all_stores}", f"--to={TO}")
    run(*arguments)
    run(*arguments, "--stores=tfrecord")
    contents = hub.repositories[REPO].contents()

    assert "bigearthnet/s2/2.0.0/dataset_info.json" in contents
    assert "s2/train-00000-of-00001.parquet" in contents


@pytest.mark.parametrize("pattern", ["PUT", "POST .*/commit/"])
def test_a_killed_command_is_repeated(
    pattern: str, hub: Hub, run: Callable, all_stores: Path, tmp_path: Path
) -> None:
    """Killed while it sends or commits, it leaves nothing; repeated, it is done."""
    arguments = (f"--data_dir={all_stores}", f"--to={TO}")
    processes: list[subprocess.Popen[str]] = []
    hub.fail(pattern, drop="request", call=lambda: processes[0].kill())
    processes.append(start(hub, tmp_path / "home", *arguments))
    processes[0].communicate()
    assert -signal.SIGKILL == processes[0].returncode
    assert [] == hub.repositories[REPO].history()
    status, _, err = run(*arguments)

    assert 0 == status, err
    assert 1 == len(hub.repositories[REPO].history())


def test_a_refusal_is_one_line(hub: Hub, run: Callable, all_stores: Path) -> None:
    """A hub that allows no writing ends the command with 1 and one clear line."""
    hub.read_only = True
    status, out, err = run(f"--data_dir={all_stores}", f"--to={TO}")

    assert (1, "") == (status, out)
    assert "you must use a write token" in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("ftp://host/x", {}, "expected one of hf, s3, gs, file, got 'ftp'"),
        ("data", {}, "expected one of hf, s3, gs, file, got ''"),
        ("hf://datasets/name", {}, "expected hf://datasets/ORG/NAME"),
        ("hf://org/name", {}, "expected hf://datasets/ORG/NAME"),
        ("hf://datasets/org/name@main", {}, "expected hf://datasets/ORG/NAME"),
        ("hf://datasets/org/../name", {}, "expected hf://datasets/ORG/NAME"),
        ("s3://", {}, "expected s3://name/folder"),
        ("file://host/x", {}, "expected file:///folder"),
        ("file:///", {}, "expected file:///folder"),
        ("file:///x", {"create_pr": True}, "are for hf://"),
        ("file:///x", {"revision": "main"}, "are for hf://"),
        ("file:///x", {"endpoint": "http://localhost"}, "--endpoint is for servers"),
        (TO, {"stores": ["csv"]}, "unknown format"),
        (TO, {"config": "s2-rgb"}, "no parquet store of s2-rgb"),
    ],
)
def test_invalid_options_are_refused(
    to: str, options: dict, message: str, all_stores: Path
) -> None:
    """Before anything is verified, the error says what was expected."""
    with pytest.raises(OptionError, match=message):
        publish(all_stores, to, **options)


def test_no_address_holds_a_password(all_stores: Path) -> None:
    """A password in an address is refused, and not repeated."""
    for to, endpoint in [
        ("s3://key:hidden@bucket/x", None),
        (TO, "https://me:hidden@hub.example"),
    ]:
        with pytest.raises(OptionError, match="a user or a password") as caught:
            publish(all_stores, to, endpoint=endpoint)
        assert "hidden" not in str(caught.value)


def test_the_command_is_a_verb() -> None:
    """`bigearthnet publish` is the same command, and listed with what it does."""
    assert "builder.publish" == COMMANDS["publish"]
    assert "publish        Publishes what was built" in describe()
