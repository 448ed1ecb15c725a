from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.comparison.entries import Group, group_evaluations, read_evaluation
from baselines.decisions import METRICS
from baselines.errors import ResultError
from baselines.scores import Scores
from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import CLC43_ALPHABETICAL, CLC_LEVEL2

MakeScores = Callable[..., Scores]
MakeWorkdir = Callable[..., Path]


def group(*workdirs: Path, split: str = "test", labels: str | None = None) -> Group:
    """The only group of some workdirs."""
    (found,) = group_evaluations(
        [read_evaluation(workdir, split, labels) for workdir in workdirs]
    )
    return found


def change_scores(scores: Scores, **changes: Any) -> Scores:
    """Scores with other ids, labels or probabilities."""
    return Scores(**{**vars(scores), **changes})


def test_seeds_of_a_model_are_one_entry(make_workdir: MakeWorkdir) -> None:
    """Runs with the same settings are put together by seed, in the paper's order."""
    found = group(
        make_workdir("a", seed=2),
        make_workdir("b", model="s_cnn_rgb"),
        make_workdir("c", seed=1),
        make_workdir("d", model="own_net"),
        make_workdir("e", model="inception_v2"),
    )

    assert ["Inception-v2", "S-CNN-RGB", "S-CNN-All", "own_net"] == [
        entry.name for entry in found.entries
    ]
    assert (1, 2) == found.entries[2].seeds


def test_models_of_the_same_name_are_told_apart(make_workdir: MakeWorkdir) -> None:
    """Other settings make another entry, named after the digest of its settings."""
    found = group(
        make_workdir("a", settings_sha256="1" * 64),
        make_workdir("b", settings_sha256="2" * 64),
    )

    assert ["S-CNN-All (settings 11111111)", "S-CNN-All (settings 22222222)"] == [
        entry.name for entry in found.entries
    ]


def test_frozen_checkpoints_are_entries_of_their_own(
    make_workdir: MakeWorkdir,
) -> None:
    """Heads on different checkpoints are no seeds of one model; drawn numbers are."""
    runs = []
    for seed, digest in enumerate(("1" * 64, "2" * 64)):
        frozen = {"source": "tf-slim", "sha256": digest}
        changes = {"model": "inception_v2", "seed": seed, "frozen_weights": frozen}
        runs.append(read_evaluation(make_workdir(digest[0], **changes), "test"))
        drawn = {"source": "random", "seed": seed}
        changes = {"model": "third", "seed": seed, "frozen_weights": drawn}
        runs.append(read_evaluation(make_workdir(f"r{seed}", **changes), "test"))
    (group,) = group_evaluations(runs)

    assert [1, 1, 2] == [len(entry.runs) for entry in group.entries]
    assert group.entries[1].name.endswith("checkpoint 22222222)")


def test_the_scores_of_seeds_are_averaged_patch_by_patch(
    make_workdir: MakeWorkdir,
) -> None:
    """The mean over patches of an entry's scores is that of its seeds' headlines."""
    (entry,) = group(make_workdir("a"), make_workdir("b", seed=1)).entries
    scores = entry.patch_scores()

    assert METRICS == tuple(scores)
    for name in METRICS:
        headlines = [getattr(r.result.metrics.per_patch, name) for r in entry.runs]
        assert headlines[0] != headlines[1]
        assert scores[name].mean() == pytest.approx(np.mean(headlines))


def test_patches_are_joined_by_id(
    make_workdir: MakeWorkdir, make_scores: MakeScores
) -> None:
    """Another order of the same patches is the same evaluation."""
    scores = make_scores()
    order = np.random.default_rng(0).permutation(len(scores.patch_ids))
    shuffled = Scores(
        tuple(scores.patch_ids[i] for i in order),
        scores.y_true[order],
        scores.probability[order],
    )
    one, other = group(
        make_workdir("a", scores=scores),
        make_workdir("b", scores=shuffled, model="s_cnn_rgb"),
    ).entries

    assert np.array_equal(one.patch_scores()["f1"], other.patch_scores()["f1"])


