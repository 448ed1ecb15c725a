from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import baselines
from baselines import workdir
from baselines.errors import CheckpointError, WeightsError
from baselines.input_pipeline import ReadAhead
from baselines.models import build_trained_part
from baselines.settings import Settings
from baselines.train import find_run, train
from bigearthnet.errors import OptionError
from tests.baselines.conftest import parse_flagfile

FLAGFILES = sorted((Path(baselines.__file__).parent / "flags").glob("*.flags"))
# Those of v2.0, which `tests/v2` trains.
V2 = "_v2_"
# Runs that take minutes or gigabytes; `models/test_released.py` builds their networks.
LARGE = ("resnet101", "resnet152", "vgg")
SPLITS = "train+test+excluded"
TINY = (f"--train_split={SPLITS}", "--validation_split=none", "--batch_size=2")
# What makes a run of any flagfile a matter of seconds.
SMALL = {
    "config": "s2",
    "train_split": "train+test",
    "validation_split": "excluded",
    "epochs": 1,
    "weights": "random",
    "inception_size": 32,
    "deterministic": False,  # it would hold for the tests that follow, too
}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs share their features."""
    return tmp_path_factory.mktemp("features")


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in FLAGFILES
        if not (path.stem.startswith(LARGE) or V2 in path.stem)
    ],
    ids=lambda path: path.stem,
)
def test_every_flagfile_trains(
    path: Path, all_stores: Path, features_dir: Path, tmp_path: Path
) -> None:
    """An epoch on real patches leaves settings, weights that load, and losses."""
    chosen = dataclasses.replace(parse_flagfile(path), **SMALL)
    train(chosen, all_stores, tmp_path, features_dir=features_dir, quiet=True)
    training = read_json(tmp_path / workdir.TRAINING)
    run = workdir.read_run(tmp_path)
    model = build_trained_part(chosen, run.statistics)

    assert chosen == run.settings
    assert 5 == run.data["train"]["patches"]
    assert training["weights_sha256"] == workdir.load_trained_weights(model, tmp_path)
    metrics = {f"validation_{name}" for name in ("f1", "f2", "ap_macro", "ap_micro")}
    names = {"epoch", "loss", "validation_loss", *metrics}
    assert names == set(training["epochs"][0])
    assert chosen.uses_features == (run.frozen_weights is not None)


def test_a_finished_run_is_left_alone(
    all_stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again does nothing; other settings need --restart."""
    small = {**SMALL, "model": "s_cnn_rgb", "validation_split": "none"}
    chosen = Settings(**small)
    train(chosen, all_stores, tmp_path, quiet=True)
    written = (tmp_path / workdir.TRAINING).stat().st_mtime_ns
    train(chosen, all_stores, tmp_path, quiet=True)
    other = dataclasses.replace(chosen, seed=1)

    assert written == (tmp_path / workdir.TRAINING).stat().st_mtime_ns
    assert "is trained already" in capsys.readouterr().out
    with pytest.raises(OptionError, match="seed is 0 there, 1 here"):
        train(other, all_stores, tmp_path, quiet=True)
    train(other, all_stores, tmp_path, restart=True, quiet=True)
    assert 1 == workdir.read_run(tmp_path).settings.seed


def test_more_epochs_go_on_to_the_same_bits(all_stores: Path, tmp_path: Path) -> None:
    """One epoch, then two in the same folder, are two at once; augmentation, too."""
    changes = {"model": "s_cnn_rgb", "batch_size": 2, "augment": True}
    changes |= {"class_weights": "balanced"}
    one, two = (Settings(**{**SMALL, **changes, "epochs": n}) for n in (1, 2))
    train(two, all_stores, tmp_path / "whole", quiet=True)
    for chosen in (one, two):
        train(chosen, all_stores, tmp_path / "part", quiet=True)

    assert without_times(tmp_path / "whole") == without_times(tmp_path / "part")
    assert 2 == workdir.read_run(tmp_path / "part").settings.epochs


