from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from baselines import predict as module
from baselines.evaluate import evaluate
from baselines.predict import encode_prediction, predict
from baselines.scoring import Data
from baselines.trained import load_trained_model
from bigearthnet.release.nomenclature import CLC43

MakeRun = Callable[..., Path]
SPLITS = "train+test+excluded"


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    line = [sys.executable, "-m", "baselines.predict", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_folders_give_what_shards_give(
    make_run: MakeRun,
    all_stores: Path,
    sample_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Labels and probabilities of each folder equal those of the evaluated store."""
    folder = make_run()
    scores = evaluate(folder, Data(all_stores), split=SPLITS, quiet=True)[0].scores
    rows = {patch: number for number, patch in enumerate(scores.patch_ids)}
    monkeypatch.setattr(module, "_BATCH_SIZE", 4)
    folders = sorted(sample_folder.iterdir(), reverse=True)
    found = list(predict(load_trained_model(folder), folders))

    assert [path.name for path in folders] == [p.patch_id for p, _ in found]
    for prediction, patch in found:
        row = rows[patch.patch_id]
        np.testing.assert_array_equal(scores.y_true[row], prediction.is_true)
        np.testing.assert_allclose(
            scores.probability[row], prediction.probability, atol=1e-6
        )


def test_labels_are_those_of_the_model(make_run: MakeRun, sample_folder: Path) -> None:
    """A model of five classes says what a patch is in these."""
    trained = load_trained_model(make_run(model="s_cnn_rgb", labels="clc_level1"))
    patch = sample_folder / "S2A_MSIL2A_20170613T101031_87_48"
    ((prediction, _),) = predict(trained, [patch], 0.01)
    content = encode_prediction(prediction)

    assert ["Agricultural areas"] == content["labels"]
    assert 5 == len(content["probabilities"])
    assert all(
        content["probabilities"][label] >= 0.01 for label in content["predicted"]
    )


def test_the_command_prints_json_and_draws(
    make_run: MakeRun, sample_folder: Path, tmp_path: Path
) -> None:
    """A line of JSON and a picture for each patch, named itself or by its parent."""
    folder = make_run(model="s_cnn_rgb")
    patches = [str(path) for path in sorted(sample_folder.iterdir())[:2]]
    output, parent = tmp_path / "pictures", tmp_path / "parent"
    shutil.copytree(patches[1], parent / Path(patches[1]).name)
    (parent / "notes").mkdir()
    line = (patches[0], "--workdir", str(folder), str(parent), f"--output={output}")
    done = start(*line)
    contents = [json.loads(text) for text in done.stdout.splitlines()]

    assert 0 == done.returncode
    assert [Path(patch).name for patch in patches] == [c["patch_id"] for c in contents]
    assert list(CLC43.labels) == list(contents[0]["probabilities"])
    assert "predicts 2 patches with s_cnn_rgb, seed 0, 43 classes" in done.stderr
    assert "\ndevice: " in done.stderr
    assert f"passed over in {parent}: notes\n" in done.stderr
    assert f"pictures: {output}\n" in done.stderr
    names = [f"{Path(patch).name}.png" for patch in patches]
    assert names == sorted(path.name for path in output.iterdir())


def test_pictures_of_one_name_are_not_overwritten(
    make_run: MakeRun, tmp_path: Path
) -> None:
    """Two folders of the same name are refused before anything is predicted."""
    folders = [str(tmp_path / parent / "patch") for parent in ("a", "b")]
    done = start(*folders, f"--workdir={make_run()}", f"--output={tmp_path / 'out'}")

    assert 1 == done.returncode
    assert "several folders are called patch" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_patch_of_ones_own_is_predicted(
    make_run: MakeRun, sample_folder: Path, tmp_path: Path
) -> None:
    """Neither name nor JSON changes probabilities; an offset that is told does."""
    trained = load_trained_model(make_run(model="s_cnn_rgb"))
    patch = sample_folder / "S2A_MSIL2A_20170613T101031_87_48"
    own = tmp_path / "S2C_own"
    shutil.copytree(patch, own, ignore=shutil.ignore_patterns("*.json"))
    ((expected, _), (found, _)) = predict(trained, [patch, own])
    ((other, _),) = predict(trained, [own], dn_offset=-1000)

    assert encode_prediction(found)["labels"] is None
    np.testing.assert_allclose(expected.probability, found.probability, atol=1e-6)
    assert np.abs(found.probability - other.probability).max() > 1e-4
