from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.comparison.entries import Group, group_evaluations, read_evaluation
from baselines.comparison.gallery import (
    choose_examples,
    find_differing,
    make_gallery,
    read_pictures,
)
from baselines.errors import ResultError
from baselines.scores import Scores
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.release.bands import GROUPS
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.report.page import Answer
from bigearthnet.schema.examples import Example
from bigearthnet.schema.rgb import decode_image, to_rgb

MakeWorkdir = Callable[..., Path]
MakeGroup = Callable[..., Group]

SPLIT = "train+test+excluded"


@pytest.fixture
def make_group(make_workdir: MakeWorkdir) -> MakeGroup:
    """Makes a group of models from the probabilities that each gives."""

    def make(
        ids: tuple[str, ...],
        y_true: np.ndarray,
        probabilities: dict[str, np.ndarray],
        **changes: Any,
    ) -> Group:
        workdirs = []
        for model, probability in probabilities.items():
            scores = Scores(ids, y_true, probability.astype(np.float32))
            source = "random" if model == "inception_v2" else "scratch"
            options = {"split": SPLIT, "weights_source": source, **changes}
            workdirs.append(make_workdir(model, scores=scores, model=model, **options))
        split = changes.get("split", SPLIT)
        (group,) = group_evaluations(
            [read_evaluation(workdir, split) for workdir in workdirs]
        )
        return group

    return make


@pytest.fixture
def sample_group(make_group: MakeGroup, sample_rows: list[Example]) -> Group:
    """A model that is right about the six real patches."""
    ids = tuple(str(row["patch_id"]) for row in sample_rows)
    y_true = np.stack([row["multi_hot_43"] for row in sample_rows]).astype(np.uint8)
    return make_group(ids, y_true, {"s_cnn_all": y_true})


@pytest.mark.parametrize("form", ["arrow", "tfrecord"])
def test_pictures_are_those_of_the_patches(
    form: str,
    sample_group: Group,
    sample_rows: list[Example],
    all_stores: Path,
    tmp_path: Path,
) -> None:
    """Each patch has its own picture, with the documented stretch, from any split."""
    data_dir = all_stores
    if form == "tfrecord":
        data_dir = tmp_path / "data"
        shutil.copytree(all_stores / "bigearthnet", data_dir / "bigearthnet")
    pictures = read_pictures(sample_group, range(6), data_dir)

    assert {row["patch_id"] for row in sample_rows} == set(pictures)
    for row in sample_rows:
        blue, green, red, _ = np.asarray(row[GROUPS[0].name])
        expected = to_rgb([red, green, blue])
        found = decode_image(pictures[str(row["patch_id"])])
        assert np.array_equal(expected, found)


def test_a_store_of_other_labels_is_refused(
    make_group: MakeGroup, sample_group: Group, all_stores: Path
) -> None:
    """Synthetic patches have real ids; other labels give them away."""
    scores = sample_group.result.scores
    labels = scores.y_true.copy()
    labels[2] = labels[2][::-1]
    group = make_group(scores.patch_ids, labels, {"other": labels})

    with pytest.raises(ResultError, match=f"{scores.patch_ids[2]} has other labels"):
        read_pictures(group, [0, 2], all_stores)


def test_a_patch_that_is_not_there_is_named(
    make_group: MakeGroup, sample_group: Group, all_stores: Path
) -> None:
    """A store without one of the patches is not the one that was evaluated."""
    scores = sample_group.result.scores
    group = make_group(
        ("S2A_MSIL2A_20170613T101031_0_1", *scores.patch_ids[1:]),
        scores.y_true,
        {"other": scores.probability},
    )

    with pytest.raises(ResultError, match="no patch S2A_MSIL2A_20170613T101031_0_1 in"):
        read_pictures(group, range(6), all_stores)


def test_a_missing_store_or_split_is_an_error(
    make_group: MakeGroup, sample_group: Group, all_stores: Path, tmp_path: Path
) -> None:
    """A data directory without the store, or without the split, says so."""
    scores = sample_group.result.scores
    with pytest.raises(StoreError, match="no store of config s2"):
        read_pictures(sample_group, [0], tmp_path)
    group = make_group(
        scores.patch_ids, scores.y_true, {"m": scores.probability}, split="validation"
    )
    with pytest.raises(OptionError, match="no split 'validation'"):
        read_pictures(group, [0], all_stores)


def test_patches_on_which_models_differ_come_first() -> None:
    """They are drawn at random, then others, reproducibly and each once."""
    differing = np.zeros(50, np.bool_)
    differing[[7, 11, 30]] = True
    chosen = choose_examples(differing, 6, seed=0)

    assert {7, 11, 30} == set(chosen[:3])
    assert 6 == len(set(chosen))
    assert chosen == choose_examples(differing, 6, seed=0)
    assert chosen != choose_examples(differing, 6, seed=1)
    assert 50 == len(set(choose_examples(differing, 99, seed=0)))


def test_a_card_says_what_each_model_got_right(make_group: MakeGroup) -> None:
    """Right, wrong and missed classes are told apart; labels are separated clearly."""
    names = ("Pastures", "Beaches, dunes, sands", "Bare rock", "Water bodies")
    pasture, beach, rock, water = (CLC43.ids[name] for name in names)
    y_true = np.zeros((2, 43), np.uint8)
    y_true[0, [pasture, beach]] = 1
    some = y_true.astype(np.float32)
    some[0, [beach, rock, water]] = 0, 0.5, 0.7
    ids = ("S2A_MSIL2A_20170613T101031_0_1", "S2A_MSIL2A_20170613T101031_0_2")
    group = make_group(ids, y_true, {"s_cnn_all": y_true, "s_cnn_rgb": some})
    cards = make_gallery(group, count=2)

    assert [True, False] == find_differing(group).tolist()
    assert ids == tuple(card.title for card in cards.cards)
    assert dict(cards.cards[0].lines) == {
        "Labels": "Pastures; Beaches, dunes, sands",
        "S-CNN-RGB": (
            Answer("right", "Pastures"),
            Answer("wrong", "Bare rock; Water bodies"),
            Answer("missed", "missed: Beaches, dunes, sands"),
        ),
        "S-CNN-All": (Answer("right", "Pastures; Beaches, dunes, sands"),),
    }
    assert ("Labels", "none") == cards.cards[1].lines[0]
    assert "nothing, rightly" == cards.cards[1].lines[1][1]
    assert "1 of the 1 on which models differ, 1 of the 1 others" in cards.caption


def test_random_weights_do_not_choose_the_examples(make_group: MakeGroup) -> None:
    """What a model with random weights says is shown, but draws no patch."""
    y_true = np.eye(3, 19, dtype=np.uint8)
    ids = tuple(f"S2A_MSIL2A_20170613T101031_0_{n}" for n in range(3))
    probabilities = {"inception_v2": 1 - y_true, "s_cnn_all": y_true}
    group = make_group(ids, y_true, probabilities, nomenclature=BEN19)

    assert not find_differing(group).any()
    lines = make_gallery(group, count=1).cards[0].lines
    assert ["Labels", "Inception-v2, random weights", "S-CNN-All"] == [
        term for term, _ in lines
    ]