def test_cache_and_reading_ahead_change_no_bit(
    all_stores: Path, tmp_path: Path
) -> None:
    """Weights are the same wherever patches are kept and however far reading is."""
    chosen = Settings(**{**SMALL, "model": "s_cnn_rgb", "batch_size": 2})
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "ahead": {"ahead": ReadAhead(parallel_reads=3, batches_ahead=5)},
        "host": {"cache": "host"},
        "device": {"cache": "device"},
    }
    found = set()
    for name, options in ways.items():
        train(chosen, all_stores, tmp_path / name, quiet=True, **options)
        found.add(read_json(tmp_path / name / workdir.TRAINING)["weights_sha256"])

    assert 1 == len(found)


def test_what_cannot_be_trained_is_refused(all_stores: Path, tmp_path: Path) -> None:
    """A split or weights that are missing are one clear error, and leave no folder."""
    folder = tmp_path / "run"
    with pytest.raises(OptionError, match="no split 'validation'"):
        train(Settings(), all_stores, folder)
    pretrained = Settings(model="inception_v2", validation_split="none")
    with pytest.raises(WeightsError, match=r"baselines.fetch_weights"):
        train(pretrained, all_stores, folder)
    long = Settings(validation_split="none", warmup_steps=1000)
    with pytest.raises(OptionError, match="warmup_steps"):
        train(long, all_stores, folder)
    with pytest.raises(OptionError, match="checkpoint_every_steps"):
        train(Settings(), all_stores, folder, checkpoint_every_steps=-1)
    with pytest.raises(OptionError, match="cache: expected none for inception_v2"):
        train(pretrained, all_stores, folder, cache="host")
    assert not folder.exists()


def test_a_damaged_state_stops_the_command(all_stores: Path, tmp_path: Path) -> None:
    """A run whose last state is damaged says which file to delete."""
    small = {**SMALL, "model": "s_cnn_rgb", "validation_split": "none"}
    train(Settings(**small), all_stores, tmp_path, quiet=True)
    (tmp_path / workdir.TRAINING).unlink()
    [path] = (tmp_path / workdir.CHECKPOINTS).iterdir()
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(CheckpointError, match=f"{path.name} is damaged.*Delete it"):
        train(Settings(**small), all_stores, tmp_path, quiet=True)


def test_a_run_is_found_by_name() -> None:
    """A run's name is that of a flagfile that comes with the package."""
    assert "s_cnn_all.flags" == find_run("s_cnn_all").name
    with pytest.raises(OptionError, match=r"one of inception_v2, .*s_cnn_all.*'x'"):
        find_run("x")


def start(data_dir: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    line = [sys.executable, "-m", "baselines.train", f"--data_dir={data_dir}"]
    line += [f"--workdir={folder}", *arguments]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_command(data_dir: Path, folder: Path, *arguments: str) -> str:
    """Runs the command to its end; returns what it printed."""
    process = start(data_dir, folder, *arguments)
    output, errors = process.communicate()
    assert 0 == process.returncode, errors[-2000:]
    return output


def kill_after(data_dir: Path, folder: Path, state: str, *arguments: str) -> None:
    """Kills the command once it has saved a state."""
    process = start(data_dir, folder, "--checkpoint_every_steps=1", *arguments)
    path = folder / workdir.CHECKPOINTS / state
    while process.poll() is None and not path.exists():
        time.sleep(0.001)
    process.kill()
    process.communicate()


def without_times(folder: Path) -> dict[str, Any]:
    """What training.json says, but for times."""
    content = read_json(folder / workdir.TRAINING)
    content.pop("times")
    return content


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(
    all_stores: Path, tmp_path: Path
) -> None:
    """Kill -9 within an epoch, then the same command: weights equal to the bit.

    With dropout, whose state goes on, too.
    """
    options = ("--run=s_cnn_all_rsim", "--third_pool", "--fc_units=16", *TINY)
    options += ("--epochs=2",)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    kill_after(all_stores, killed, "step-0000000002.npz", *options)
    assert not (killed / workdir.TRAINING).exists()

    run_command(all_stores, killed, *options)
    run_command(all_stores, whole, *options)

    assert without_times(whole) == without_times(killed)
    assert (whole / workdir.SETTINGS).read_bytes() == (
        killed / workdir.SETTINGS
    ).read_bytes()
    assert 6 == without_times(whole)["steps"]
