from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from baselines import scoring
from baselines.decisions import tune_threshold
from baselines.errors import WeightsError
from baselines.evaluate import evaluate
from baselines.input_pipeline import Order
from baselines.levels import derive_level
from baselines.results import RESULTS, evaluation_folder, read_results
from baselines.scoring import Data, find_tuning_split
from baselines.stored_rows import StoreData, open_random_access
from baselines.trained import load_trained_model
from baselines.workdir import LOGS, read_run
from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import CLC43, CLC_LEVEL1, CLC_LEVEL2
from bigearthnet.util.quiet import LOG_NAME

MakeRun = Callable[..., Path]
SPLITS = "train+test+excluded"


def start(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    line = [sys.executable, "-m", f"baselines.{command}", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def score_directly(
    folder: Path, data_dir: Path, split: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Patch id → labels and probabilities, one patch at a time, by the whole model."""
    trained = load_trained_model(folder)
    settings = trained.run.settings
    data = StoreData(open_random_access(data_dir, "s2"), settings, split)
    return {
        patch_id: (
            labels.numpy()[0],
            keras.ops.convert_to_numpy(trained.model(inputs))[0],
        )
        for patch_id, (inputs, labels) in zip(
            data.patch_ids, data.batches(Order(1)), strict=True
        )
    }


@pytest.mark.parametrize("model", ["s_cnn_rgb", "inception_v2"])
def test_every_patch_is_scored_once(
    make_run: MakeRun,
    all_stores: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Joined splits come whole, short batch included, each patch with its own score."""
    folder = make_run(model=model)
    monkeypatch.setattr(scoring, "_BATCH_SIZE", 4)
    result = evaluate(folder, Data(all_stores), split=SPLITS, quiet=True)[0]
    expected = score_directly(folder, all_stores, SPLITS)

    assert 6 == len(result.scores.patch_ids) == result.metrics.patches
    assert sorted(expected) == sorted(result.scores.patch_ids)
    for patch, labels, scores in zip(
        result.scores.patch_ids,
        result.scores.y_true,
        result.scores.probability,
        strict=True,
    ):
        np.testing.assert_array_equal(labels, expected[patch][0])
        np.testing.assert_allclose(scores, expected[patch][1], atol=1e-5)
    assert (model == "inception_v2") == (
        "RANDOM frozen weights" in result.subject.remarks
    )
    assert "overfitting check, not a result" in result.subject.remarks


def test_coarser_levels_are_derived(make_run: MakeRun, all_stores: Path) -> None:
    """Levels 2 and 1 of a model of 43 classes stand beside, and read back."""
    folder = make_run(model="s_cnn_rgb")
    results = evaluate(folder, Data(all_stores), split="test", quiet=True)

    assert [CLC43, CLC_LEVEL2, CLC_LEVEL1] == [r.subject.nomenclature for r in results]
    assert [None, "clc43", "clc43"] == [r.subject.derived_from for r in results]
    for result in results[1:]:
        level = result.subject.nomenclature
        found = read_results(evaluation_folder(folder, "test", level))
        scores = results[0].scores
        np.testing.assert_array_equal(
            derive_level(scores.probability, level), found.scores.probability
        )
        np.testing.assert_array_equal(
            derive_level(scores.y_true, level), found.scores.y_true
        )


def test_learnt_levels_are_not_derived(make_run: MakeRun, all_stores: Path) -> None:
    """A model that learnt level 2 is evaluated on its own labels alone."""
    folder = make_run(model="s_cnn_rgb", labels="clc_level2")
    (result,) = evaluate(folder, Data(all_stores), split="test", quiet=True)

    assert CLC_LEVEL2 == result.subject.nomenclature
    assert result.subject.derived_from is None
    assert [RESULTS, "scores.parquet"] == sorted(
        path.name for path in (folder / "evaluations/test").iterdir()
    )


def test_a_threshold_is_tuned_on_the_validation_split(
    make_run: MakeRun, many_shards: Path
) -> None:
    """The second column is at the threshold that is best there; it can be left out."""
    folder = make_run(
        model="s_cnn_rgb", data_dir=many_shards, validation_split="validation"
    )
    tuning = score_directly(folder, many_shards, "validation").values()
    labels, scores = (np.stack(values) for values in zip(*tuning, strict=True))

    tuned = evaluate(folder, Data(many_shards), quiet=True)[0].tuned
    assert tuned is not None
    assert "validation" == tuned.split
    assert tune_threshold(labels, scores) == tuned.metrics.threshold
    assert evaluate(folder, Data(many_shards), tune=False, quiet=True)[0].tuned is None


@pytest.mark.parametrize(
    ("validation", "train", "split", "expected"),
    [
        ("validation", "train", "test", "validation"),
        ("none", "train", "test", None),
        ("validation", "train", "validation", None),
        ("excluded+validation", "train", "test+validation", None),
        ("excluded+validation", "train+excluded", "test", None),
    ],
)
def test_no_threshold_is_tuned_on_what_is_evaluated(
    validation: str, train: str, split: str, expected: str | None
) -> None:
    """Without a validation split of other patches there is no second column."""
    assert expected == find_tuning_split(validation, train, split)


def test_the_same_model_gives_the_same_file(
    make_run: MakeRun, all_stores: Path
) -> None:
    """Evaluated twice, everything but the object `run` is the same."""
    folder = make_run()
    contents = []
    for _ in range(2):
        evaluate(folder, Data(all_stores), split=SPLITS, quiet=True)
        path = evaluation_folder(folder, SPLITS) / RESULTS
        content = json.loads(path.read_text())
        assert 0 < content.pop("run")["seconds"]
        contents.append(content)

    assert contents[0] == contents[1]


def test_wrong_input_is_refused(make_run: MakeRun, all_stores: Path) -> None:
    """A split that is not there, or a threshold without meaning, writes nothing."""
    folder = make_run(model="s_cnn_rgb")

    with pytest.raises(OptionError, match="no split 'validation'"):
        evaluate(folder, Data(all_stores), split="validation", quiet=True)
    with pytest.raises(OptionError, match="joined by"):
        evaluate(folder, Data(all_stores), split="val", quiet=True)
    with pytest.raises(OptionError, match="threshold"):
        evaluate(folder, Data(all_stores), threshold=0.0, quiet=True)
    with pytest.raises(WeightsError, match="no workdir"):
        evaluate(all_stores, Data(all_stores), quiet=True)
    assert not (folder / "evaluations").exists()


@pytest.mark.slow
def test_six_real_patches_are_learnt_by_heart(all_stores: Path, tmp_path: Path) -> None:
    """The commands train on the sample and reach F1 1, and call it no result."""
    folder = tmp_path / "run"
    flags = (f"--data_dir={all_stores}", f"--workdir={folder}")
    trained = start("train", "--run=sample", *flags)
    evaluated = start("evaluate", f"--split={SPLITS}", *flags)

    assert (0, 0) == (trained.returncode, evaluated.returncode)
    assert "!! overfitting check, not a result" in evaluated.stdout
    assert "" == trained.stderr
    lines = evaluated.stderr.splitlines()
    ours = {"evaluate", "evaluates", "patches:", "device:"}
    assert ours == {line.partition(" ")[0] for line in lines}
    assert f"\nnext: python -m baselines.compare --workdirs={folder}" in (
        evaluated.stdout
    )
    assert (folder / LOGS / LOG_NAME).is_file()
    metrics = read_results(evaluation_folder(folder, SPLITS)).metrics
    assert {1.0} == set(dataclasses.asdict(metrics.per_patch).values())
    assert "s_cnn_all" == read_run(folder).settings.model


def test_the_command_gives_one_clear_error(tmp_path: Path) -> None:
    """A folder that is no workdir ends with one line and status 1."""
    done = start("evaluate", f"--workdir={tmp_path}", f"--data_dir={tmp_path}")

    assert 1 == done.returncode
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path} is no workdir")
    assert "Traceback" not in done.stderr


def test_training_on_synthetic_patches_is_remembered(
    make_run: MakeRun, all_stores: Path
) -> None:
    """Made-up patches of the training are said of real patches' results, too."""
    folder = make_run(model="s_cnn_rgb")
    path = folder / "settings.json"
    content = json.loads(path.read_text())
    assert 0 == content["data"]["train"]["synthetic_patches"]
    content["data"]["train"]["synthetic_patches"] = 7
    path.write_text(json.dumps(content))
    evaluate(folder, Data(all_stores), split="test", quiet=True)
    subject = read_results(evaluation_folder(folder, "test")).subject

    assert (0, 7) == (subject.synthetic_patches, subject.trained_on_synthetic)
    assert ("trained on SYNTHETIC patches",) == subject.remarks
