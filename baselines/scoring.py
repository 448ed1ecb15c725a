"""Opens a trained model with the patches it is evaluated on, and scores them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines import workdir
from baselines.backend import check_keras
from baselines.cluster import is_chief
from baselines.frozen_features import load_or_make_features
from baselines.input_pipeline import PatchData
from baselines.leaks import join_train_splits, share_splits
from baselines.optimizers import choose_strategy
from baselines.scores import Scores
from baselines.settings_checks import check_stored
from baselines.splits import NO_SPLIT, share_split, split_names
from baselines.steps import compute_outputs
from baselines.stored_rows import StoreData, Stores, open_random_access
from baselines.trained import Trained, check_frozen_weights, load_trained_part
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.outputs import check_output
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import tensorflow as tf

# Patches of a forward pass. One number for all, since float32 sums may depend on it.
_BATCH_SIZE = 128


@dataclass(frozen=True)
class Data:
    """Where patches come from.

    Attributes:
        data_dir: The data directory of the build.
        weights_path: Checkpoint of inception_v2.
        features_dir: Folder of its cached features; None for one in the workdir.
        config: Configuration of the patches; None for that of the run.
    """

    data_dir: Path
    weights_path: Path | None = None
    features_dir: Path | None = None
    config: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """A model and its patches.

    Attributes:
        trained: The model.
        folder: Its workdir.
        data: Where its patches come from.
        stores: Their store, or pair of stores.
        strategy: Where it computes.
        quiet: Whether no progress is shown.
    """

    trained: Trained
    folder: Path
    data: Data
    stores: Stores
    strategy: tf.distribute.Strategy
    quiet: bool

    def open(self, split: str) -> StoreData:
        """Opens the patches of splits."""
        return StoreData(self.stores, self.trained.run.settings, split)

    def score(self, stored: StoreData) -> Scores:
        """Computes the probabilities of patches, of features where there are some."""
        patches: PatchData = stored
        if self.trained.run.settings.uses_features:
            patches = load_or_make_features(
                self.trained.run.settings,
                stored,
                weights_path=self.data.weights_path,
                cache_dir=self.data.features_dir or self.folder / workdir.FEATURES,
                strategy=self.strategy,
                quiet=self.quiet,
            )
        with Progress(
            f"evaluate {stored.split}",
            total_patches=patches.num_patches,
            quiet=self.quiet,
        ) as progress:
            return score_patches(self.trained, patches, self.strategy, progress)


def open_evaluation(folder: Path, data: Data, split: str, *, quiet: bool) -> Evaluation:
    """Loads a model, and opens the store of its patches.

    Args:
        folder: The workdir.
        data: The patches.
        split: Splits to evaluate, joined by +.
        quiet: Shows no progress.

    Raises:
        BigEarthNetError: If they do not go together; see `evaluate.evaluate`.
    """
    if data.features_dir is not None:
        check_output(data.features_dir, "features_dir")
    check_keras("baselines.evaluate")
    strategy = choose_strategy()
    with strategy.scope():
        trained = load_trained_part(folder)
    settings = trained.run.settings
    config = get_config(data.config or settings.config, RELEASES)
    check_stored(settings, config)
    split_names(split, config.release.splits)
    check_frozen_weights(trained.run, folder, data.weights_path)
    stores = open_random_access(data.data_dir, config.name)
    quiet = quiet or not is_chief(strategy)
    return Evaluation(trained, folder, data, stores, strategy, quiet)


def choose_tuning(found: Evaluation, split: str) -> str | None:
    """Returns the split to tune a threshold on; None if there is none.

    Of another release or scheme there is none: its patches may have been trained on.

    Args:
        found: The model and its patches.
        split: What is evaluated.
    """
    run = found.trained.run
    if not share_splits(run.settings.config, found.stores.config.name):
        return None
    seen = join_train_splits(run)
    return find_tuning_split(run.settings.validation_split, seen, split)


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
