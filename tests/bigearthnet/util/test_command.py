from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from absl import flags

import baselines
import bigearthnet
import builder
from bigearthnet.errors import ArchiveError, OptionError, PatchError
from bigearthnet.util import command

Main = Callable[..., int | None]
ROOT = Path(bigearthnet.__file__).parent.parent
COMMANDS = [
    f"{package.__name__}.{path.stem}"
    for package in (baselines, builder)
    for path in sorted(Path(package.__path__[0]).glob("*.py"))
    if "command.run(" in path.read_text(encoding="utf-8")
]
BENCHMARKS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if "command.run(" in path.read_text(encoding="utf-8")
]
# Flags of free text that are no paths.
NO_PATHS = {
    *(
        "config",
        "counts",
        "countries",
        "engine",
        "engines",
        "formats",
        "labels",
        "mirror",
        "name",
        "only",
        "run",
        "sizes",
    ),
    *("split", "train_split", "validation_split"),
    *("allow", "endpoint", "from", "revision", "splits", "stores", "to"),
    *("also", "license", "tag", "where"),
    *("batch_size", "models", "parts", "step_ms", "url", "ways"),
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command without what absl starts beside it; returns the exit status."""
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())

    def start(main: Main, flags_parser: Callable[[list[str]], list[str]]) -> None:
        sys.exit(main(flags_parser(sys.argv)))

    monkeypatch.setattr("absl.app.run", start)

    def run_main(main: Main, *arguments: str, **options: Any) -> int:
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        with pytest.raises(SystemExit) as caught:
            command.run(main, lambda: None, **options)
        return int(caught.value.code or 0)

    return run_main


def raiser(error: BaseException) -> Main:
    """A command that raises an error."""

    def main() -> None:
        raise error

    return main


def start_command(
    name: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m NAME` in a process of its own."""
    line = [sys.executable, "-m", name, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        line, capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (3, 3)])
def test_the_status_is_that_of_the_command(
    run: Callable[..., int], result: int | None, status: int
) -> None:
    """A command that returns nothing has succeeded; a number is its status."""
    assert status == run(lambda: result)


