"""Exact states of training, from which a run resumes as if it had never stopped.

A state is one `.npz` file: every variable of model and optimizer (those of seed
generators, too, which Keras's own savers leave out) and what the loop knows, as JSON.
Every member of the archive has a CRC-32, which is checked when it is read.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.errors import CheckpointError
from bigearthnet.util.files import write_bytes

if TYPE_CHECKING:
    import keras

_VERSION = 1
_PATTERN = "step-*.npz"
# States that are kept: two, in case the last one is damaged.
_KEPT = 2
# npz holds no bfloat16; weights are float32 whatever the precision of layers.
_Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class State:
    """What the loop knows.

    Attributes:
        step: Steps done.
        epoch: Epochs done.
        batch: Batches done of the epoch after these.
        loss_total: Sum of the losses of that epoch's patches so far.
        history: What training.json says of each epoch that is done.
        seconds: Time that each of them took.
        paces: What `training_text.Pace.to_json` says of each.
        best_loss: Lowest validation loss, or 1 - the metric that stops early; None
            before the first.
        best_epoch: Epoch that had it, from 1.
        best_weights: All variables of the model after it; none without early stopping.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_total: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    paces: list[dict[str, float]] = field(default_factory=list)
    best_loss: float | None = None
    best_epoch: int = 0
    best_weights: list[npt.NDArray[Any]] = field(default_factory=list)


def save_state(
    folder: Path,
    state: State,
    model: keras.Model,
    *optimizers: keras.Optimizer,
    write: bool = True,
) -> None:
    """Writes a state, whole and durable, and deletes those before the last two.

    Args:
        folder: Folder of the states; made if missing.
        state: What the loop knows.
        model: All of its variables are kept.
        *optimizers: All of their variables are kept; a count of steps drives schedules.
        write: False for hosts that only help to read variables, which may be spread.

    Raises:
        OSError: If the file cannot be written.
    """
    known = {k: v for k, v in vars(state).items() if k != "best_weights"}
    variables = _list_variables(model, optimizers)
    head = {"version": _VERSION, "state": known, "variables": _describe(variables)}
    arrays: _Arrays = {"head": np.array(json.dumps(head))}
    arrays |= {f"v{i}": v.numpy() for i, v in enumerate(variables)}
    if not write:
        return
    folder.mkdir(exist_ok=True)
    arrays |= {f"best{i}": array for i, array in enumerate(state.best_weights)}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_bytes(content.getbuffer(), folder / f"step-{state.step:010}.npz")
    for path in _find(folder)[:-_KEPT]:
        path.unlink()


def load_state(
    folder: Path, model: keras.Model, *optimizers: keras.Optimizer
) -> State | None:
    """Sets all variables to the last state that was saved.

    Args:
        folder: Folder of the states.
        model: The model that was saved, as it is built.
        *optimizers: The optimizers that were saved, built.

    Returns:
        What the loop knew; None if no state was saved.

    Raises:
        CheckpointError: If the state is damaged, or is of another model. Nothing is
            set then.
    """
    found = _find(folder)
    if not found:
        return None
    path = found[-1]
    state, described, arrays = _read(path)
    variables = _list_variables(model, optimizers)
    if described != _describe(variables):
        raise CheckpointError(
            f"{path} is of another model or version. Expected the run that wrote it, "
            "another --workdir, or --restart to begin again."
        )
    best = sum(name.startswith("best") for name in arrays)
    expected = {f"v{i}": v.shape for i, v in enumerate(variables)}
    if best:
        expected |= {f"best{i}": v.shape for i, v in enumerate(model.variables)}
    if expected != {name: array.shape for name, array in arrays.items()}:
        raise _make_error(path, "arrays are missing or of another shape")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"v{i}"])
    state.best_weights = [arrays[f"best{i}"] for i in range(best)]
    return state


def copy_weights(model: keras.Model) -> list[npt.NDArray[Any]]:
    """Returns the values of all variables of a model."""
    return [np.array(variable.numpy()) for variable in model.variables]


def set_weights(model: keras.Model, values: Sequence[npt.NDArray[Any]]) -> None:
    """Sets all variables of a model to what `copy_weights` returned."""
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def _find(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PATTERN))


def _list_variables(
    model: keras.Model, optimizers: Sequence[keras.Optimizer]
) -> list[Any]:
    return [*model.variables, *(v for each in optimizers for v in each.variables)]


def _describe(variables: Sequence[Any]) -> list[list[Any]]:
    """Returns name, shape and type of each variable."""
    return [[v.name, list(v.shape), str(v.dtype)] for v in variables]


def _read(path: Path) -> tuple[State, list[Any], _Arrays]:
    """Reads all of a file before anything is set."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
        if head["version"] != _VERSION:
            raise KeyError(f"version {head['version']}")
        return State(**head["state"]), head["variables"], arrays
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as cause:
        raise _make_error(path, cause) from None


def _make_error(path: Path, cause: object) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged ({cause}). Delete it to resume from the state before it, "
        "or begin again with --restart."
    )
