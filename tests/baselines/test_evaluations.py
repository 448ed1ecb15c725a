from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from baselines.evaluations import Subject
from baselines.settings import Settings
from baselines.workdir import Run
from bigearthnet.release.nomenclature import CLC43, CLC_LEVEL1

MakeSubject = Callable[..., Subject]


def describe(
    settings: Settings, initial: dict[str, Any] | None = None, **changes: Any
) -> Subject:
    """What a model of these settings, and weights to start from, is evaluated on."""
    run = Run(settings, {"train": {"synthetic_patches": 0}}, {}, None, initial)
    return Subject.from_run(
        run,
        **{
            "split": "test",
            "weights_sha256": "a" * 64,
            "synthetic_patches": 0,
            **changes,
        },
    )


def test_settings_say_most_of_it() -> None:
    """Model, seed, scheme, split and classes come from the settings."""
    subject = describe(Settings(model="s_cnn_rgb", seed=4, config="s2-random"))

    assert ("s_cnn_rgb", 4, "s2-random", "random", "train") == (
        subject.model,
        subject.seed,
        subject.config,
        subject.split_scheme,
        subject.train_split,
    )
    assert (CLC43, None, "scratch") == (
        subject.nomenclature,
        subject.derived_from,
        subject.weights_source,
    )


def test_what_a_training_started_from_counts() -> None:
    """Other initial weights are another model, which has seen their patches, too."""
    initial = {"sha256": "b", "config": "s2", "train_split": "test"}
    settings = Settings(config="s2")
    started = describe(settings, initial)

    assert describe(settings).settings_sha256 != started.settings_sha256
    assert "train+test" == started.train_split
    assert started.seen_in_training
    unknown = describe(settings, {**initial, "config": None, "train_split": None})
    assert "train" == unknown.train_split


def test_seeds_share_the_digest_of_their_settings() -> None:
    """Repetitions differ in the seed alone; any other setting is another model."""
    digest = describe(Settings()).settings_sha256

    assert digest == describe(Settings(seed=1)).settings_sha256
    assert digest != describe(Settings(learning_rate=0.02)).settings_sha256


def test_coarser_scores_say_what_they_come_from() -> None:
    """Scores of a level that was not learnt are derived."""
    derived = describe(Settings()).derive(CLC_LEVEL1)
    learnt = describe(Settings(labels="clc_level1"))

    assert (CLC_LEVEL1, "clc43") == (derived.nomenclature, derived.derived_from)
    assert (CLC_LEVEL1, None) == (learnt.nomenclature, learnt.derived_from)


def test_early_stopping_says_which_split_chose_the_weights() -> None:
    """The validation split of early stopping is no place for a result."""
    stopped = Settings(early_stopping_patience=2)

    assert describe(stopped, split="validation").weights_chosen_here
    assert not describe(stopped, split="test").weights_chosen_here
    assert not describe(Settings(), split="validation").weights_chosen_here


def test_frozen_weights_say_where_they_come_from() -> None:
    """Only inception_v2 has frozen weights; an S-CNN ignores that flag."""
    inception = Settings(model="inception_v2")

    assert "pretrained" == describe(inception).weights_source
    random = Settings(model="inception_v2", weights="random")
    assert describe(random).has_random_weights
    assert not describe(Settings(weights="random")).has_random_weights


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"synthetic_patches": 3}, "SYNTHETIC patches"),
        ({"trained_on_synthetic": 3}, "trained on SYNTHETIC patches"),
        ({"split": "train"}, "overfitting check, not a result"),
        (
            {"split": "test+validation", "chosen_on": "validation"},
            "weights chosen on these patches",
        ),
        (
            {"split": "train+test", "train_split": "test+excluded"},
            "overfitting check, not a result",
        ),
        ({"shuffled_labels": True}, "SHUFFLED labels"),
        ({"weights_source": "random"}, "RANDOM frozen weights"),
    ],
)
def test_what_is_no_result_says_so(
    make_subject: MakeSubject, changes: dict[str, Any], remark: str
) -> None:
    """Each reason not to take figures for results is a remark of its own."""
    assert () == make_subject().remarks
    assert (remark,) == make_subject(**changes).remarks
