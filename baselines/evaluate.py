"""Evaluates a trained model on a split: every patch once, the last short batch, too.

Writes `results.json` (see baselines/schemas/results.schema.json) and `scores.parquet`
(labels and probabilities of each patch) into WORKDIR/evaluations/SPLIT/. The headline
is the paper's: precision, recall, F1 and F2 of each patch, then the mean, at
--threshold. If training had a validation split, a second column shows the same at the
threshold with the highest F1 there; it is never chosen on what is evaluated.

What a model of the 43 classes says of the coarser levels of CORINE Land Cover is
derived from its scores, and stands in the folders clc_level2/ and clc_level1/ beside.

Example:
  python -m baselines.evaluate --workdir=runs/s_cnn_all --data_dir=data --split=test
"""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from baselines import workdir
from baselines.backend import check_keras, describe_device
from baselines.cluster import check_same, is_chief, report_lost_hosts
from baselines.decisions import DEFAULT_THRESHOLD, predict, tune_threshold
from baselines.evaluations import Result, Subject
from baselines.frozen_features import load_or_make_features
from baselines.input_pipeline import PatchData
from baselines.levels import derive_level
from baselines.optimizers import choose_strategy
from baselines.results import RESULTS, evaluation_folder, write_results
from baselines.results_text import format_results
from baselines.scores import SCORES, Scores
from baselines.settings import NO_SPLIT, share_split, split_names
from baselines.steps import compute_outputs
from baselines.stored_rows import StoreData, open_random_access
from baselines.trained import Trained, check_frozen_weights, load_trained_part
from bigearthnet.release.nomenclature import CLC43, CLC_LEVEL1, CLC_LEVEL2, Nomenclature
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import tensorflow as tf

# Patches of a forward pass. One number for all, since float32 sums may depend on it.
_BATCH_SIZE = 128
# The levels that are derived from level 3.
_DERIVED = (CLC_LEVEL2, CLC_LEVEL1)


@dataclass(frozen=True)
class Data:
    """Where patches come from.

    Attributes:
        data_dir: The data directory of the build.
        weights_path: Checkpoint of inception_v2.
        features_dir: Folder of its cached features; None for one in the workdir.
    """

    data_dir: Path
    weights_path: Path | None = None
    features_dir: Path | None = None


@report_lost_hosts()
def evaluate(
    folder: Path,
    data: Data,
    *,
    split: str = "test",
    threshold: float = DEFAULT_THRESHOLD,
    tune: bool = True,
    quiet: bool = False,
) -> list[Result]:
    """Evaluates a trained model and writes the results into its workdir.

    On several hosts each scores its part of the patches, and the chief alone writes.

    Args:
        folder: The workdir.
        data: The patches.
        split: Splits to evaluate, joined by +.
        threshold: Threshold of the headline, in (0, 1].
        tune: Also evaluates at a threshold tuned on the validation split, if training
            had one that shares no split with what is evaluated.
        quiet: Shows no progress.

    Returns:
        The results in the classes that were learnt, then those derived from them; none
        on a host that is not the chief.

    Raises:
        OptionError: If there is no such split, or the threshold has no meaning.
        WeightsError: If the folder holds no trained model, or weights are others.
        StoreError: If there is no store, or one of its files is missing.
        ShardError: If the store is damaged.
        CacheError: If kept features are of another network.
        ClusterError: If another host has ended, or does something else.
    """
    start = time.monotonic()
    split_names(split)
    if data.features_dir is not None:
        check_output(data.features_dir, "features_dir")
    predict(np.zeros((0, 0), np.float32), threshold)  # refuses it before the work
    check_keras("baselines.evaluate")
    strategy = choose_strategy()
    with strategy.scope():
        trained = load_trained_part(folder)
    chosen = trained.run.settings
    check_frozen_weights(trained.run, folder, data.weights_path)
    store = open_random_access(data.data_dir, chosen.config)
    what = "flags, weights or patches: expected the same command, workdir and store."
    same = (trained.weights_sha256, store.manifest, split, threshold, tune)
    check_same(strategy, what, same)
    quiet = quiet or not is_chief(strategy)
    patches = StoreData(store, chosen, split)
    if not quiet:
        print(
            f"evaluates {trained.title}, of {folder}\n"
            f"patches: {patches.num_patches:,} of {split}, in {store.folder}\n"
            f"{describe_device()}",
            file=sys.stderr,
        )
    score = functools.partial(_score, trained, folder, data, strategy, quiet=quiet)
    scores = score(patches)
    tuned_on = find_tuning_split(chosen.validation_split, chosen.train_split, split)
    tuning = None
    if tune and tuned_on is not None:
        tuning = score(StoreData(store, chosen, tuned_on))
    if not is_chief(strategy):
        return []
    seconds = round(time.monotonic() - start, 3)
    results = []
    derived = _DERIVED if chosen.nomenclature == CLC43 else ()
    for target in (None, *derived):
        tuned_threshold = None
        if tuning is not None:
            found = _derive(tuning, target)
            tuned_threshold = tune_threshold(found.y_true, found.probability)
        subject = Subject.from_run(
            trained.run,
            split=split,
            weights_sha256=trained.weights_sha256,
            synthetic_patches=patches.synthetic_patches,
            nomenclature=target,
        )
        results.append(
            write_results(
                evaluation_folder(folder, split, target),
                subject,
                _derive(scores, target),
                threshold=threshold,
                tuned_threshold=tuned_threshold,
                tuned_on=tuned_on or NO_SPLIT,
                run={"seconds": seconds},
            )
        )
    return results


