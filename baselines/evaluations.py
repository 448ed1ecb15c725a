"""An evaluation: a model, patches, the scores of each patch, and metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic.dataclasses import dataclass as checked

from baselines.decisions import Labels, predict
from baselines.fields import CONFIG, Name
from baselines.leaks import list_trainings, share_splits
from baselines.metrics import Metrics
from baselines.remarks import Remark, choose_remarks
from baselines.scores import Scores
from baselines.splits import share_split
from baselines.workdir import Run
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BY_NAME
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.schema.configs import get_config


@dataclass(frozen=True)
class Subject:
    """Which model was evaluated, and on what.

    Attributes:
        model: Name of the model, for example `s_cnn_all`.
        seed: Seed of its training.
        settings_sha256: Of all its settings but the seed: runs that share it are
            repetitions of one another.
        weights_sha256: Of the weights that were evaluated.
        weights_source: `scratch` where everything was trained from drawn numbers;
            `fine-tuned` where training began with other weights; `released` for weights
            of the authors; else what the frozen part holds: `pretrained` weights, or
            `random` numbers.
        config: Configuration of the store.
        split_scheme: `official` or `random`.
        split: Split that was evaluated; several are joined by `+`.
        train_split: Split that the model was trained on; likewise.
        synthetic_patches: Evaluated patches that are made up.
        nomenclature: The classes, in the order of the scores.
        shuffled_labels: Whether it was trained on labels of other patches.
        derived_from: Nomenclature that the model was trained on, where its scores were
            turned into those of a coarser level; else None.
        chosen_on: Split whose loss chose the epoch of the weights, for early stopping;
            else None.
        frozen_weights: What `models.weights.describe_weights` says of the frozen part;
            None for models that are trained as a whole.
        trained_on_synthetic: Patches it was trained on that are made up.
        bands: Names of the bands that it takes, in the order of its channels; empty in
            results of older versions.
        train_where: Condition that chose the patches that it was trained on; empty for
            all of the split.
        initial_weights: What `initial_weights` records of the weights that training
            began with; None for drawn ones.
        train_config: Configuration that it was trained on, where its splits are others
            than those of `config`; else None.
        seen_elsewhere: Evaluated patches that are in splits that it was trained on
            under another release or split scheme.
    """

    model: str
    seed: int
    settings_sha256: str
    weights_sha256: str
    weights_source: str
    config: str
    split_scheme: str
    split: str
    train_split: str
    synthetic_patches: int
    nomenclature: Nomenclature
    shuffled_labels: bool = False
    derived_from: str | None = None
    chosen_on: str | None = None
    frozen_weights: Mapping[str, Any] | None = None
    trained_on_synthetic: int = 0
    bands: tuple[str, ...] = ()
    train_where: str = ""
    initial_weights: Mapping[str, Any] | None = None
    train_config: str | None = None
    seen_elsewhere: int = 0

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        split: str,
        weights_sha256: str,
        synthetic_patches: int,
        config: str | None = None,
        seen_elsewhere: int = 0,
    ) -> Subject:
        """Says what the model of a run is evaluated on.

        Args:
            run: The run.
            split: Split to evaluate; several are joined by `+`.
            weights_sha256: Of the weights.
            synthetic_patches: Evaluated patches that are made up.
            config: Configuration of the patches; None for that of the run.
            seen_elsewhere: What `leaks.count_seen_elsewhere` returned.
        """
        settings = run.settings
        config = config or settings.config
        is_other = not share_splits(config, settings.config)
        return cls(
            model=settings.model,
            seed=settings.seed,
            settings_sha256=_hash_recipe(run),
            weights_sha256=weights_sha256,
            weights_source=_find_source(run),
            config=config,
            split_scheme=get_config(config, RELEASES).choice.scheme,
            split=split,
            train_split=_join_train_splits(run),
            synthetic_patches=synthetic_patches,
            nomenclature=settings.nomenclature,
            shuffled_labels=settings.shuffle_labels,
            chosen_on=(
                settings.validation_split if settings.early_stopping_patience else None
            ),
            frozen_weights=run.frozen_weights,
            trained_on_synthetic=run.data["train"]["synthetic_patches"],
            bands=settings.bands,
            train_where=settings.where,
            initial_weights=run.initial_weights,
            train_config=settings.config if is_other else None,
            seen_elsewhere=seen_elsewhere,
        )

    def derive(self, target: Nomenclature | None) -> Subject:
        """Returns the same with scores turned into a coarser level; None changes none.

        Args:
            target: Its classes.
        """
        if target is None:
            return self
        learnt = self.nomenclature.name
        return replace(self, nomenclature=target, derived_from=learnt)

    @property
    def release(self) -> str:
        """Name of the release of the patches."""
        return get_config(self.config, RELEASES).release.name

    @property
    def sensors(self) -> str:
        """Whose bands the model takes, for people."""
        found = ["S1" if name not in BY_NAME else "S2" for name in self.bands]
        return " and ".join(sorted(set(found)))

    @property
    def has_random_weights(self) -> bool:
        """Whether the frozen part of the model holds random numbers."""
        return self.weights_source == "random"

    @property
    def seen_in_training(self) -> bool:
        """Whether splits were evaluated that the model was trained on."""
        return self.train_config is None and share_split(self.split, self.train_split)

    @property
    def weights_chosen_here(self) -> bool:
        """Whether patches were evaluated whose loss chose the weights."""
        return (
            self.chosen_on is not None
            and self.train_config is None
            and share_split(self.split, self.chosen_on)
        )

    @property
    def findings(self) -> tuple[Remark, ...]:
        """Why its figures are no results, or what they are results of."""
        return choose_remarks(
            synthetic=self.synthetic_patches > 0,
            trained_on_synthetic=self.trained_on_synthetic
            > self.synthetic_patches
            == 0,
            seen=self.seen_in_training,
            seen_elsewhere=self.seen_elsewhere,
            chosen=self.weights_chosen_here,
            shuffled=self.shuffled_labels,
            random=self.has_random_weights,
            where=self.train_where,
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """The same in few words, which stand wherever the results are shown."""
        return tuple(remark.text for remark in self.findings)


@checked(frozen=True, config=CONFIG)
class Tuned:
    """Metrics at a threshold that was chosen for a high F1 per patch.

    Attributes:
        split: Split that it was chosen on; never the one that is evaluated.
        metrics: The metrics at that threshold.
    """

    split: Name
    metrics: Metrics


@dataclass(frozen=True)
class Result:
    """An evaluation.

    Attributes:
        subject: What was evaluated.
        scores: The labels and scores of every patch.
        metrics: The metrics at the threshold that was asked for.
        tuned: The metrics at a tuned threshold, or None.
        packages: Versions of packages.
        run: Times and other facts that comparisons ignore.
    """

    subject: Subject
    scores: Scores
    metrics: Metrics
    tuned: Tuned | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    def predict(self) -> Labels:
        """Returns the classes predicted at the threshold, (patch, class), uint8."""
        return predict(self.scores.probability, self.metrics.threshold)


def _hash_recipe(run: Run) -> str:
    """Returns the sha256 of all settings but the seed, and of weights to start from."""
    content = run.settings.to_identity()
    if run.initial_weights:
        content["initial_weights"] = run.initial_weights
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _find_source(run: Run) -> str:
    """Says where the weights come from; see `Subject.weights_source`."""
    if run.settings.uses_features:
        return run.settings.weights
    drawn = "fine-tuned" if run.initial_weights else "scratch"
    return str((run.frozen_weights or {}).get("source", drawn))


def _join_train_splits(run: Run) -> str:
    """Returns what the model was trained on, what it started from included.

    Splits of other releases and schemes are left out; `seen_elsewhere` counts those.
    """
    config = run.settings.config
    splits = [t.split for t in list_trainings(run) if share_splits(t.config, config)]
    return "+".join(dict.fromkeys("+".join(splits).split("+")))
