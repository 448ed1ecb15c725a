from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import baselines
from baselines.compare import compare
from baselines.errors import ResultError
from bigearthnet.errors import OptionError

MakeWorkdir = Callable[..., Path]


@pytest.fixture
def workdirs(make_workdir: MakeWorkdir) -> list[Path]:
    """Three models, one of them with two seeds and one with random weights."""
    return [
        make_workdir("all_0", quality=0.45),
        make_workdir("all_1", quality=0.45, seed=1),
        make_workdir("rgb", model="s_cnn_rgb", quality=0.3),
        make_workdir("inception", model="inception_v2", weights_source="random"),
    ]


class Links(HTMLParser):
    """Collects everything that an element of a page may fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the targets of an element."""
        self.targets += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href")]


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    line = [sys.executable, "-m", "baselines.compare", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_three_reports_say_the_same(workdirs: list[Path], tmp_path: Path) -> None:
    """Markdown, JSON and HTML are written, whole, with the same rows and examples."""
    output = tmp_path / "new" / "output"
    compare(workdirs, output, num_examples=3)
    markdown = (output / "comparison.md").read_text()
    html = (output / "comparison.html").read_text().replace("<wbr>", "")
    (group,) = json.loads((output / "comparison.json").read_text())["groups"]

    assert ["Inception-v2", "S-CNN-RGB", "S-CNN-All"] == [
        model["name"] for model in group["models"]
    ]
    value = f"{group['models'][1]['mean']['f1']:.4f}"
    for report in (markdown, html):
        assert value in report
        assert "S-CNN-All − S-CNN-RGB" in report
        assert "treats patches as independent" in report
        assert all(patch in report for patch in group["examples"])
    assert 3 == len(group["examples"])
    assert not list(output.rglob("*.unfinished"))


def test_the_page_is_self_contained(workdirs: list[Path], tmp_path: Path) -> None:
    """Nothing is fetched from anywhere, and no address of the web is in it."""
    compare(workdirs, tmp_path)
    html = (tmp_path / "comparison.html").read_text()
    links = Links()
    links.feed(html)

    assert all(target.startswith("data:") for target in links.targets)
    assert "http://" not in html
    assert "https://" not in html
    assert 3 == html.count("data:image/svg+xml")


def test_the_markdown_shows_files_that_are_there(
    workdirs: list[Path], tmp_path: Path
) -> None:
    """Every picture that the Markdown links was written."""
    compare(workdirs, tmp_path)
    markdown = (tmp_path / "comparison.md").read_text()
    linked = [part.partition(")")[0] for part in markdown.split("](")[1:]]

    assert 3 == len(linked)
    assert all((tmp_path / name).is_file() for name in linked)


def test_the_same_runs_give_the_same_reports(
    workdirs: list[Path], tmp_path: Path
) -> None:
    """The order of the workdirs does not matter, and nothing depends on the time."""
    compare(workdirs, tmp_path / "one")
    compare(workdirs[::-1], tmp_path / "other")
    names = sorted(
        p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*")
    )

    for name in names:
        one, other = tmp_path / "one" / name, tmp_path / "other" / name
        assert one.is_dir() or one.read_bytes() == other.read_bytes()


def test_nothing_is_written_of_runs_that_must_not_be_compared(
    make_workdir: MakeWorkdir, tmp_path: Path
) -> None:
    """A refused comparison leaves no report behind."""
    workdirs = [make_workdir("a"), make_workdir("b", model="x", threshold=0.3)]
    with pytest.raises(ResultError, match=r"threshold: 0\.5 and 0\.3"):
        compare(workdirs, tmp_path / "output")

    assert not (tmp_path / "output").exists()


def test_options_without_a_meaning_are_refused(
    workdirs: list[Path], tmp_path: Path
) -> None:
    """No workdir, a negative number of examples or seed are errors."""
    with pytest.raises(OptionError, match="workdirs: expected at least one"):
        compare([], tmp_path)
    with pytest.raises(OptionError, match="examples: expected 0 or more, got -1"):
        compare(workdirs, tmp_path, num_examples=-1)
    with pytest.raises(OptionError, match="seed: expected 0 or more"):
        compare(workdirs, tmp_path, seed=-1)


def test_the_command_prints_the_table(workdirs: list[Path], tmp_path: Path) -> None:
    """From the command line, the headline table and the page's place are printed."""
    names = ",".join(map(str, workdirs))
    done = start(f"--workdirs={names}", f"--output={tmp_path / 'out'}")

    assert 0 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith("compares on test what was evaluated in ")
    assert re.search(r"\| S-CNN-All \| .* \| ours, 2 seeds \|", done.stdout)
    page = tmp_path / "out" / "comparison.html"
    assert page.is_file()
    assert done.stdout.endswith(f"next: open {page.as_uri()} in a browser\n")


def test_the_command_ends_with_one_clear_error(tmp_path: Path) -> None:
    """A workdir without an evaluation ends with a line, not a traceback."""
    done = start(f"--workdirs={tmp_path}", f"--output={tmp_path / 'out'}")

    assert 1 == done.returncode
    _, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "results.json is missing: the model was not evaluated" in line


def test_reports_have_a_folder_of_their_own(
    workdirs: list[Path], tmp_path: Path
) -> None:
    """Without --output, reports are written into `comparison` where one is."""
    line = [sys.executable, "-m", "baselines.compare"]
    line += [f"--workdirs={','.join(map(str, workdirs))}"]
    place = tmp_path / "place"
    place.mkdir()
    root = Path(baselines.__file__).parents[1]
    subprocess.run(
        line,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
    )

    assert (place / "comparison" / "comparison.html").is_file()