def find_tuning_split(
    validation_split: str, train_split: str, split: str
) -> str | None:
    """Returns the split to tune a threshold on; None if there is none.

    Args:
        validation_split: Validation split of the training.
        train_split: What was trained on; the model is too good there.
        split: What is evaluated.
    """
    others = f"{train_split}+{split}"
    if validation_split == NO_SPLIT or share_split(validation_split, others):
        return None
    return validation_split


def score_patches(
    trained: Trained,
    patches: PatchData,
    strategy: tf.distribute.Strategy,
    progress: Progress,
) -> Scores:
    """Computes the probabilities of every patch, in stored order.

    Args:
        trained: The model.
        patches: What it takes.
        strategy: Where it was made.
        progress: Counts the patches.
    """
    labels, probabilities = [], []
    nbytes = patches.count_nbytes()
    outputs = compute_outputs(strategy, trained.model, patches, _BATCH_SIZE)
    for probability, truth in outputs:
        probabilities.append(probability)
        labels.append(truth)
        progress.add(len(truth), len(truth) * nbytes)
    return Scores(
        tuple(patches.patch_ids), np.concatenate(labels), np.concatenate(probabilities)
    )


def _score(
    trained: Trained,
    folder: Path,
    data: Data,
    strategy: tf.distribute.Strategy,
    stored: StoreData,
    *,
    quiet: bool,
) -> Scores:
    patches: PatchData = stored
    if trained.run.settings.uses_features:
        patches = load_or_make_features(
            trained.run.settings,
            stored,
            weights_path=data.weights_path,
            cache_dir=data.features_dir or folder / workdir.FEATURES,
            strategy=strategy,
            quiet=quiet,
        )
    stage = f"evaluate {stored.split}"
    with Progress(stage, total_patches=patches.num_patches, quiet=quiet) as progress:
        return score_patches(trained, patches, strategy, progress)


def _derive(scores: Scores, target: Nomenclature | None) -> Scores:
    """Turns scores of level 3 into those of a coarser one; None changes nothing."""
    if target is None:
        return scores
    labels = derive_level(scores.y_true, target)
    return Scores(scores.patch_ids, labels, derive_level(scores.probability, target))


def _define_flags() -> None:
    command.define_path("workdir", None, "Folder of the trained model.", required=True)
    command.define_path("data_dir", None, "Data directory, or store.", required=True)
    flags.DEFINE_string("split", "test", "Splits to evaluate, joined by +.")
    flags.DEFINE_float("threshold", DEFAULT_THRESHOLD, "Threshold of the headline.")
    flags.DEFINE_bool(
        "tune_threshold",
        True,
        "Adds results at a threshold tuned on the validation split of the training.",
    )
    command.define_path("weights_path", None, "TF-Slim checkpoint of inception_v2.")
    command.define_path(
        "features_dir", None, "Folder of its features; by default in the workdir."
    )


def _main() -> None:
    command.check_packages(
        "baselines", "tensorflow", "sklearn", "jsonschema", "pydantic"
    )
    folder = flags.FLAGS.workdir
    results = evaluate(
        folder,
        Data(
            flags.FLAGS.data_dir,
            flags.FLAGS.weights_path,
            flags.FLAGS.features_dir,
        ),
        split=flags.FLAGS.split,
        threshold=flags.FLAGS.threshold,
        tune=flags.FLAGS.tune_threshold,
    )
    if results:
        print(format_results(results))
        results_in = evaluation_folder(folder, flags.FLAGS.split)
        print(
            f"\nresults: {results_in / RESULTS}, {results_in / SCORES}\n"
            f"next: python -m baselines.compare --workdirs={folder} "
            f"--split={flags.FLAGS.split}"
        )


if __name__ == "__main__":
    command.run(
        _main, _define_flags, find_logs=lambda: flags.FLAGS.workdir / workdir.LOGS
    )
