"""Workdirs without training: of seeded scores, and of models with drawn weights."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from absl import flags

from baselines import settings_flags, workdir
from baselines.claims import start_run
from baselines.evaluations import Subject
from baselines.results import evaluation_folder, write_results
from baselines.scores import Scores
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from bigearthnet.release.nomenclature import CLC43

MakeSubject = Callable[..., Subject]
MakeScores = Callable[..., Scores]
MakeWorkdir = Callable[..., Path]
MakeRun = Callable[..., Path]


def parse_flagfile(path: Path) -> Settings:
    """Returns the settings of a flagfile alone."""
    names = {field.name for field in dataclasses.fields(Settings)}
    values = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flags, "FLAGS", values)
        for kind in ("enum", "bool", "integer", "float", "string"):
            define = getattr(flags, f"DEFINE_{kind}")
            patch.setattr(
                flags,
                f"DEFINE_{kind}",
                functools.partial(define, flag_values=values),
            )
        settings_flags.define_flags()
    flags.DEFINE_string("flagfile", None, "File.", flag_values=values)
    values(["program", f"--flagfile={path}"])
    return Settings(**{name: values[name].value for name in names})


def make_patch_ids(num_products: int, patches_each: int) -> tuple[str, ...]:
    """Ids of patches in the form of the archive's, product by product."""
    return tuple(
        f"S2A_MSIL2A_201706{13 + product % 15:02}T10{product:02}31_{patch}_{product}"
        for product in range(num_products)
        for patch in range(patches_each)
    )


@pytest.fixture
def make_subject() -> MakeSubject:
    """Makes what was evaluated: S-CNN-All on the official test split."""

    def make(**changes: Any) -> Subject:
        model = changes.get("model", "s_cnn_all")
        subject = Subject(
            model=model,
            seed=0,
            settings_sha256=hashlib.sha256(model.encode()).hexdigest(),
            weights_sha256="a" * 64,
            weights_source="scratch",
            config="s2",
            split_scheme="official",
            split="test",
            train_split="train",
            synthetic_patches=0,
            nomenclature=CLC43,
        )
        return dataclasses.replace(subject, **changes)

    return make


@pytest.fixture
def make_scores() -> MakeScores:
    """Makes labels that depend on the patches alone, and scores of some quality."""

    def make(
        *,
        quality: float = 0.4,
        seed: int = 0,
        num_products: int = 20,
        patches_each: int = 6,
        num_classes: int = 43,
    ) -> Scores:
        ids = make_patch_ids(num_products, patches_each)
        labels = np.random.default_rng(7)
        y_true = (labels.random((len(ids), num_classes)) < 0.08).astype(np.uint8)
        frequent = labels.integers(0, min(9, num_classes), len(ids))
        y_true[np.arange(len(ids)), frequent] = 1
        noise = np.random.default_rng([seed, int(1000 * quality)])
        probability = quality * y_true + (1 - quality) * noise.random(y_true.shape)
        return Scores(ids, y_true, probability.astype(np.float32))

    return make


@pytest.fixture
def make_workdir(
    tmp_path: Path, make_subject: MakeSubject, make_scores: MakeScores
) -> MakeWorkdir:
    """Writes the evaluation of a model into a new workdir, and returns the workdir."""

    def make(
        name: str,
        *,
        scores: Scores | None = None,
        quality: float = 0.4,
        threshold: float = 0.5,
        tuned_threshold: float | None = None,
        **changes: Any,
    ) -> Path:
        subject = make_subject(**changes)
        folder = tmp_path / name
        derived = subject.nomenclature if subject.derived_from else None
        write_results(
            evaluation_folder(folder, subject.split, derived),
            subject,
            scores or make_scores(quality=quality, seed=subject.seed),
            threshold=threshold,
            tuned_threshold=tuned_threshold,
            run={"seconds": 1.5},
        )
        return folder

    return make


@pytest.fixture
def make_run(all_stores: Path, tmp_path: Path) -> MakeRun:
    """Makes the workdir of a model that has the weights it starts with."""

    def make(name: str = "run", *, data_dir: Path = all_stores, **changes: Any) -> Path:
        settings = Settings(
            **{
                "train_split": "train",
                "validation_split": "none",
                "fc_units": 4,
                "weights": "random",
                "inception_size": 32,
                "deterministic": False,  # it would hold for the tests that follow, too
                **changes,
            }
        )
        folder = tmp_path / name
        folder.mkdir()
        data = open_train_data(settings, data_dir)
        run = workdir.describe_run(settings, *data, weights_path=None)
        start_run(folder, run, restart=False)
        from baselines.models import build_trained_part

        model = build_trained_part(settings, run.statistics)
        workdir.save_training(model, folder)
        return folder

    return make
