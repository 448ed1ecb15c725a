"""Evaluates a trained model on a split: every patch once, the last short batch, too.

Writes `results.json` (see baselines/schemas/results.schema.json) and `scores.parquet`
(labels and probabilities of each patch) into WORKDIR/evaluations/SPLIT/. The headline
is the paper's: precision, recall, F1 and F2 of each patch, then the mean, at
--threshold. If training had a validation split, a second column shows the same at the
threshold with the highest F1 there; it is never chosen on what is evaluated.

A model can be evaluated on the patches of another configuration, of v2.0 say, if it was
trained on v1.0 with --labels=ben19. The splits of the releases overlap: how many of the
patches were in its training is counted, and said with the figures, which are no result
then.

What a model of the 43 classes says of the coarser levels of CORINE Land Cover is
derived from its scores, and stands in the folders clc_level2/ and clc_level1/ beside.

Example:
  python -m baselines.evaluate --workdir=runs/s_cnn_all --data_dir=data --split=test
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from baselines import workdir
from baselines.backend import describe_device
from baselines.cluster import check_same, is_chief, report_lost_hosts
from baselines.decisions import DEFAULT_THRESHOLD, predict, tune_threshold
from baselines.evaluations import Result, Subject
from baselines.leaks import count_seen_elsewhere, list_trainings
from baselines.levels import derive_level
from baselines.results import RESULTS, evaluation_folder, write_results
from baselines.results_text import format_results
from baselines.scores import SCORES, Scores
from baselines.scoring import Data, Evaluation, choose_tuning, open_evaluation
from baselines.splits import NO_SPLIT
from bigearthnet.release.nomenclature import CLC43, CLC_LEVEL1, CLC_LEVEL2, Nomenclature
from bigearthnet.util import command

if TYPE_CHECKING:
    from baselines.stored_rows import StoreData
    from baselines.workdir import Run

# The levels that are derived from level 3.
_DERIVED = (CLC_LEVEL2, CLC_LEVEL1)


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
            had one that shares no split with what is evaluated, of the same release
            and split scheme.
        quiet: Shows no progress.

    Returns:
        The results in the classes that were learnt, then those derived from them; none
        on a host that is not the chief.

    Raises:
        OptionError: If there is no such split or configuration, the model cannot take
            its patches, or the threshold has no meaning.
        WeightsError: If the folder holds no trained model, or weights are others.
        StoreError: If there is no store, or one of its files is missing.
        ShardError: If the store is damaged.
        CacheError: If kept features are of another network.
        ClusterError: If another host has ended, or does something else.
    """
    start = time.monotonic()
    predict(np.zeros((0, 0), np.float32), threshold)  # refuses it before the work
    found = open_evaluation(folder, data, split, quiet=quiet)
    what = "flags, weights or patches: expected the same command, workdir and store."
    digest, manifests = found.trained.weights_sha256, found.stores.manifests
    check_same(found.strategy, what, (digest, manifests, split, threshold, tune))
    patches = found.open(split)
    if not found.quiet:
        print(_describe_start(found, patches), file=sys.stderr)
    scores = found.score(patches)
    tuned_on = choose_tuning(found, split) if tune else None
    tuning = None if tuned_on is None else found.score(found.open(tuned_on))
    if not is_chief(found.strategy):
        return []
    subject = _describe_subject(found, patches)
    write = functools.partial(
        write_results,
        threshold=threshold,
        tuned_on=tuned_on or NO_SPLIT,
        run={"seconds": round(time.monotonic() - start, 3)},
    )
    return _write(found, subject, scores, tuning, write)


def _describe_start(found: Evaluation, patches: StoreData) -> str:
    return (
        f"evaluates {found.trained.title}, of {found.folder}\n"
        f"patches: {patches.num_patches:,} of {patches.split}, in "
        f"{found.stores}\n{describe_device()}"
    )


def _describe_subject(found: Evaluation, patches: StoreData) -> Subject:
    """Says what is evaluated, and how many of the patches were seen in training."""
    run, config = found.trained.run, found.stores.config.name
    return Subject.from_run(
        run,
        split=patches.split,
        weights_sha256=found.trained.weights_sha256,
        synthetic_patches=patches.synthetic_patches,
        config=config,
        seen_elsewhere=count_seen_elsewhere(
            list_trainings(run), config, patches.patch_ids
        ),
    )


def _write(
    found: Evaluation,
    subject: Subject,
    scores: Scores,
    tuning: Scores | None,
    write: Callable[..., Result],
) -> list[Result]:
    """Writes the results in the classes that were learnt, and in coarser ones."""
    learnt, results = subject.nomenclature, []
    for target in (None, *(_DERIVED if learnt == CLC43 else ())):
        threshold = None
        if tuning is not None:
            derived = _derive(tuning, target)
            threshold = tune_threshold(derived.y_true, derived.probability)
        results.append(
            write(
                find_folder(found.folder, found.trained.run, subject, target),
                subject.derive(target),
                _derive(scores, target),
                tuned_threshold=threshold,
            )
        )
    return results


def find_folder(
    folder: Path, run: Run, subject: Subject, derived: Nomenclature | None = None
) -> Path:
    """Returns where an evaluation is written: below its configuration, if another.

    Args:
        folder: The workdir.
        run: Its run.
        subject: What is evaluated.
        derived: Coarser nomenclature that the scores were turned into, or None.
    """
    config = None if subject.config == run.settings.config else subject.config
    return evaluation_folder(folder, subject.split, derived, config)


def _derive(scores: Scores, target: Nomenclature | None) -> Scores:
    """Turns scores of level 3 into those of a coarser one; None changes nothing."""
    if target is None:
        return scores
    labels = derive_level(scores.y_true, target)
    return Scores(scores.patch_ids, labels, derive_level(scores.probability, target))


def _define_flags() -> None:
    command.define_path("workdir", None, "Folder of the trained model.", required=True)
    command.define_path("data_dir", None, "Data directory, or store.", required=True)
    flags.DEFINE_string(
        "config",
        None,
        "Configuration of the patches, by default that of the training. Where its "
        "splits are others, patches that were seen in training are counted.",
    )
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
            flags.FLAGS.config,
        ),
        split=flags.FLAGS.split,
        threshold=flags.FLAGS.threshold,
        tune=flags.FLAGS.tune_threshold,
    )
    if results:
        print(format_results(results))
        subject = results[0].subject
        results_in = find_folder(folder, workdir.read_run(folder), subject)
        print(
            f"\nresults: {results_in / RESULTS}, {results_in / SCORES}\n"
            f"next: python -m baselines.compare --workdirs={folder} "
            f"--split={flags.FLAGS.split}"
            f"{f' --config={subject.config}' if flags.FLAGS.config else ''}"
        )


if __name__ == "__main__":
    command.run(
        _main, _define_flags, find_logs=lambda: flags.FLAGS.workdir / workdir.LOGS
    )
