from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.errors import ResultError
from baselines.evaluate import evaluate
from baselines.model_card import find_warnings, make_card, read_evaluations
from baselines.scoring import Data
from baselines.trained import load_trained_part
from baselines.workdir import read_run
from bigearthnet.release.nomenclature import CLC43

MakeRun = Callable[..., Path]
DIFFERENCE = 1.5e-7


def make(folder: Path) -> str:
    """The card of a workdir."""
    digest = load_trained_part(folder).weights_sha256
    results = read_evaluations(folder, digest)
    return make_card(read_run(folder), digest, results, DIFFERENCE)


def test_a_card_says_what_goes_in_and_out(make_run: MakeRun) -> None:
    """Groups and bands in order, classes in order, settings, licences."""
    folder = make_run(seed=5, where="country=Portugal|Ireland|Austria|Serbia")
    card = make(folder)

    assert card.startswith("# S-CNN-All on BigEarthNet\n")
    assert "| `bands_10m` | B02 B03 B04 B08 | (batch, 4, 120, 120) |" in card
    assert "| `bands_20m` | B05 B06 B07 B8A B11 B12 | (batch, 6, 60, 60) |" in card
    places = [card.index(f"- {n}: {label}") for n, label in enumerate(CLC43.labels)]
    assert sorted(places) == places
    assert "| seed | 5 |" in card
    assert r"| where | country=Portugal\|Ireland\|Austria\|Serbia |" in card
    assert "CDLA-Permissive-1.0" in card
    assert load_trained_part(folder).weights_sha256 in card
    assert "1.5e-07" in card
    assert "baseline 04.00" in card


def test_nothing_is_claimed_that_was_not_evaluated(
    make_run: MakeRun, all_stores: Path
) -> None:
    """Without an evaluation the card says so; with one it has its figures."""
    folder = make_run(model="s_cnn_rgb")
    assert "It was not evaluated" in make(folder)
    result = evaluate(folder, Data(all_stores), split="test", quiet=True)[0]
    card = make(folder)

    assert "not evaluated" not in card
    assert "| v1.0 official, test | clc43 | 0.5 | 1 |" in card
    assert f"| {result.metrics.per_patch.f1:.4f} |" in card
    assert "derived from clc43" in card
    assert "`bands_20m`" not in card


def test_warnings_stand_above_all(make_run: MakeRun) -> None:
    """Random and shuffled weights, and training on test patches, are said at once."""
    plain = make_run("plain", model="s_cnn_rgb")
    folder = make_run(
        model="inception_v2", shuffle_labels=True, train_split="train+test"
    )
    digest = load_trained_part(folder).weights_sha256
    found = find_warnings(read_run(folder), [])

    assert {} == find_warnings(read_run(plain), [])
    assert [
        "SHUFFLED labels",
        "RANDOM frozen weights",
        "Trained on the test split",
    ] == list(found)
    head = make_card(read_run(folder), digest, [], 0.0).partition("Multi-label")[0]
    assert all(f"> **{warning}: " in head for warning in found)


def test_synthetic_patches_are_said(make_run: MakeRun, all_stores: Path) -> None:
    """Made-up patches are said, whether evaluated or trained on."""
    folder = make_run(model="s_cnn_rgb")
    result = evaluate(folder, Data(all_stores), split="test", quiet=True)[0]
    subject = dataclasses.replace(result.subject, synthetic_patches=4)
    changed = dataclasses.replace(result, subject=subject)

    assert [] == list(find_warnings(read_run(folder), [result]))
    assert ["SYNTHETIC patches"] == list(find_warnings(read_run(folder), [changed]))
    run = read_run(folder)
    train = {**run.data["train"], "synthetic_patches": 4}
    made_up = dataclasses.replace(run, data={**run.data, "train": train})
    assert ["trained on SYNTHETIC patches"] == list(find_warnings(made_up, []))


def test_evaluations_of_other_weights_are_refused(
    make_run: MakeRun, all_stores: Path
) -> None:
    """A card never has figures of weights that are not there."""
    folder = make_run(model="s_cnn_rgb")
    evaluate(folder, Data(all_stores), split="test", quiet=True)

    with pytest.raises(ResultError, match="other weights"):
        read_evaluations(folder, "0" * 64)


def test_labels_of_a_coarser_level_are_listed(make_run: MakeRun) -> None:
    """A model that learnt five classes has a card of five."""
    card = make(make_run(model="s_cnn_rgb", labels="clc_level1"))
    classes = card.partition("## Classes")[2].partition("##")[0]

    assert 5 == classes.count("\n- ")
    assert "5 classes (clc_level1)" in card
