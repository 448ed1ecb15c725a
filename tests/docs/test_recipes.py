from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bigearthnet

ROOT = Path(bigearthnet.__file__).parent.parent


def find_programs(text: str) -> list[str]:
    """The Python programs of a Markdown text."""
    return re.findall(r"```python\n(.*?)```", text, re.S)


def split_readme() -> list[str]:
    """Each line of the README that loads something, as a program that takes a bit."""
    # The last reads from a hub, as the tests of remote stores do.
    first, *others, _ = find_programs((ROOT / "README.md").read_text(encoding="utf-8"))
    imports, *lines = first.split("train = ")
    return [
        *(
            f"{imports}train = {line}{take}"
            for line, take in zip(lines, TAKES, strict=True)
        ),
        *(f"import bigearthnet\n{other}" for other in others),
    ]


# How something is taken of each `train` of the README's first block.
TAKES = (
    *2 * ("print(next(iter(train)))\n",),
    # To its end: see the recipes.
    "print([*train.shard(train.num_shards, index=0)][0])\n",
    "print(next(train.batches(4)))\n",
    "print(train.limit(1).fetchall())\n",
)

BLOCKS, *SHORT = (
    find_programs((ROOT / "docs" / page).read_text(encoding="utf-8"))
    for page in ("recipes.md", "choose.md", "questions.md")
)
README = split_readme()


def is_of_v2(program: str) -> bool:
    """Whether a program reads stores of v2.0."""
    return '"v2-' in program or ".presets[" in program


Run = Callable[[str, Path], subprocess.CompletedProcess[str]]

# Seconds after which a program is said to hang; it takes ten or so.
LIMIT = 300

# What each program prints about the sample's four train patches, in their order.
PRINTED = (
    "(4, 120, 120, 12) (4, 19)\n",
    "1 (1, 120, 120, 12)\n3\n",
    "1 torch.Size([4, 12, 120, 120]) torch.Size([4, 43]) 0.",
    "('VV', 'VH') torch.Size([5, 12, 120, 120]) torch.Size([5, 19])\n",
    "torch.Size([2, 5, 120, 120]) torch.Size([2, 120, 120]) ",
    "60886",
    "1 (4, 43) 0.",
    "S2A_MSIL2A_20171221T112501_56_35\n(2, 6, 60, 60)\n",
    "(2, 6, 60, 60) uint16\n(4, 43)\n",
    "{2}\n",
    "<dtype: 'uint16'>\n",
    "(2, 2, 20, 20)\n(2, 120, 120, 12)\n",
    "(2, 20, 20) [19 20 22 28] 32629\n",
    "b01",
    "shape: (2, 2)",
    *["4 rows are as they were written\n"] * 4,
)


# What each program of a card prints of the thousand patches.
CARD = (
    "S2",
    "(2, 4, 120, 120)",
    "train       True      457",
    "S2",
    "torch.Size([64, 4, 120, 120]) torch.Size([64, 43])",
    "(64, 4, 120, 120) (64, 43)",
    "label",
    "season",
    "",
)


def find_packages(source: str) -> set[str]:
    """Returns the top-level packages that a program imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a program in a folder, if what it needs is installed, with a time limit."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))

    def run(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
        packages = find_packages(source)
        if "bigearthnet.load(" in source or "to_tf(" in source:
            packages.add("tensorflow")
        if "bigearthnet.plot(" in source:
            packages.add("matplotlib")
        for package in packages:
            pytest.importorskip(package)
        program = tmp_path / "recipe.py"
        program.write_text(source, encoding="utf-8")
        return subprocess.run(
            [sys.executable, str(program)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )

    return run


@pytest.mark.parametrize(("source", "printed"), list(zip(BLOCKS, PRINTED, strict=True)))
def test_a_recipe_runs_as_it_stands(
    source: str, printed: str, tmp_path: Path, run: Run, request: pytest.FixtureRequest
) -> None:
    """Each program of the recipes runs, and prints what it says."""
    stores = "v2_tables" if is_of_v2(source) else "all_stores"
    (tmp_path / "data").symlink_to(request.getfixturevalue(stores))
    done = run(source, tmp_path)

    assert 0 == done.returncode, done.stderr
    assert printed in done.stdout


# All but the one that asks for a real patch by name, and those of v2.0.
@pytest.mark.parametrize(
    "source", [b for b in BLOCKS if "reader.patch(" not in b and not is_of_v2(b)]
)
def test_a_recipe_ends_on_a_thousand_patches(
    source: str, thousand_patches: Path, run: Run
) -> None:
    """A program that stops early ends where a file has several row groups, too."""
    done = run(source, thousand_patches.parent)

    assert 0 == done.returncode, done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("source", [program for page in SHORT for program in page])
def test_a_program_of_a_short_page_runs(
    source: str, thousand_patches: Path, run: Run
) -> None:
    """What answers a question runs, here with a class that a thousand patches have."""
    done = run(source.replace("Airports", "Pastures"), thousand_patches.parent)

    assert 0 == done.returncode, done.stderr
    assert ("print(" in source) == ("S2" in done.stdout)


@pytest.mark.parametrize("source", README)
def test_each_line_of_the_readme_loads_and_ends(
    source: str, thousand_patches: Path, run: Run
) -> None:
    """Whatever the README calls `train` gives something; a program may stop then."""
    done = run(source, thousand_patches.parent)

    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize("number", range(len(CARD)))
def test_a_program_of_the_card_runs_and_ends(
    number: int, thousand_patches: Path, run: Run
) -> None:
    """Each program of a card runs when the store is named, and ends, even early."""
    card = thousand_patches / "huggingface" / "README.md"
    source = find_programs(card.read_text(encoding="utf-8"))[number]
    assert 1 == source.count('folder = "..."')
    source = source.replace('"..."', '"data/huggingface"')

    done = run(source, card.parents[2])

    assert 0 == done.returncode, done.stderr
    assert "Exception ignored" not in done.stderr
    assert CARD[number] in done.stdout


@pytest.mark.parametrize("path", ["docs/recipes.md", "builder/card/loading.md"])
def test_every_system_has_a_recipe(path: str) -> None:
    """PyTorch, JAX, TensorFlow, `datasets`, DuckDB and polars all have programs."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("$scale", "")
    programs = find_programs(text)
    packages = set().union(*map(find_packages, programs))

    assert {"torch", "jax", "bigearthnet", "datasets", "duckdb", "polars"} <= packages