def test_official_and_random_splits_are_groups_of_their_own(
    make_workdir: MakeWorkdir,
) -> None:
    """Results of the two schemes are never put together, official ones come first."""
    random = make_workdir("a", split_scheme="random", config="s2-random")
    runs = [read_evaluation(w, "test") for w in (random, make_workdir("b"))]

    assert ["official", "random"] == [
        g.result.subject.split_scheme for g in group_evaluations(runs)
    ]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"threshold": 0.4}, "threshold: 0.5 and 0.4"),
        ({"nomenclature": CLC43_ALPHABETICAL}, "classes: clc43 and clc43_alphabetical"),
        ({"synthetic_patches": 9}, "synthetic patches: 0 and 9"),
    ],
)
def test_runs_that_differ_in_more_than_the_model_are_refused(
    make_workdir: MakeWorkdir, changes: dict[str, Any], match: str
) -> None:
    """Both workdirs and the difference are named."""
    one = make_workdir("one")
    other = make_workdir("other", model="s_cnn_rgb", **changes)

    with pytest.raises(ResultError, match=rf"(?s)/one and .*/other must not.*{match}"):
        group(one, other)


def test_runs_on_other_patches_or_labels_are_refused(
    make_workdir: MakeWorkdir, make_scores: MakeScores
) -> None:
    """Another set of patches, or one other label, is no base for a comparison."""
    scores = make_scores()
    one = make_workdir("one")
    patches = make_workdir("patches", scores=make_scores(num_products=19))
    labels = scores.y_true.copy()
    labels[7, 3] ^= 1
    labelled = make_workdir("labels", scores=change_scores(scores, y_true=labels))

    with pytest.raises(ResultError, match=r"differ in patches .*\(120, .*\(114, "):
        group(one, patches)
    with pytest.raises(ResultError, match=r"differ in labels of 1 patch, S2A_.*_1_1 "):
        group(one, labelled)


def test_a_seed_that_comes_twice_is_refused(make_workdir: MakeWorkdir) -> None:
    """The same run given twice would pass for a repetition."""
    with pytest.raises(ResultError, match=r"the same seed, 0: expected each seed once"):
        group(make_workdir("a"), make_workdir("b"))


def test_a_workdir_of_another_split_is_refused(make_workdir: MakeWorkdir) -> None:
    """An evaluation that was moved to another split's folder is found out."""
    workdir = make_workdir("a", split="validation")
    with pytest.raises(ResultError, match="missing: the model was not evaluated"):
        read_evaluation(workdir, "test")
    (workdir / "evaluations/validation").rename(workdir / "evaluations/test")
    with pytest.raises(ResultError, match="an evaluation of validation, not of test"):
        read_evaluation(workdir, "test")


def test_derived_and_learnt_levels_stand_side_by_side(
    make_workdir: MakeWorkdir, make_scores: MakeScores
) -> None:
    """Level 2 that was learnt is compared with level 2 derived from level 3."""
    scores = make_scores(num_classes=15)
    workdir = make_workdir("a", model="s_cnn_all")
    make_workdir("a", nomenclature=CLC_LEVEL2, derived_from="clc43", scores=scores)
    learnt = make_workdir("b", nomenclature=CLC_LEVEL2, scores=scores)
    found = group(workdir, learnt, labels="clc_level2")

    assert ["S-CNN-All", "S-CNN-All, derived"] == [e.name for e in found.entries]
    assert ("scores derived from clc43",) == found.entries[1].remarks
    assert "clc43" == group(workdir).result.subject.nomenclature.name


def test_classes_that_were_not_evaluated_are_refused(make_workdir: MakeWorkdir) -> None:
    """A level that was neither learnt nor derived, or does not exist, is an error."""
    workdir = make_workdir("a")

    with pytest.raises(ResultError, match="no evaluation of test in clc_level2"):
        read_evaluation(workdir, "test", "clc_level2")
    with pytest.raises(OptionError, match="unknown nomenclature"):
        read_evaluation(workdir, "test", "level2")
