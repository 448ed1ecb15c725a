from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from baselines.errors import WeightsError
from baselines.models import inception_v2, slim_checkpoint
from baselines.models.slim_checkpoint import load_slim_checkpoint

Array = npt.NDArray[Any]

KERNEL = "InceptionV2/Conv2d_2b_1x1/weights"
MEAN = "InceptionV2/Conv2d_2b_1x1/BatchNorm/moving_mean"
VARIANCE = "InceptionV2/Conv2d_2b_1x1/BatchNorm/moving_variance"


def write_checkpoint(path: Path, arrays: dict[str, Array], version: int) -> None:
    """Writes a checkpoint of one file (version 1), or of an index and data (2)."""
    names, values = list(arrays), [tf.constant(array) for array in arrays.values()]
    if version == 1:
        tf.raw_ops.Save(filename=str(path), tensor_names=names, data=values)
    else:
        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=values,
        )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Path]:
    """Path of a checkpoint of 45 MB that is not kept after the test."""
    path = tmp_path / "inception_v2.ckpt"
    yield path
    for file in tmp_path.iterdir():
        file.unlink()


@pytest.fixture
def arrays() -> dict[str, Array]:
    """Three variables, none of them symmetric."""
    return {
        KERNEL: np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6),
        MEAN: np.arange(6, dtype=np.float32) - 2,
        VARIANCE: np.arange(6, dtype=np.float32),
    }


