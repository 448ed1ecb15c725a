from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzzing import __main__ as main
from bigearthnet.errors import OptionError

LOG = """\
INFO: Seed: 2
#2	INITED cov: 12 ft: 13 corp: 1/3b exec/s: 0 rss: 80Mb
#4096	pulse  cov: 80 ft: 159 corp: 35/3434b lim: 2048 exec/s: 2048 rss: 80Mb
#5000	NEW    cov: 81 ft: 160 corp: 36/3440b lim: 2048 exec/s: 2500 rss: 80Mb L: 6/96
Done 5001 runs in 2 second(s)
stat::number_of_executed_units: 5001
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of the engine, which is not run; atheris need not be there."""
    arguments: list[str] = []

    def run(*given: str) -> str:
        arguments.extend(given)
        return LOG

    monkeypatch.setattr(main, "_run", run)
    monkeypatch.setattr(main.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(main, "version", lambda name: "3.0")
    return arguments


def test_figures_are_those_of_the_last_line(started: list[str], tmp_path: Path) -> None:
    """Executions, edges, features and corpus are what libFuzzer said at the end."""
    figures = main.fuzz("patch_id", 5000, tmp_path, 7)

    wanted = {"executions": 5001, "edges": 81, "features": 160, "corpus": 36}
    assert wanted.items() <= figures.items()
    assert (0, 7, "3.0") == tuple(figures[k] for k in ("findings", "seed", "atheris"))
    assert "patch_id" == started[0]
    assert {"-runs=5000", "-seed=7", "-max_len=64"} <= set(started)


def test_findings_are_counted(started: list[str], tmp_path: Path) -> None:
    """A file that the engine leaves behind is a finding of its target."""
    (tmp_path / "finding-patch_id-crash-12").write_bytes(b"x")
    (tmp_path / "finding-tar-crash-12").write_bytes(b"x")

    assert 1 == main.fuzz("patch_id", 10, tmp_path, 1)["findings"]


def test_seeds_and_tokens_are_written(started: list[str], tmp_path: Path) -> None:
    """The engine begins with the target's seeds and knows its words."""
    main.fuzz("patch_id", 10, tmp_path, 1)

    contents = {path.read_bytes() for path in (tmp_path / "patch_id").iterdir()}
    assert b"S2B_MSIL2A_20180204T94161_10_10" in contents
    assert str(tmp_path / "patch_id") == started[-1]
    words = (tmp_path / "patch_id.tokens").read_text().splitlines()
    assert r'"\x54\x39\x34\x31\x36\x30"' in words


def test_an_unknown_target_and_a_missing_engine_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be fuzzed, and what is to be installed, is said."""
    with pytest.raises(OptionError, match=r"expected one of .*, got 'zip'"):
        main.fuzz("zip", 10, tmp_path, 1)

    monkeypatch.setattr(main.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="pip install atheris"):
        main.fuzz("tar", 10, tmp_path, 1)
