from __future__ import annotations

from pathlib import Path

import pytest
from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.util.arguments import expand_flag_files


@pytest.fixture
def values() -> flags.FlagValues:
    """Flags of every kind."""
    values = flags.FlagValues()
    flags.DEFINE_string("source", None, "", short_name="s", flag_values=values)
    flags.DEFINE_integer("epochs", 3, "", flag_values=values)
    flags.DEFINE_bool("restart", False, "", flag_values=values)
    flags.DEFINE_multi_string("mirror", [], "", flag_values=values)
    flags.DEFINE_string("run", None, "", flag_values=values)
    return values


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flag files in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("base").write_text("# a run\n\n--epochs=100\n--restart\n--mirror=base\n")
    Path("inner").write_text("// changes it\n--epochs=7\n--flagfile=base\n")
    Path("other").write_text("--epochs=8\n--source\nother\n")
    Path("twice").write_text("--epochs=8\n--epochs=8\n")
    Path("circle").write_text("--flagfile=circle\n")
    Path("words").write_text("word\n")


def parse(values: flags.FlagValues, line: str) -> dict[str, object]:
    """The values that a command line gives, and the other arguments."""
    arguments = expand_flag_files(line.split(), values, {"run": Path})
    rest = values(["program", *arguments])[1:]
    names = ("source", "epochs", "restart", "mirror")
    return {**{n: values[n].value for n in names if values[n].present}, "rest": rest}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--source=A", {"source": "A"}),
        ("-s A --epochs 4 --norestart", {"source": "A", "epochs": 4, "restart": False}),
        ("--mirror=a --mirror b", {"mirror": ["a", "b"]}),
        ("--source --epochs=2 --epochs=4", {"source": "--epochs=2", "epochs": 4}),
        (
            "word --source=A - --epochs=4",
            {"source": "A", "epochs": 4, "rest": ["word", "-"]},
        ),
        ("--source=A -- --source=B", {"source": "A", "rest": ["--source=B"]}),
        (
            "--epochs=1 --flagfile=base --mirror=a",
            {"epochs": 1, "restart": True, "mirror": ["base", "a"]},
        ),
        (
            "--flagfile base --norestart",
            {"epochs": 100, "restart": False, "mirror": ["base"]},
        ),
        ("--flagfile=inner", {"epochs": 7, "restart": True, "mirror": ["base"]}),
        (
            "--flagfile=inner --run=other --epochs=1",
            {"epochs": 1, "restart": True, "mirror": ["base"], "source": "other"},
        ),
        ("--run other", {"epochs": 8, "source": "other"}),
        ("--undefok epochz --epochz=1 --epochs=4", {"epochs": 4}),
    ],
)
def test_every_flag_has_the_value_of_the_nearest_place(
    values: flags.FlagValues, line: str, expected: dict[str, object]
) -> None:
    """The command line changes flag files, wherever they stand, and they each other."""
    assert {"rest": [], **expected} == parse(values, line)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--source=A --source=B", r"--source is given twice: --source=A \(the comm"),
        ("--source A -s A", r"--source is given twice: --source A \(.*, -s A \("),
        ("--restart --norestart", r"--restart is given twice"),
        ("--restart --flagfile=base --restart=true", r"--restart is given twice"),
        ("--source=A word --source=B", r"--source is given twice"),
        ("--run=base --run=base", r"--run is given twice"),
        ("--flagfile=twice", r"--epochs is given twice: --epochs=8 \(/.*/twice\)"),
        (
            "--flagfile=base --flagfile=other",
            r"different things: .*=100 \(/.*/base\), ",
        ),
        ("--flagfile=base --run=other", r"different .*Give --epochs on the command"),
        ("--flagfile=circle", r"circle names itself"),
        ("--flagfile=missing", r"cannot read /.*missing"),
        ("--flagfile=words", r"expected a flag on each line, got 'word'"),
        ("--flagfile=inner --source", r"--source: expected a value"),
    ],
)
def test_two_values_of_a_flag_are_refused(
    values: flags.FlagValues, line: str, problem: str
) -> None:
    """A flag is given once in a place, and files side by side agree about it."""
    with pytest.raises(OptionError, match=problem):
        parse(values, line)
