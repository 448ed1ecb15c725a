from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from baselines import workdir
from baselines.errors import WeightsError
from baselines.evaluate import evaluate
from baselines.import_weights import import_weights
from baselines.model_card import make_card
from baselines.models import build_model
from baselines.models.released import map_released_variables
from baselines.scoring import Data
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from baselines.train import train
from baselines.trained import load_trained_model
from bigearthnet.errors import OptionError

SETTINGS = Settings(
    model="k_branch",
    batch_norm=True,
    fc_units=4,
    validation_split="none",
    statistics="published",
    deterministic=False,  # it would hold for the tests that follow, too
)


@pytest.fixture
def checkpoint(all_stores: Path, tmp_path: Path) -> Path:
    """A checkpoint of the weights that a small K-Branch CNN of another seed has."""
    settings = dataclasses.replace(SETTINGS, seed=5)
    run = workdir.describe_run(
        settings, *open_train_data(settings, all_stores), weights_path=None
    )
    variables = map_released_variables(build_model(settings, run.statistics))
    path = tmp_path / "released"
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[variable.value for variable in variables.values()],
    )
    return path


def test_released_weights_are_evaluated(
    checkpoint: Path, all_stores: Path, tmp_path: Path
) -> None:
    """A workdir of a checkpoint has its weights, and results say whose they are."""
    folder = tmp_path / "run"
    import_weights(SETTINGS, all_stores, folder, checkpoint)
    before = (folder / workdir.WEIGHTS).stat().st_mtime_ns
    import_weights(SETTINGS, all_stores, folder, checkpoint)
    [result, *_] = evaluate(folder, Data(all_stores), split="test", quiet=True)
    trained = load_trained_model(folder)

    assert before == (folder / workdir.WEIGHTS).stat().st_mtime_ns
    assert "released" == result.subject.weights_source
    assert {"source", "sha256"} == set(result.subject.frozen_weights or ())
    reader = tf.train.load_checkpoint(str(checkpoint))
    for name, variable in map_released_variables(trained.model).items():
        np.testing.assert_array_equal(reader.get_tensor(name), variable, name)
    card = make_card(trained.run, trained.weights_sha256, [result], 0.0)
    assert "with the weights that its authors released" in card
    with pytest.raises(OptionError, match=r"holds another run: frozen_weights\.source"):
        train(SETTINGS, all_stores, folder)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "s_cnn_all"}, OptionError, "released, resnet50, .*'s_cnn_all'"),
        ({"labels": "ben19"}, WeightsError, r"shape \(4, 19\) .* \(4, 43\)"),
        ({"batch_norm": False}, WeightsError, "has 52 more than"),
    ],
)
def test_other_models_are_refused(
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    checkpoint: Path,
    all_stores: Path,
    tmp_path: Path,
) -> None:
    """A checkpoint of another model or other classes leaves no folder."""
    chosen = dataclasses.replace(SETTINGS, **changes)
    with pytest.raises(error, match=message):
        import_weights(chosen, all_stores, tmp_path / "run", checkpoint)
    with pytest.raises((OptionError, WeightsError)):
        import_weights(chosen, all_stores, tmp_path / "run", tmp_path / "none")

    assert not (tmp_path / "run").exists()
