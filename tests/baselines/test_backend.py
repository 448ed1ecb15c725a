from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from baselines.backend import describe_device, set_precision
from baselines.settings import Settings


@pytest.fixture
def switch() -> Iterator[None]:
    """TensorFlow's switch as it was."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.usefixtures("switch")
@pytest.mark.parametrize("tf32", [False, True])
def test_products_are_rounded_only_if_settings_say_so(tf32: bool) -> None:
    """Whatever the switch was before, it is what the settings say."""
    tf.config.experimental.enable_tensor_float_32_execution(not tf32)
    set_precision(Settings(tf32=tf32))

    assert tf32 == tf.config.experimental.tensor_float_32_execution_enabled()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "device: CPU, because TensorFlow found no GPU"),
        (["A100"], "device: A100"),
        (["A100", "A100", "T4"], "device: 2 × A100, T4"),
    ],
)
def test_the_device_is_said(
    monkeypatch: pytest.MonkeyPatch, names: list[str], expected: str
) -> None:
    """GPUs are named and counted; without one, the line says why it is the CPU."""
    gpus = [tf.config.PhysicalDevice(name, "GPU") for name in names]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"device_name": gpu.name},
    )

    assert expected == describe_device()
    assert f"{expected}; 9 devices in all" == describe_device(9)


@pytest.mark.parametrize("backend", ["jax", "nonsense"])
@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "export"])
def test_another_backend_of_keras_is_one_clear_error(
    all_stores: Path,
    make_run: Callable[..., Path],
    tmp_path: Path,
    backend: str,
    command: str,
) -> None:
    """Every command that needs Keras says which backend it expects, and stops."""
    arguments = {
        "train": [f"--data_dir={all_stores}", "--validation_split=none"],
        "evaluate": [f"--data_dir={all_stores}", "--split=test"],
        "predict": [str(all_stores)],
        "export": [f"--output={tmp_path / 'exported'}"],
    }[command]
    line = [sys.executable, "-m", f"baselines.{command}", f"--workdir={make_run()}"]
    done = subprocess.run(
        [*line, *arguments],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert done.stderr.splitlines()[-1].endswith(f"keras.json), got {backend}.")
    assert "Traceback" not in done.stderr
