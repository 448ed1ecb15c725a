from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from absl import flags

from baselines import command
from baselines.errors import CheckpointError, WeightsError
from bigearthnet.errors import OptionError

Main = Callable[[], int | None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command with absl's own start replaced; returns the exit status."""

    def run_main(main: Main, *arguments: str) -> int:
        status = []

        def start(checked: Callable[[list[str]], int], argv: list[str]) -> None:
            status.append(checked(["program", *arguments]))

        monkeypatch.setattr("absl.app.run", start)
        command.run(main, lambda: None)
        return status[0]

    return run_main


def raiser(error: BaseException) -> Main:
    """A command that raises an error."""

    def main() -> None:
        raise error

    return main


def start_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m baselines.train` in a process of its own."""
    line = [sys.executable, "-m", "baselines.train", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (3, 3)])
def test_the_status_is_that_of_the_command(
    run: Callable[..., int], result: int | None, status: int
) -> None:
    """A command that returns nothing has succeeded; a number is its status."""
    assert status == run(lambda: result)


@pytest.mark.parametrize(
    "error", [WeightsError("are missing."), CheckpointError("x.npz is damaged.")]
)
def test_our_errors_end_with_their_message(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    """An error of ours ends with status 1 and its message alone."""
    assert 1 == run(raiser(error))
    assert f"error: {error}\n" == capsys.readouterr().err


def test_other_errors_are_not_hidden(run: Callable[..., int]) -> None:
    """A mistake of ours keeps its traceback."""
    with pytest.raises(ZeroDivisionError):
        run(raiser(ZeroDivisionError()))


def test_missing_packages_name_the_extra() -> None:
    """Packages that are not installed are named, with the extra that has them."""
    command.check_packages("numpy", "absl")

    with pytest.raises(OptionError, match=r"^no_such_package not.*\[baselines\]"):
        command.check_packages("numpy", "no_such_package")


def test_errors_of_tensorflow_are_one_line(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """An operation that fails, for want of memory say, ends without a traceback."""
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "OOM with shape[9]\n\nHint")

    assert 1 == run(raiser(error))
    expected = "error: ResourceExhaustedError: OOM with shape[9]\n"
    assert expected == capsys.readouterr().err


def test_an_interruption_is_no_traceback(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with the status that shells have for it."""
    assert 130 == run(raiser(KeyboardInterrupt()))
    assert "interrupted\n" == capsys.readouterr().err


def test_an_argument_without_a_flag_is_refused(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Words that belong to no flag are an error, and the command does not run."""
    assert 1 == run(raiser(AssertionError()), "data")
    assert "unexpected argument 'data'" in capsys.readouterr().err


def test_arguments_are_changed_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What changes the command line decides what is parsed, or ends the command."""
    seen: list[list[str]] = []
    monkeypatch.setattr("absl.app.run", lambda _, argv: seen.append(argv))
    monkeypatch.setattr(sys, "argv", ["program", "--a"])

    command.run(lambda: None, lambda: None, lambda argv: [*argv, "--b"])

    def refuse(argv: object) -> list[str]:
        raise OptionError("no such run.")

    with pytest.raises(SystemExit) as caught:
        command.run(lambda: None, lambda: None, refuse)
    assert [["program", "--a", "--b"]] == seen
    assert 1 == caught.value.code
    assert "error: no such run.\n" == capsys.readouterr().err


def test_paths_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder; a flag that was not given is no path."""
    values = flags.FlagValues()
    flags.DEFINE_string("one", "~/data", "Path.", flag_values=values)
    flags.DEFINE_string("two", None, "Path.", flag_values=values)
    values(["program"])
    monkeypatch.setattr(flags, "FLAGS", values)

    assert Path.home() / "data" == command.path_flag("one")
    assert Path.home() / "data" == command.optional_path_flag("one")
    assert command.optional_path_flag("two") is None


def test_help_shows_what_the_command_does() -> None:
    """`--help` prints the module's docstring, its own flags and those of settings."""
    shown = start_command("--help").stdout

    assert "Trains one of the paper's models" in shown
    assert "--workdir" in shown
    assert "--[no]third_pool" in start_command("--helpfull").stdout


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("--model=vgg", "s_cnn_rgb|s_cnn_all|inception_v2"),
        ("--learning_rat=1", "learning_rat"),
        ("--epochs=many", "epochs"),
        ("--train_split=val", "error: split: expected some of train"),
        ("--fraction=2", "error: fraction: expected more than 0"),
        ("--run=paper", "error: run: expected --run= and one of inception_v2"),
    ],
)
def test_unknown_values_are_one_clear_error(argument: str, problem: str) -> None:
    """A flag or value that has no meaning is named, without a traceback."""
    done = start_command("--data_dir=data", "--workdir=run", argument)

    assert 1 == done.returncode
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("run").exists()
