from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from baselines import export as module
from baselines.errors import WeightsError
from baselines.export import export, make_patches
from baselines.trained import load_trained_model
from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import CLC43

MakeRun = Callable[..., Path]

# Loads what was exported as a stranger would, without this project.
_STRANGER = """
import sys
import keras
import numpy as np
import tensorflow as tf

class Blocker:
    def find_spec(self, name, path=None, target=None):
        assert name.partition(".")[0] not in ("baselines", "bigearthnet"), name

sys.meta_path.insert(0, Blocker())
folder = sys.argv[1]
inputs = dict(np.load(sys.argv[2]))
serve = tf.saved_model.load(f"{folder}/saved_model").signatures["serving_default"]
served = serve(**{name: tf.constant(bands) for name, bands in inputs.items()})
model = keras.models.load_model(f"{folder}/model.keras", safe_mode=True)
np.savez(
    sys.argv[3],
    served=served["probabilities"],
    class_names=[name.decode() for name in served["class_names"].numpy()],
    loaded=model(inputs, training=False),
    names=sorted(serve.structured_input_signature[1]),
)
"""


@pytest.mark.parametrize("model", ["s_cnn_all", "inception_v2"])
def test_a_stranger_can_use_the_export(
    make_run: MakeRun, tmp_path: Path, model: str
) -> None:
    """In a process without this project both files give the model's probabilities."""
    folder, output = make_run(model=model, batch_norm=True), tmp_path / "exported"
    assert export(folder, output) <= 1e-5
    trained = load_trained_model(folder)
    inputs = {name: bands[:3] for name, bands in make_patches(trained.model).items()}
    np.savez(tmp_path / "inputs.npz", **inputs)
    files = [str(output), str(tmp_path / "inputs.npz"), str(tmp_path / "found.npz")]
    code = [sys.executable, "-P", "-c", _STRANGER, *files]
    subprocess.run(code, cwd=tmp_path, check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz")

    expected = keras.ops.convert_to_numpy(trained.model(inputs, training=False))
    for name in ("served", "loaded"):
        assert np.float32 == found[name].dtype
        np.testing.assert_allclose(expected, found[name], atol=1e-5)
    names = found["class_names"].tolist()
    assert list(CLC43.labels) == names
    assert names == json.loads((output / "labels.json").read_text())["labels"]
    groups = ["bands_10m", "bands_20m", "bands_60m"]
    assert (groups if model == "s_cnn_all" else groups[:1]) == found["names"].tolist()
    assert (output / "README.md").is_file()


def test_other_probabilities_are_refused(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If what was exported gives other probabilities, nothing is left of it."""
    folder = make_run(model="s_cnn_rgb")
    other = load_trained_model(make_run("other", model="s_cnn_rgb", seed=1))
    write = module.write_saved_model
    monkeypatch.setattr(
        module, "write_saved_model", lambda trained, path: write(other, path)
    )

    with pytest.raises(WeightsError, match="saved_model gives other probabilities"):
        export(folder, tmp_path / "exported")
    assert ["other", "run"] == sorted(path.name for path in tmp_path.iterdir())


def test_nothing_is_overwritten(make_run: MakeRun, tmp_path: Path) -> None:
    """An output that exists is refused."""
    with pytest.raises(OptionError, match="exists"):
        export(make_run(model="s_cnn_rgb"), tmp_path)
