"""Claims the folder of a run: a new one, or one that holds the same run."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.cluster import check_same, gather, is_chief
from baselines.settings import add_later_settings
from baselines.workdir import (
    CHECKPOINTS,
    DECISIVE_PACKAGES,
    EVALUATIONS,
    LOGS,
    PACKAGES,
    SETTINGS,
    TRAINING,
    UNFINISHED_WEIGHTS,
    WEIGHTS,
    Run,
    read_json,
)
from bigearthnet.errors import OptionError
from bigearthnet.util.files import hash_file, write_json
from bigearthnet.util.locks import try_lock

if TYPE_CHECKING:
    import tensorflow as tf

_LOCK = "lock"


@contextlib.contextmanager
def claim_run(
    folder: Path, run: Run, strategy: tf.distribute.Strategy, *, restart: bool
) -> Iterator[None]:
    """Locks a folder and describes a run in it, or checks that it holds the same run.

    On several hosts the chief does; the others wait, and look at what it wrote.

    Args:
        folder: The folder; made if missing.
        run: What is to be trained.
        strategy: Where it is trained.
        restart: Deletes what an earlier run left in the folder.

    Raises:
        OptionError: If another process trains in the folder; see also `start_run`.
        ClusterError: If hosts train different things, or see different files.
    """
    what = "flags, data, weights or versions: expected the same command and store."
    check_same(strategy, what, json.dumps([run.to_json(), restart]))
    writes = is_chief(strategy)
    with lock_workdir(folder) if writes else contextlib.nullcontext():
        if writes:
            start_run(folder, run, restart=restart)
        gather(strategy, 0)  # waits for the chief
        what = f"what they see in {folder}: expected a folder that all of them share."
        check_same(strategy, what, sorted(_list_files(folder)))
        yield


def _list_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields name and sha256 of what decides how a training goes on."""
    states = sorted((folder / CHECKPOINTS).glob("*"))
    for path in (folder / SETTINGS, folder / TRAINING, *states[-1:]):
        if path.is_file():
            yield path.name, hash_file(path)


def start_run(folder: Path, run: Run, *, restart: bool) -> None:
    """Describes a run in its folder, or checks that the folder holds the same run.

    A run may have more epochs than the folder's, whose training then goes on.

    Args:
        folder: The folder; made if missing.
        run: What is to be trained.
        restart: Deletes what an earlier run left in the folder.

    Raises:
        OptionError: If the folder is another run's, or has a training to go on with of
            other versions of packages, or one that cannot have more epochs.
    """
    if restart:
        _clear(folder)
    path, content = folder / SETTINGS, run.to_json()
    if not path.is_file():
        write_json(content, path)
        return
    theirs, epochs = read_json(path), run.settings.epochs
    theirs["settings"] = add_later_settings(theirs.get("settings", {}))
    before = theirs["settings"].get("epochs")
    goes_on = type(before) is int and before < epochs
    if goes_on:
        theirs["settings"]["epochs"] = epochs
    # Nothing is left to compute where training has finished.
    finished = (folder / TRAINING).is_file() and not goes_on
    ours = json.loads(json.dumps(content))
    if differences := _compare(theirs, ours, () if finished else DECISIVE_PACKAGES):
        raise OptionError(
            f"{folder} holds another run: {'; '.join(differences)}. "
            "Expected the same settings, data and versions of packages, another "
            "--workdir, or --restart to delete it."
        )
    if goes_on:
        _add_epochs(folder, run, before)
        write_json(content, path)


def _add_epochs(folder: Path, run: Run, before: int) -> None:
    """Makes the training of a folder one that is not finished.

    Args:
        folder: The folder.
        run: What it is to hold.
        before: Epochs that it has.

    Raises:
        OptionError: If the learning rate depended on the end, or no state is there.
    """
    epochs, schedule = run.settings.epochs, run.settings.schedule
    if schedule != "constant":
        raise OptionError(
            f"epochs: the {schedule} of the learning rate in {folder} ends after "
            f"{before} epochs, and cannot go on to {epochs}. Expected "
            f"--epochs={before}, another --workdir, or --restart to train all anew."
        )
    if (folder / TRAINING).is_file() and not any((folder / CHECKPOINTS).glob("*")):
        raise OptionError(
            f"epochs: {folder} has no state of training to go on from to {epochs}. "
            f"Expected --epochs={before}, or --restart to train all anew."
        )
    if (folder / EVALUATIONS).is_dir():
        # Of weights that will be replaced.
        old = folder / f"{EVALUATIONS}_after_{before}_epochs"
        (folder / EVALUATIONS).rename(old)
        print(f"{old}: evaluations before the epochs that come now.", flush=True)
    (folder / TRAINING).unlink(missing_ok=True)


@contextlib.contextmanager
def lock_workdir(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in the same folder; makes it if missing.

    Raises:
        OptionError: If another process does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK
    with path.open("w") as file:
        if not try_lock(file.fileno(), path):
            raise OptionError(f"{folder} is in use: another process trains in it.")
        yield


def _clear(folder: Path) -> None:
    """Deletes what runs write, and nothing else; settings go first."""
    for name in (SETTINGS, TRAINING, WEIGHTS, UNFINISHED_WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    evaluations = folder.glob(f"{EVALUATIONS}_after_*_epochs")
    for path in (*(folder / n for n in (CHECKPOINTS, LOGS, EVALUATIONS)), *evaluations):
        if path.is_dir():
            shutil.rmtree(path)


def _compare(
    old: Mapping[str, Any], new: Mapping[str, Any], packages: Sequence[str]
) -> list[str]:
    """Says which values differ; of the versions of packages, only of those named."""
    one, other = _flatten(old), _flatten(new)
    ignored = {f"packages.{name}" for name in PACKAGES if name not in packages}
    return [
        f"{name} is {one.get(name)!r} there, {other.get(name)!r} here"
        for name in dict.fromkeys([*one, *other])
        if name not in ignored and one.get(name) != other.get(name)
    ]


def _flatten(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Returns `a.b` → value; settings go by their flags' names alone."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            inner = "" if name == "settings" else f"{path}{name}."
            flat |= _flatten(value, inner)
        else:
            flat[f"{path}{name}"] = value
    return flat
