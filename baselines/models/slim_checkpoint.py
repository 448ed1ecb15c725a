"""Reads weights from checkpoints of TensorFlow 1: of TF-Slim, and of the authors.

Of either kind: one file (V1, as TF-Slim's of 2016), or an index with data files beside
it (V2). Strict: every variable of the model has to be there, as it should be, or the
model stays as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
# Bytes that are hashed at a time: with its optimizer, a VGG has 1.6 GB.
_CHUNK_NBYTES = 1 << 24
# How many names an error lists.
_MAX_NAMES = 3


@dataclass(frozen=True)
class Origin:
    """What a checkpoint should be.

    Attributes:
        network: Name of the network.
        expected: What it is, for errors.
        cure: What to do where it is something else.
        ignored: Names of the variables that may be there beside the network's.
    """

    network: str
    expected: str
    cure: str
    ignored: re.Pattern[str]


# Its classifier, what its training left beside the network (a count of steps, the mean
# of pictures), and what optimizers keep of a variable. Others within the network, like
# a gamma, would change what it computes.
_BESIDE = re.compile(
    r"(?!InceptionV2/).+|InceptionV2/Logits/.+"
    r"|.+/(RMSProp(_1)?|Momentum|Adam(_1)?|ExponentialMovingAverage)"
)
_INCEPTION = Origin("Inception-v2", "the inception_v2.ckpt of TF-Slim", _CURE, _BESIDE)


def load_slim_checkpoint(model: keras.Model, path: Path) -> None:
    """Sets the weights of a model; its classifier and optimizer are ignored.

    Args:
        model: What `inception_v2.build_inception_v2` returned.
        path: The file (V1), or what stands before `.index` in the names of the files
            (V2).

    Raises:
        WeightsError: If there is no such checkpoint, it cannot be read, or a variable
            is missing, has another shape or type, a value that cannot be, or is one
            more of the network than the model has.
    """
    load_checkpoint(map_slim_variables(model), path, _INCEPTION)


def load_checkpoint(
    variables: Mapping[str, keras.Variable], path: Path, origin: Origin
) -> None:
    """Sets variables.

    Args:
        variables: Name in the checkpoint → variable of the same shape.
        path: See `load_slim_checkpoint`.
        origin: What the checkpoint should be.

    Raises:
        WeightsError: See `load_slim_checkpoint`; also if there is a variable more than
            the origin allows.
    """
    find_files(path, origin.cure)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    arrays = dict(_read_arrays(path, shapes, origin))
    for name, variable in variables.items():
        variable.assign(arrays[name])


def hash_checkpoint(path: Path, cure: str = _CURE) -> str:
    """Returns the sha256 of a checkpoint: of its files, one after the other.

    Args:
        path: See `load_slim_checkpoint`.
        cure: What to do if there is none.

    Raises:
        WeightsError: If there is no such checkpoint, or it cannot be read.
    """
    digest = hashlib.sha256()
    for part in find_files(path, cure):
        try:
            with part.open("rb") as file:
                while chunk := file.read(_CHUNK_NBYTES):
                    digest.update(chunk)
        except OSError as cause:
            raise WeightsError(f"{part} cannot be read: {cause}.") from None
    return digest.hexdigest()


def find_files(path: Path, cure: str = _CURE) -> list[Path]:
    """Returns the files of a checkpoint: the one of V1, or index and data of V2.

    Args:
        path: See `load_slim_checkpoint`.
        cure: What to do if there is none.

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
        f"{cure}"
    )


def _read_arrays(
    path: Path, shapes: Mapping[str, tuple[int, ...]], origin: Origin
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
        raise _make_unreadable(path, cause, origin) from None
    _check_names(path, shapes, found, origin)
    for name, shape in shapes.items():
        if tuple(found[name]) != shape or types[name] != tf.float32:
            raise WeightsError(
                f"{path}: expected float32 of shape {shape} for {name}, got "
                f"{types[name].name} of shape {tuple(found[name])}: the checkpoint is "
                f"of another network. {origin.cure}"
            )
        try:
            array = reader.get_tensor(name)
        except damages as cause:
            raise _make_unreadable(f"{path}: {name}", cause, origin) from None
        _check_values(path, name, array, origin)
        yield name, array


def _check_names(
    path: Path,
    expected: Mapping[str, object],
    found: Mapping[str, object],
    origin: Origin,
) -> None:
    missing = [name for name in expected if name not in found]
    others = sorted(set(found) - set(expected))
    extra = [name for name in others if not origin.ignored.fullmatch(name)]
    all_variables = f"the {len(expected)} variables of {origin.network}"
    for names, problem in (
        (missing, f"lacks {len(missing)} of {all_variables}"),
        (extra, f"has {len(extra)} more than {all_variables}"),
    ):
        if names:
            more = ", …" if len(names) > _MAX_NAMES else ""
            raise WeightsError(
                f"{path} {problem}: {', '.join(names[:_MAX_NAMES])}{more}. Expected "
                f"{origin.expected}. {origin.cure}"
            )


def _check_values(
    path: Path, name: str, array: npt.NDArray[Any], origin: Origin
) -> None:
    lowest = 0 if name.endswith("moving_variance") else -np.inf
    wrong = array[~np.isfinite(array) | (array < lowest)]
    if len(wrong):
        raise WeightsError(
            f"{path}: {name} has the value {wrong[0]}, which no trained network has: "
            f"the checkpoint is damaged. {origin.cure}"
        )


def _make_unreadable(what: object, cause: Exception, origin: Origin) -> WeightsError:
    problem = str(cause).partition("\n")[0][:120]
    return WeightsError(
        f"{what} cannot be read ({problem}): the checkpoint is damaged, or is none. "
        f"{origin.cure}"
    )
