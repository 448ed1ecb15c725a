from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from baselines.errors import WeightsError
from baselines.models import inception_v2, weights


@pytest.fixture
def model() -> keras.Model:
    """A small model."""
    return inception_v2.build_inception_v2(32)


def test_random_weights_say_so(model: keras.Model) -> None:
    """Random weights are set, and recorded as such, with their seed."""
    expected = inception_v2.build_inception_v2(32)
    inception_v2.initialize_random(expected, 3)

    weights.load_weights(model, "random", None, 3)

    assert {"source": "random", "seed": 3} == weights.describe_weights(
        "random", None, 3
    )
    for one, other in zip(expected.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_pretrained_weights_are_recorded_by_checksum(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint goes to its reader, and is recorded by its sha256."""
    loaded = []
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"abc")
    monkeypatch.setattr(weights, "load_slim_checkpoint", lambda *a: loaded.append(a))

    weights.load_weights(model, "pretrained", path, 0)

    # sha256 of "abc": FIPS 180-2, B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    expected = {"source": "tf-slim", "sha256": digest}
    assert expected == weights.describe_weights("pretrained", path, 0)
    assert [(model, path)] == loaded


def test_no_weights_are_an_error(model: keras.Model, tmp_path: Path) -> None:
    """Pretrained weights that are not there are never replaced by random ones."""
    before = [variable.numpy() for variable in model.weights]
    with pytest.raises(WeightsError, match=r"fetch_weights .*--weights=random"):
        weights.load_weights(model, "pretrained", None, 0)
    with pytest.raises(WeightsError, match=r"fetch_weights .*--weights=random"):
        weights.describe_weights("pretrained", None, 0)
    with pytest.raises(WeightsError, match="no checkpoint"):
        weights.load_weights(model, "pretrained", tmp_path / "a.ckpt", 0)

    for values, variable in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(values, variable.numpy())
