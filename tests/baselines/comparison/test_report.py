from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.comparison.entries import group_evaluations, read_evaluation
from baselines.comparison.gallery import make_gallery
from baselines.comparison.pairs import compare_pairs
from baselines.comparison.report import Section, make_blocks, make_json
from baselines.decisions import METRICS
from bigearthnet.report.page import Block, Heading, Table, Text

MakeWorkdir = Callable[..., Path]
MakeSections = Callable[..., list[Section]]


@pytest.fixture
def make_sections(make_workdir: MakeWorkdir) -> MakeSections:
    """Compares runs, each said as changes of the default."""

    def make(*runs: dict[str, Any], split: str = "test") -> list[Section]:
        workdirs = [
            make_workdir(str(n), split=split, **run) for n, run in enumerate(runs)
        ]
        groups = group_evaluations(
            [read_evaluation(workdir, split) for workdir in workdirs]
        )
        return [Section(g, compare_pairs(g), make_gallery(g, count=1)) for g in groups]

    return make


def texts(blocks: list[Block], *, warnings: bool) -> str:
    """All paragraphs that are warnings, or all that are not."""
    found = (b for b in blocks if isinstance(b, Text) and b.is_warning == warnings)
    return "\n".join(block.text for block in found)


def test_each_scheme_has_a_section_of_its_own(make_sections: MakeSections) -> None:
    """No table holds rows of ours from the official and from the random split."""
    random = {"split_scheme": "random", "config": "s2-random"}
    blocks = make_blocks(make_sections({}, random, {**random, "seed": 1}))

    assert ["v1.0, official split: test", "v1.0, random split: test"] == [
        b.text for b in blocks if isinstance(b, Heading) and b.level == 2
    ]
    tables = [b for b in blocks if isinstance(b, Table) and "Table 4" in b.caption]
    assert all(("F1", "F2") == table.header[1:3] for table in tables)
    ours = [[r for r in t.rows if r[5].startswith("ours")] for t in tables]
    assert [["v1.0 official, test"], ["v1.0 random, test"]] == [
        [r[7] for r in t] for t in ours
    ]
    assert "must not be set against" in texts(blocks, warnings=False)


@pytest.mark.parametrize(
    ("run", "split", "warning"),
    [
        ({"synthetic_patches": 3000}, "test", "SYNTHETIC patches"),
        ({}, "train", "overfitting check, not a result"),
        ({"shuffled_labels": True}, "test", "SHUFFLED labels"),
        ({"weights_source": "random"}, "test", "RANDOM frozen weights"),
    ],
)
def test_what_is_no_result_has_a_warning(
    make_sections: MakeSections, run: dict[str, Any], split: str, warning: str
) -> None:
    """A warning stands above the tables, and only where it applies."""
    plain = make_blocks(make_sections({}))
    assert "" == texts(plain, warnings=True)

    blocks = make_blocks(make_sections({"model": "s_cnn_rgb", **run}, split=split))
    assert texts(blocks, warnings=True).startswith(warning)


def test_who_is_left_out_is_said(make_sections: MakeSections) -> None:
    """Models without a statement of significance are named with the reason."""
    sections = make_sections({"model": "inception_v2", "weights_source": "random"}, {})
    text = texts(make_blocks(sections), warnings=False)

    assert "Fewer than two models that may be compared." in text
    assert "Left out: Inception-v2 (random weights)." in text


def test_the_json_holds_every_figure(make_sections: MakeSections) -> None:
    """Means, deviations, each seed and each difference; no times."""
    sections = make_sections({}, {"seed": 1}, {"model": "s_cnn_rgb", "quality": 0.3})
    content = json.loads(json.dumps(make_json(sections), allow_nan=False))
    (group,) = content["groups"]
    rgb, both = group["models"]

    headlines = [seed["metrics"]["per_patch"] for seed in both["seeds"]]
    for name in METRICS:
        values = [headline[name] for headline in headlines]
        assert both["mean"][name] == pytest.approx(np.mean(values))
        assert both["sd"][name] == pytest.approx(np.std(values, ddof=1))
    assert rgb["sd"] is None
    assert list(METRICS) == [d["metric"] for d in group["differences"]]
    f1 = group["differences"][2]
    assert f1["mean"] == pytest.approx(both["mean"]["f1"] - rgb["mean"]["f1"])
    assert 0.6759 == content["paper"]["rows"]["s_cnn_rgb"]["averages"]["f1"]
    assert (120, 20) == (group["patches"], f1["products"])
    assert "seconds" not in json.dumps(content)
