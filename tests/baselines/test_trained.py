from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from baselines import workdir
from baselines.errors import WeightsError
from baselines.models import build_feature_model
from baselines.trained import (
    check_frozen_weights,
    load_trained_model,
    load_trained_part,
)
from bigearthnet.util.files import hash_file

MakeRun = Callable[..., Path]


def make_inputs(groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Two patches of seeded digital numbers."""
    draws = np.random.default_rng(0)
    shapes = {
        "bands_10m": (2, 4, 120, 120),
        "bands_20m": (2, 6, 60, 60),
        "bands_60m": (2, 2, 20, 20),
    }
    return {g: draws.integers(4000, size=shapes[g], dtype=np.uint16) for g in groups}


@pytest.mark.parametrize("model", ["s_cnn_all", "s_cnn_rgb"])
def test_a_model_comes_back_with_its_weights(make_run: MakeRun, model: str) -> None:
    """What is loaded gives the sigmoid of the logits of the saved weights."""
    folder = make_run(model=model, seed=3)
    run = workdir.read_run(folder)
    from baselines.models import build_trained_part

    logits = build_trained_part(run.settings, run.statistics)  # of the same seed
    inputs = make_inputs(run.settings.groups)
    expected = 1 / (1 + np.exp(-keras.ops.convert_to_numpy(logits(inputs))))

    for trained in (load_trained_part(folder), load_trained_model(folder)):
        found = keras.ops.convert_to_numpy(trained.model(inputs))
        assert (np.float32, (2, 43)) == (found.dtype, found.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert hash_file(folder / workdir.WEIGHTS) == trained.weights_sha256


def test_the_whole_inception_has_the_trained_head(make_run: MakeRun) -> None:
    """The head of a whole model gives what the head alone gives for its features."""
    folder = make_run(model="inception_v2", seed=2)
    whole, head = load_trained_model(folder).model, load_trained_part(folder).model
    inputs = make_inputs(("bands_10m",))
    frozen = build_feature_model(workdir.read_run(folder).settings, None)

    np.testing.assert_allclose(whole(inputs), head(frozen(inputs)), rtol=1e-5)


def test_other_frozen_weights_are_refused(make_run: MakeRun) -> None:
    """A head is not put on a network that it was not trained with."""
    folder = make_run(model="inception_v2")
    path = folder / workdir.SETTINGS
    content = json.loads(path.read_text())
    content["frozen_weights"]["seed"] = 7
    path.write_text(json.dumps(content))

    with pytest.raises(WeightsError, match=r"is not what .* was trained with"):
        load_trained_model(folder)
    with pytest.raises(WeightsError, match="was trained with"):
        check_frozen_weights(workdir.read_run(folder), folder, None)


def test_a_folder_without_a_finished_training_is_refused(
    make_run: MakeRun, tmp_path: Path
) -> None:
    """An unfinished run, and a folder that is none, give one clear error each."""
    folder = make_run()
    (folder / workdir.TRAINING).unlink()

    with pytest.raises(WeightsError, match="no finished training"):
        load_trained_part(folder)
    with pytest.raises(WeightsError, match="no workdir"):
        load_trained_model(tmp_path)


def test_weights_of_another_class_order_are_refused(make_run: MakeRun) -> None:
    """Classes in another order than ours are named, not guessed."""
    folder = make_run()
    path = folder / workdir.SETTINGS
    content = json.loads(path.read_text())
    content["classes"].reverse()
    path.write_text(json.dumps(content))

    with pytest.raises(WeightsError, match="the classes of these weights are not"):
        load_trained_model(folder)
