from __future__ import annotations

import numpy as np
import pytest

from baselines.leaks import (
    Training,
    count_seen_elsewhere,
    list_trainings,
    share_splits,
)
from baselines.settings import Settings
from baselines.workdir import Run
from bigearthnet.release import RELEASES
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import get_config


def list_ids(config: str, split: str) -> list[str]:
    """The patch ids of a split, of the table of the package."""
    chosen = get_config(config, RELEASES)
    index = load_index(chosen.release, chosen.choice.scheme)
    rows = np.flatnonzero(index.splits == chosen.release.splits.index(split))
    return list(index.patch_ids(rows).to_pylist())


@pytest.mark.parametrize(
    ("config", "split", "evaluated", "count"),
    [
        # The cross table of both official splits, from the official tables.
        ("s2", "train", "v2-s2", 60_886),
        ("s2", "validation", "v2-s1", 29_269),
        ("s2", "test", "v2-s1s2", 29_670),
        ("s2", "train+validation", "v2-s2", 60_886 + 29_269),
        ("s2-random", "train", "v2-s2", 71_860),
        # Both of v1.0, patches that v2.0 does not have among them.
        ("s2-random", "train", "s2", 75_522),
        ("v2-s1", "train", "s2", 56_532),
        ("v2-s1s2", "train", "v2-s2", 0),
    ],
)
def test_patches_of_the_test_split_are_found_in_other_splits(
    config: str, split: str, evaluated: str, count: int
) -> None:
    """The same patch is known by its name in v1.0, whatever the release calls it."""
    trained = [Training(config, split)]

    assert count == count_seen_elsewhere(
        trained, evaluated, list_ids(evaluated, "test")
    )


def test_what_was_trained_on_twice_counts_once() -> None:
    """All that a model has seen counts, each patch once; unknown ids do not."""
    trained = [Training("s2", "train"), Training("s2", "train+validation")]
    ids = [*list_ids("v2-s2", "test"), "S2A_of_nowhere"]

    assert 60_886 + 29_269 == count_seen_elsewhere(trained, "v2-s2", ids)


def test_weights_bring_what_they_were_trained_on() -> None:
    """A run has seen what all runs before it had, as far as these say it."""
    first = {"config": "s2", "train_split": "train", "initial_weights": None}
    unknown = {"config": None, "train_split": None, "initial_weights": first}
    settings = Settings(config="v2-s2", labels="ben19")
    run = Run(settings, {}, {}, None, unknown)

    assert [("v2-s2", "train"), ("s2", "train")] == list(list_trainings(run))


def test_configurations_of_one_release_and_scheme_share_splits() -> None:
    """Bands make no difference, releases and schemes do."""
    assert share_splits("v2-s1", "v2-s1s2")
    assert not share_splits("s2", "s2-random")
    assert not share_splits("s2", "v2-s2")
