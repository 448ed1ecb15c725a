from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from bigearthnet.util import console

ROOT = Path(console.__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command `bigearthnet`."""
    code = "from bigearthnet.util.console import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_is_a_verb() -> None:
    """Each module of builder and baselines that runs as a command has a verb."""
    modules = {
        f"{package}.{path.stem}"
        for package in ("builder", "baselines")
        for path in (ROOT / package).glob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }

    assert modules == set(console.COMMANDS.values())


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",)])
def test_the_overview_lists_all_commands(arguments: tuple[str, ...]) -> None:
    """Without a command, or with --help, all of them are listed with what they do."""
    done = run(*arguments)

    assert (0, "") == (done.returncode, done.stderr)
    for verb in console.COMMANDS:
        assert f"\n  {verb} " in done.stdout
    assert "Builds the shards of one configuration" in done.stdout


def test_a_verb_is_its_module(tmp_path: Path) -> None:
    """`bigearthnet sample` does what `python -m builder.sample` does."""
    done = run("sample", f"--output={tmp_path / 'verb'}")
    module = [sys.executable, "-m", "builder.sample", f"--output={tmp_path / 'module'}"]
    subprocess.run(module, check=True, capture_output=True)
    trees = [
        sorted(str(path.relative_to(tmp_path / name)) for path in folder.rglob("*"))
        for name in ("verb", "module")
        for folder in [tmp_path / name]
    ]

    assert 0 == done.returncode
    assert "6 real patches in" in done.stdout
    assert trees[0] == trees[1]


def test_help_of_a_verb_is_that_of_its_module() -> None:
    """`bigearthnet build --help` shows the command's text and ends with 0."""
    done = run("build", "--help")

    assert 0 == done.returncode
    assert done.stdout.startswith("usage: python -m builder.build --data_dir=path")
    assert "\nBuilds the shards of one configuration" in done.stdout
    assert "--source" in done.stdout


def test_errors_keep_their_exit_status(tmp_path: Path) -> None:
    """An error of a command is one line and status 1, as with its module."""
    done = run("verify", f"--data_dir={tmp_path}")

    assert 1 == done.returncode
    assert done.stderr.startswith("error: no store in ")


def test_an_unknown_verb_is_named() -> None:
    """A command that does not exist ends with the list of those that do."""
    done = run("biuld")

    assert 1 == done.returncode
    assert "unknown command 'biuld': expected one of download, build," in done.stderr


def test_importing_the_table_imports_no_command() -> None:
    """The library names the commands' packages and does not import them."""
    code = (
        "import sys, bigearthnet.util.console as c; c.describe();"
        "print(any(m.partition('.')[0] in ('builder', 'baselines') and '.' in m"
        " for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert util.find_spec("builder") is not None
    assert "False" == done.stdout.strip()
