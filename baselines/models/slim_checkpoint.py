"""Reads the weights of Inception-v2 from a checkpoint of TF-Slim.

Of either kind: one file (V1, as TF-Slim's of 2016), or an index with data files beside
it (V2). Strict: every variable of the model has to be there, as it should be, or the
model stays as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.errors import WeightsError
from baselines.models.inception_v2 import map_slim_variables

if TYPE_CHECKING:
    import keras

_INDEX = ".index"
_CURE = "Fetch the weights again: python -m baselines.fetch_weights --help."
# How many names an error lists.
_MAX_NAMES = 3


def load_slim_checkpoint(model: keras.Model, path: Path) -> None:
    """Sets the weights of a model; variables that it does not have are ignored.

    Args:
        model: What `inception_v2.build_inception_v2` returned.
        path: The file (V1), or what stands before `.index` in the names of the files
            (V2).

    Raises:
        WeightsError: If there is no such checkpoint, it cannot be read, or a variable
            is missing, has another shape or type, or a value that cannot be.
    """
    find_files(path)
    variables = map_slim_variables(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    arrays = dict(_read_arrays(path, shapes))
    for name, variable in variables.items():
        variable.assign(arrays[name])


def hash_checkpoint(path: Path) -> str:
    """Returns the sha256 of a checkpoint: of its files, one after the other.

    Args:
        path: See `load_slim_checkpoint`.

    Raises:
        WeightsError: If there is no such checkpoint, or it cannot be read.
    """
    digest = hashlib.sha256()
    for part in find_files(path):
        try:
            digest.update(part.read_bytes())
        except OSError as cause:
            raise WeightsError(f"{part} cannot be read: {cause}.") from None
    return digest.hexdigest()


def find_files(path: Path) -> list[Path]:
    """Returns the files of a checkpoint: the one of V1, or index and data of V2.

    Args:
        path: See `load_slim_checkpoint`.

    Raises:
        WeightsError: If there is none.
    """
    if path.is_file() and not path.name.endswith(_INDEX):
        return [path]
    prefix = Path(str(path).removesuffix(_INDEX))
    index = Path(f"{prefix}{_INDEX}")
    if index.is_file():
        start = f"{prefix.name}.data-"
        parts = [part for part in index.parent.iterdir() if part.name.startswith(start)]
        return [index, *sorted(parts)]
    raise WeightsError(
        f"no checkpoint {path}: expected this file, or {index.name} beside its data. "
        f"{_CURE}"
    )


def _read_arrays(
    path: Path, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yields name and array of each variable, checked."""
    import tensorflow as tf

    # TensorFlow's reader raises its own errors and, where an index is short, others.
    damages = (tf.errors.OpError, LookupError, RuntimeError, ValueError)
    try:
        reader = tf.train.load_checkpoint(str(path).removesuffix(_INDEX))
        found = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
    except damages as cause:
        raise _make_unreadable(path, cause) from None
    _check_names(path, shapes, found)
    for name, shape in shapes.items():
        if tuple(found[name]) != shape or types[name] != tf.float32:
            raise WeightsError(
                f"{path}: expected float32 of shape {shape} for {name}, got "
                f"{types[name].name} of shape {tuple(found[name])}: the checkpoint is "
                f"of another network. {_CURE}"
            )
        try:
            array = reader.get_tensor(name)
        except damages as cause:
            raise _make_unreadable(f"{path}: {name}", cause) from None
        _check_values(path, name, array)
        yield name, array


def _check_names(
    path: Path, expected: Mapping[str, object], found: Mapping[str, object]
) -> None:
    missing = [name for name in expected if name not in found]
    if missing:
        more = ", …" if len(missing) > _MAX_NAMES else ""
        raise WeightsError(
            f"{path} lacks {len(missing)} of the {len(expected)} variables of "
            f"Inception-v2: {', '.join(missing[:_MAX_NAMES])}{more}. Expected the "
            f"inception_v2.ckpt of TF-Slim. {_CURE}"
        )


def _check_values(path: Path, name: str, array: npt.NDArray[Any]) -> None:
    lowest = 0 if name.endswith("moving_variance") else -np.inf
    wrong = array[~np.isfinite(array) | (array < lowest)]
    if len(wrong):
        raise WeightsError(
            f"{path}: {name} has the value {wrong[0]}, which no trained network has: "
            f"the checkpoint is damaged. {_CURE}"
        )


def _make_unreadable(what: object, cause: Exception) -> WeightsError:
    problem = str(cause).partition("\n")[0][:120]
    return WeightsError(
        f"{what} cannot be read ({problem}): the checkpoint is damaged, or is none. "
        f"{_CURE}"
    )
