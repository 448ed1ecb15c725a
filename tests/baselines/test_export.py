from __future__ import annotations

import importlib.util
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
lite = tf.lite.Interpreter(f"{folder}/model.tflite").get_signature_runner()
converted = {"tflite": lite(**inputs)["probabilities"]}
if "onnx" in sys.argv[4:]:
    import onnxruntime
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    converted["onnx"] = session.run(["probabilities"], inputs)[0]
np.savez(
    sys.argv[3],
    **converted,
    served=served["probabilities"],
    class_names=[name.decode() for name in served["class_names"].numpy()],
    loaded=model(inputs, training=False),
    names=sorted(serve.structured_input_signature[1]),
)
"""


# In the extra [onnx], which not everybody has.
ALSO = ["tflite", *(["onnx"] if importlib.util.find_spec("tf2onnx") else [])]


@pytest.mark.parametrize("model", ["s_cnn_all", "inception_v2"])
def test_a_stranger_can_use_the_export(
    make_run: MakeRun, tmp_path: Path, model: str
) -> None:
    """In a process without this project all files give the model's probabilities."""
    folder, output = make_run(model=model, batch_norm=True), tmp_path / "exported"
    assert export(folder, output, also=ALSO) <= 1e-5
    trained = load_trained_model(folder)
    inputs = {name: bands[:3] for name, bands in make_patches(trained.model).items()}
    np.savez(tmp_path / "inputs.npz", **inputs)
    files = [str(output), str(tmp_path / "inputs.npz"), str(tmp_path / "found.npz")]
    code = [sys.executable, "-P", "-c", _STRANGER, *files, *ALSO]
    subprocess.run(code, cwd=tmp_path, check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz")

    expected = keras.ops.convert_to_numpy(trained.model(inputs, training=False))
    for name in ("served", "loaded", *ALSO):
        assert np.float32 == found[name].dtype
        np.testing.assert_allclose(expected, found[name], atol=1e-5)
    names = found["class_names"].tolist()
    assert list(CLC43.labels) == names
    assert names == json.loads((output / "labels.json").read_text())["labels"]
    groups = ["bands_10m", "bands_20m", "bands_60m"]
    assert (groups if model == "s_cnn_all" else groups[:1]) == found["names"].tolist()
    assert (output / "README.md").is_file()
    line = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    subprocess.run(line, cwd=output, check=True)


def test_a_saved_model_has_each_weight_once(make_run: MakeRun, tmp_path: Path) -> None:
    """What it takes on disk is little more than the weights."""
    trained = load_trained_model(make_run(model="s_cnn_rgb", fc_units=8))
    module.write_saved_model(trained, tmp_path / "saved")
    nbytes = sum(variable.numpy().nbytes for variable in trained.model.variables)
    written = sum(p.stat().st_size for p in (tmp_path / "saved/variables").iterdir())

    assert nbytes <= written < 1.1 * nbytes


def test_unknown_formats_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    """A format that there is not is refused before anything is loaded."""
    with pytest.raises(OptionError, match="expected one of tflite, onnx, got 'pb'"):
        export(tmp_path / "none", tmp_path / "exported", also=["pb"])


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
