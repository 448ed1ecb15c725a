"""What TensorFlow and Keras are told before they compute anything."""

from __future__ import annotations

import os
from collections import Counter

from baselines.settings import Settings
from bigearthnet.errors import OptionError
from bigearthnet.util.options import check_tensorflow


def check_keras(what: str) -> None:
    """Checks that TensorFlow is installed, and that Keras computes with it.

    Args:
        what: What needs it.

    Raises:
        OptionError: If it is not, or Keras uses another backend.
    """
    # First of all: with one that is not installed, TensorFlow cannot be imported, too.
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "tensorflow":
        check_tensorflow(what)
        backend = _read_backend()
    if backend != "tensorflow":
        raise OptionError(
            f"{what} computes with TensorFlow: expected KERAS_BACKEND=tensorflow in "
            f"the environment (or in ~/.keras/keras.json), got {backend}."
        )


def _read_backend() -> str:
    """Returns what Keras computes with."""
    try:
        from keras import config
    except ImportError:  # that of the backend in Keras's file of settings
        return "another"
    return str(config.backend())


def describe_device(devices: int = 1) -> str:
    """Says in a line what TensorFlow computes on.

    Args:
        devices: How many there are on all hosts.
    """
    import tensorflow as tf

    names = Counter(
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.get_visible_devices("GPU")
    )
    found = [f"{n} × {name}" if n > 1 else name for name, n in names.items()]
    here = ", ".join(found) or "CPU, because TensorFlow found no GPU"
    in_all = f"; {devices} devices in all" if devices > max(1, names.total()) else ""
    return f"device: {here}{in_all}"


def set_precision(settings: Settings) -> None:
    """Lets products of float32 be exact, or rounded where settings ask for that.

    By default, TensorFlow rounds their factors to 10 bits on GPUs from NVIDIA's Ampere
    on (TF32). Resampling and the choice of bands are such products, and would be off by
    up to a thousandth: 5 digital numbers of 4,000.
    """
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(settings.tf32)
