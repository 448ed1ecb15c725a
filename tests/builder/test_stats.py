from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import BigEarthNetError, OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import PATCHES
from builder.build import build
from builder.figures.counting import count_figures
from builder.figures.judging import Judgement
from builder.figures.tables import choose_stores, read_store_patches
from builder.stats import find_status, format_figures, format_judgements, read


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    return subprocess.run(
        [sys.executable, "-m", "builder.stats", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_part_of_the_archive_is_told_apart(all_stores: Path) -> None:
    """Of six patches, the status is 3, and JSON names what could not be judged."""
    done = run(f"--data_dir={all_stores}", "--json", "--check=paper")

    assert 3 == done.returncode
    content = json.loads(done.stdout)
    assert ("v1.0", "s2") == (content["release"], content["config"])
    assert {"all": 6, "train": 4, "test": 1, "excluded": 1} == (
        content["figures"]["patches"]
    )
    verdicts = {one["name"]: one["verdict"] for one in content["check"]}
    assert "not judged" == verdicts["classes clc43 all Airports"]
    assert "equal" == verdicts["patches with another split (official)"]


def test_a_table_alone_counts_the_same(all_stores: Path, tmp_path: Path) -> None:
    """A copy of the table, without the store, gives the same figures."""
    (store, *_) = choose_stores(all_stores)
    shutil.copy(store.folder / PATCHES, tmp_path / "table.parquet")

    alone = count_figures(read(None, tmp_path / "table.parquet", None))

    assert count_figures(read_store_patches(store)) == alone
    assert {"winter": 2, "summer": 3, "autumn": 1} == alone["seasons"]["all"]
    assert 2 == alone["classes"]["ben19"]["train"]["Pastures"]
    assert "Water bodies" in format_figures(alone)


def test_stores_of_two_splits_are_not_mixed(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Where there are several, one must be chosen."""
    for name in ("s2", "s2-random"):
        options = BuildOptions(quiet=True, workers=1)
        build(sample_folder, tmp_path, get_config(name, RELEASES), options)

    with pytest.raises(OptionError, match=r"--config, of s2, s2-random"):
        choose_stores(tmp_path)
    assert ["s2-random"] == [
        store.config.name for store in choose_stores(tmp_path, "s2-random")
    ]
    with pytest.raises(OptionError, match=r"no store of s2-rgb"):
        choose_stores(tmp_path, "s2-rgb")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"patch_id": ["x"]}, "no column labels, split"),
        ({"patch_id": ["x"], "labels": [[1]], "split": ["train"]}, "got 'x'"),
        ({"patch_id": ["x"], "labels": ["a"], "split": ["train"]}, "lists of class"),
        # As the published table of v2.0 has them.
        ({"patch_id": ["x"], "labels": [["a"]], "split": ["train"]}, "got list.*of a"),
        (
            {
                "patch_id": ["S2A_MSIL2A_20170613T101031_0_45"],
                "labels": [[43]],
                "split": ["train"],
            },
            "0 to 42",
        ),
    ],
)
def test_other_tables_are_refused(
    columns: dict[str, object], message: str, tmp_path: Path
) -> None:
    """The error names the file, and what was expected."""
    pq.write_table(pa.table(columns), tmp_path / "other.parquet")

    with pytest.raises(BigEarthNetError, match=rf"other\.parquet.*{message}"):
        read(None, tmp_path / "other.parquet", None)


def test_a_difference_outweighs_what_is_not_judged() -> None:
    """1 before 3 before 0; what is not judged is counted by kind, with the reason."""
    equal, other = Judgement("a", "equal", 1, 1), Judgement("b", "different", 1, 2)
    unknown = Judgement("c d", "not judged", 1, None, "why")

    assert [0, 3, 1] == [
        find_status(judged)
        for judged in ([equal], [equal, unknown], [equal, unknown, other])
    ]
    assert [
        "DIFFERENT b: published 1, found 2",
        "not judged, since why: c (2)",
        "1 figures equal, 1 different, 2 not judged",
    ] == format_judgements([equal, unknown, other, unknown]).splitlines()


@pytest.mark.parametrize("arguments", [(None, None), (Path("a"), Path("b"))])
def test_one_place_must_be_given(arguments: tuple[Path | None, Path | None]) -> None:
    """Neither none nor two."""
    with pytest.raises(OptionError, match="--data_dir, or --table"):
        read(*arguments, None)