@pytest.fixture
def variables(
    arrays: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> dict[str, keras.Variable]:
    """Variables of a model that has only these three, all 9."""
    named = {
        name: keras.Variable(np.full_like(array, 9)) for name, array in arrays.items()
    }
    monkeypatch.setattr(slim_checkpoint, "map_slim_variables", lambda _: named)
    return named


def check_refused(
    path: Path, variables: dict[str, keras.Variable], message: str
) -> None:
    """Loading fails with an error of ours and leaves the variables alone."""
    with pytest.raises(WeightsError, match=message):
        load_slim_checkpoint(keras.Model(), path)
    assert all((variable.numpy() == 9).all() for variable in variables.values())


@pytest.mark.parametrize("version", [1, 2])
def test_every_variable_is_loaded(
    version: int, checkpoint: Path, golden_weights: dict[str, Array]
) -> None:
    """A checkpoint of either kind fills the model; what training left is ignored."""
    extra = {
        "global_step": np.array(7, np.int64),
        f"{KERNEL}/RMSProp_1": np.zeros(3, np.float32),
    }
    write_checkpoint(checkpoint, golden_weights | extra, version)
    model = inception_v2.build_inception_v2(32)

    load_slim_checkpoint(model, checkpoint)

    named = inception_v2.map_slim_variables(model)
    assert 275 == len(named)
    for name, variable in named.items():
        np.testing.assert_array_equal(golden_weights[name], variable.numpy(), name)
    files = sorted(checkpoint.parent.iterdir(), key=lambda f: ".index" not in f.name)
    assert version == len(files)
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    assert digest == slim_checkpoint.hash_checkpoint(checkpoint)


def test_the_index_stands_for_its_checkpoint(
    tmp_path: Path, arrays: dict[str, Array], variables: dict[str, keras.Variable]
) -> None:
    """A checkpoint of version 2 is found by the name of its index, too."""
    write_checkpoint(tmp_path / "model.ckpt-7", arrays, 2)

    load_slim_checkpoint(keras.Model(), tmp_path / "model.ckpt-7.index")

    assert slim_checkpoint.hash_checkpoint(tmp_path / "model.ckpt-7") == (
        slim_checkpoint.hash_checkpoint(tmp_path / "model.ckpt-7.index")
    )
    np.testing.assert_array_equal(arrays[KERNEL], variables[KERNEL].numpy())


@pytest.mark.parametrize("version", [1, 2])
def test_a_variable_more_of_the_network_is_named(
    version: int,
    tmp_path: Path,
    arrays: dict[str, Array],
    variables: dict[str, keras.Variable],
) -> None:
    """A gamma, which the model would leave out, is of another network."""
    gamma = MEAN.replace("moving_mean", "gamma")
    write_checkpoint(tmp_path / "c", arrays | {gamma: np.ones(6, "f4")}, version)

    check_refused(tmp_path / "c", variables, f"has 1 more than the 3 .*: {gamma}")


@pytest.mark.parametrize("version", [1, 2])
def test_a_missing_variable_is_named(
    version: int,
    tmp_path: Path,
    arrays: dict[str, Array],
    variables: dict[str, keras.Variable],
) -> None:
    """A checkpoint without one of the variables is refused."""
    arrays[f"{KERNEL}_renamed"] = arrays.pop(KERNEL)
    write_checkpoint(tmp_path / "a.ckpt", arrays, version)

    check_refused(
        tmp_path / "a.ckpt", variables, rf"a\.ckpt lacks 1 of the 3 .*: {KERNEL}\."
    )


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            KERNEL,
            np.zeros((1, 1, 6, 4), np.float32),
            rf"shape \(1, 1, 4, 6\) for {KERNEL}, got float32 of shape \(1, 1, 6, 4\)",
        ),
        (MEAN, np.zeros(6, np.float64), f"for {MEAN}, got float64"),
        (MEAN, np.float32([0, 1, np.nan, 0, 0, 0]), f"{MEAN} has the value nan"),
        (KERNEL, np.full((1, 1, 4, 6), np.inf, np.float32), f"{KERNEL} has .* inf"),
        (VARIANCE, np.full(6, -0.5, np.float32), rf"{VARIANCE} has the value -0\.5"),
    ],
)
def test_a_wrong_variable_is_named(
    version: int,
    name: str,
    array: Array,
    message: str,
    tmp_path: Path,
    arrays: dict[str, Array],
    variables: dict[str, keras.Variable],
) -> None:
    """Another shape or type, or a value that cannot be, is refused."""
    write_checkpoint(tmp_path / "a.ckpt", arrays | {name: array}, version)

    check_refused(tmp_path / "a.ckpt", variables, message)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_cut_short_is_refused(
    version: int,
    tmp_path: Path,
    arrays: dict[str, Array],
    variables: dict[str, keras.Variable],
) -> None:
    """A file of which the second half is missing is an error of ours, whichever."""
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, arrays, version)
    for file in slim_checkpoint.find_files(path):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])

        check_refused(
            path, variables, r"a\.ckpt.* cannot be read \(.+\).*fetch_weights"
        )

        file.write_bytes(content)
    load_slim_checkpoint(keras.Model(), path)


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", bytes(500)])
def test_what_is_no_checkpoint_is_refused(
    content: bytes, tmp_path: Path, variables: dict[str, keras.Variable]
) -> None:
    """An empty file, a web page and zeros are errors of ours."""
    (tmp_path / "a.ckpt").write_bytes(content)

    check_refused(tmp_path / "a.ckpt", variables, r"a\.ckpt cannot be read")


def test_flipped_bits_are_found(
    tmp_path: Path, arrays: dict[str, Array], variables: dict[str, keras.Variable]
) -> None:
    """Wherever a bit of the data is flipped, the checkpoint is refused."""
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, arrays, 2)
    data = slim_checkpoint.find_files(path)[1]
    content = data.read_bytes()
    assert 4 * (24 + 6 + 6) == len(content)
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1
        data.write_bytes(flipped)

        check_refused(path, variables, "cannot be read")


def test_data_that_is_missing_is_refused(
    tmp_path: Path, arrays: dict[str, Array], variables: dict[str, keras.Variable]
) -> None:
    """An index without its data is an error of ours."""
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, arrays, 2)
    slim_checkpoint.find_files(path)[1].unlink()

    check_refused(path, variables, "cannot be read")


def test_no_checkpoint_is_refused(
    tmp_path: Path, variables: dict[str, keras.Variable]
) -> None:
    """A path of nothing, or of a folder, is named, with the way to the weights."""
    for path in (tmp_path / "a.ckpt", tmp_path):
        message = f"no checkpoint {re.escape(str(path))}: .*fetch_weights"
        check_refused(path, variables, message)
