"""A SavedModel in other formats: TensorFlow Lite and ONNX.

Both are made of its signature alone, so that names of inputs and outputs, and what is
computed, are the same. `tensorflow` brings the converter of the first; tf2onnx and ONNX
Runtime make and run the second.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.errors import WeightsError
from baselines.model_card import SIGNATURE
from baselines.trained import PROBABILITIES
from bigearthnet.util import command
from bigearthnet.util.options import look_up

# The oldest that has all operations of our models, so that old runtimes read it.
_OPSET = 18
_Inputs = dict[str, npt.NDArray[Any]]
_Score = Callable[[_Inputs], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Converted:
    """A format that a SavedModel is converted to.

    Attributes:
        file: Name of the file.
        packages: Names of the modules that write and load it.
        extra: The extra that installs them.
        write: Writes the file of a SavedModel into a folder.
        load: Loads the file in a folder; gives a function from groups of bands to
            probabilities, shape (batch, class), float32.
    """

    file: str
    packages: tuple[str, ...]
    extra: str
    write: Callable[[Path, Path], None]
    load: Callable[[Path], _Score]


def check_formats(names: Sequence[str]) -> None:
    """Refuses formats that are unknown, or whose packages are not installed.

    Raises:
        OptionError: If there is one.
    """
    for name in names:
        found = look_up(CONVERTED, name, "format (--also)")
        command.check_packages(found.extra, *found.packages)


def _write_tflite(saved_model: Path, folder: Path) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=[SIGNATURE]
    )
    (folder / _TFLITE).write_bytes(converter.convert())


def _load_tflite(folder: Path) -> _Score:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(folder / _TFLITE))
    run: Any = interpreter.get_signature_runner(SIGNATURE)
    return lambda inputs: np.asarray(run(**inputs)[PROBABILITIES])


def _write_onnx(saved_model: Path, folder: Path) -> None:
    # In a process of its own: the converter changes TensorFlow's global state.
    line = [sys.executable, "-m", "tf2onnx.convert", "--opset", str(_OPSET)]
    line += ["--saved-model", str(saved_model), "--signature_def", SIGNATURE]
    done = subprocess.run(
        [*line, "--output", str(folder / _ONNX)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WeightsError(f"tf2onnx cannot convert the model: {problem[:300]}")


def _load_onnx(folder: Path) -> _Score:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(folder / _ONNX)
    return lambda inputs: np.asarray(session.run([PROBABILITIES], inputs)[0])


_TFLITE, _ONNX = "model.tflite", "model.onnx"

# Name of each format, as --also takes it.
CONVERTED: Mapping[str, Converted] = {
    "tflite": Converted(
        _TFLITE, ("tensorflow",), "baselines", _write_tflite, _load_tflite
    ),
    "onnx": Converted(
        _ONNX, ("tf2onnx", "onnxruntime"), "onnx", _write_onnx, _load_onnx
    ),
}