@pytest.mark.parametrize(
    "error",
    [
        PatchError("is bad.", patch_id="P", file="F"),
        ArchiveError("cut at byte 7."),
        OSError("no space left."),
    ],
)
def test_our_errors_end_with_their_message(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    """An error of ours or of the system is one line on stderr and status 1."""
    assert 1 == run(raiser(error))
    assert ("", f"error: {error}\n") == tuple(capsys.readouterr())


def test_other_errors_are_not_hidden(run: Callable[..., int]) -> None:
    """A mistake of ours keeps its traceback."""
    with pytest.raises(ZeroDivisionError):
        run(raiser(ZeroDivisionError()))


def test_missing_packages_name_the_extra() -> None:
    """Packages that are not installed are named, with the extra that has them."""
    command.check_packages("baselines", "numpy", "absl")

    with pytest.raises(OptionError, match=r"^no_such_package not.*\[baselines\]"):
        command.check_packages("baselines", "numpy", "no_such_package")


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


def test_a_command_can_take_arguments(run: Callable[..., int]) -> None:
    """A command that asks for them gets the arguments that are not flags."""
    seen: list[list[str]] = []

    assert 0 == run(seen.append, "a", "b", takes_arguments=True)
    assert [["a", "b"]] == seen


def list_flags(name: str) -> dict[str, flags.Flag[Any]]:
    """The flags that a command defines."""
    module, before = importlib.import_module(name), set(flags.FLAGS)
    try:
        module._define_flags()
        return {flag: flags.FLAGS[flag] for flag in {*flags.FLAGS} - before}
    finally:
        for flag in {*flags.FLAGS} - before:
            delattr(flags.FLAGS, flag)


@pytest.mark.parametrize("name", [*COMMANDS, *BENCHMARKS])
def test_no_path_may_be_a_url_of_another_place(name: str) -> None:
    """Every flag of every command refuses a bucket, unless it is listed as no path.

    `builder.build` takes buckets, but no URL of a web server.
    """
    url = "https://server/a" if name == "builder.build" else "s3://bucket/folder"
    for flag in list_flags(name).values():
        if flag.name not in NO_PATHS:
            with pytest.raises(ValueError, match=r"."):
                flag.parser.parse(url)


def test_paths_are_understood() -> None:
    """`~` is the home folder, `file://` a local path, and a list has several."""
    build, compare = list_flags("builder.build"), list_flags("baselines.compare")

    assert Path.home() / "data" == build["data_dir"].parser.parse("~/data")
    assert Path("/a b") == build["source"].parser.parse("file:///a%20b")
    expected = [Path("a"), Path("/b")]
    assert expected == compare["workdirs"].parser.parse("a,file:///b")


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        (
            "builder.build",
            "--source=s --data_dir=https://b/c",
            "data_dir: https:// i",
        ),
        ("builder.convert", "--data_dir=s3://b", "data_dir: expected a path"),
        ("builder.build", "--source=s --data_dir=", "data_dir: expected a path"),
        ("builder.verify", "--data_dir=d --source=", "source: expected a path"),
        ("baselines.compare", "--workdirs=a,s3://b", "workdirs: expected a path"),
        ("baselines.predict", "--workdir=w gs://b/p", "patch: expected a path"),
        ("baselines.train", "--workdir=gs://b --data_dir=d", "workdir: expected a pa"),
        ("baselines.train", "--run=sample --run=s_cnn_all", "--run is given twice: -"),
        ("builder.sample", "--output=a --output b", "--output is given twice: --outp"),
        ("builder.sample", "--flagfile=s3://b", "flagfile: expected a path on this m"),
    ],
)
def test_what_would_be_half_obeyed_is_refused(
    name: str, arguments: str, problem: str, tmp_path: Path
) -> None:
    """A URL of another place, an empty path or a second value ends every command."""
    done = start_command(name, *arguments.split(), cwd=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"error: {problem}" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_the_beginning_of_help_is_enough() -> None:
    """A reader that takes no more, as `head` does, ends `--help` without an error."""
    line = [sys.executable, "-m", "builder.build", "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_no_error(name: str) -> None:
    """`--help` ends with 0 and shows an example and the flags."""
    done = start_command(name, "--help")

    assert (0, "") == (done.returncode, done.stderr)
    assert f"Example:\n  python -m {name} --" in done.stdout
    assert "\nflags:\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88


def test_help_shows_every_flag_and_which_are_needed() -> None:
    """Settings of a training stand in its help; two examples of it take two lines."""
    text = start_command("baselines.train", "-h").stdout

    assert text.startswith("usage: python -m baselines.train --data_dir=path --workdir")
    assert "flags \\\n    --data_dir=data" in text
    assert "  --workdir=path (required)\n" in text
    assert "  --[no]third_pool (default: false)\n      S-CNN: pools" in text
    assert "  --optimizer=sgd|adam|adamw (default: sgd)\n      Optimizer" in text


def test_an_error_names_all_flags_that_are_needed() -> None:
    """Of what a command needs, the error says what was not given, and of which kind."""
    done = start_command("builder.convert", "--config=s2")

    assert 1 == done.returncode
    assert (
        "error: expected --data_dir=path --formats=a,b,...; see --help\n" == done.stderr
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("builder.build", "--config S2 --formats=TFRecord --countries lithuania"),
        ("builder.build", "--config=s2 --on_error QUARANTINE --countries=Lithuania"),
    ],
)
def test_names_are_taken_in_any_case(name: str, arguments: str, tmp_path: Path) -> None:
    """Upper and lower case mean the same, behind `=` or a space: here, no such file."""
    source = tmp_path / "missing.tar"
    paths = f"--source {source} --data_dir={tmp_path / 'data'}"
    done = start_command(name, *paths.split(), *arguments.split())

    assert str(source) in done.stderr
    assert "unknown" not in done.stderr


def test_an_unknown_name_is_told_those_there_are(tmp_path: Path) -> None:
    """The error for a country that is none lists the countries."""
    paths = f"--source={tmp_path} --data_dir={tmp_path / 'data'}"
    done = start_command("builder.build", *paths.split(), "--countries=Portugal,Spain")

    assert "error: unknown country: expected one of Austria, Belgium" in done.stderr
    assert "got 'Spain'" in done.stderr


def test_flags_stand_in_a_file(tmp_path: Path) -> None:
    """`--flagfile` is read as if its lines stood on the command line."""
    path = tmp_path / "sample.flags"
    path.write_text(f"--output={tmp_path / 'out'}\n")
    done = start_command("builder.sample", f"--flagfile={path}")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("6 real patches in ")
    assert 6 == len(list((tmp_path / "out" / "BigEarthNet-S2-Example").iterdir()))


def test_a_missing_flag_is_named() -> None:
    """A command without a flag it needs ends with an error that names the flag."""
    done = start_command("builder.sample")

    assert 1 == done.returncode
    assert "--output" in done.stderr


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("--model=vgg", "s_cnn_rgb|s_cnn_all|inception_v2"),
        ("--learning_rat=1", "learning_rat"),
        ("--epochs=many", "epochs"),
        ("--train_split=val", "error: split: expected some of train"),
        ("--fraction=2", "error: fraction: expected more than 0"),
        ("--run=paper", "error: unknown run: expected one of inception_v2"),
    ],
)
def test_unknown_values_are_one_clear_error(argument: str, problem: str) -> None:
    """A flag or value that has no meaning is named, without a traceback."""
    done = start_command(
        "baselines.train", "--data_dir=data", "--workdir=run", argument
    )

    assert 1 == done.returncode
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_command_that_is_told_to_end_cleans_up(name: str, status: int) -> None:
    """Ctrl-C and SIGTERM end a command through its `finally` clauses."""
    code = f"""
import os, signal, time
from bigearthnet.util import command
def main():
    try:
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
signal.signal(signal.SIGINT, signal.default_int_handler)
command.run(main, lambda: None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (status, "cleaned up\n") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr
