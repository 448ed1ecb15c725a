from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from baselines import workdir
from baselines.claims import lock_workdir, start_run
from baselines.errors import WeightsError
from baselines.models import build_trained_part
from baselines.schemas import load_schema
from baselines.settings import Settings
from baselines.workdir import Run
from bigearthnet.errors import OptionError
from bigearthnet.release.bands import BANDS
from bigearthnet.util.files import write_json

STATISTICS = {b.name: {"mean": b.mean, "std": b.std} for b in BANDS}
HEAD = Settings(model="inception_v2", weights="random")


def make_run(**changes: Any) -> Run:
    """A run of S-CNN-All."""
    train = {"split": "train", "patches": 4, "ids_sha256": "a", "synthetic_patches": 0}
    data = {"train": train, "validation": None}
    scaling = {"formula": "(DN - mean) / std", "statistics": STATISTICS}
    return Run(Settings(**changes), data, scaling, None)


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edits a workdir's settings.json."""
    path = folder / workdir.SETTINGS
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    write_json(content, path)


def finish(folder: Path) -> str:
    """Leaves the weights of a head, as a finished training does."""
    return workdir.save_training(build_trained_part(HEAD, {}), folder)


def test_a_run_comes_back(tmp_path: Path) -> None:
    """What was written is of the schema, and is read again with every flag and band."""
    run = make_run(model="s_cnn_rgb", seed=5)
    start_run(tmp_path, run, restart=False)
    content = json.loads((tmp_path / workdir.SETTINGS).read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator.check_schema(load_schema("settings"))
    jsonschema.validate(content, load_schema("settings"))
    assert run == workdir.read_run(tmp_path)
    assert STATISTICS == workdir.read_run(tmp_path).statistics
    assert 43 == len(content["classes"])
    assert ["B04", "B03", "B02"] == content["bands"]
    assert {"bigearthnet", "keras", "numpy", "tensorflow"} == set(content["packages"])


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    """The same settings are accepted again, with another version of ours, too."""
    start_run(tmp_path, make_run(), restart=False)
    change(tmp_path, lambda content: content["packages"].update(bigearthnet="0"))

    start_run(tmp_path, make_run(), restart=False)


def test_a_run_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """A run whose file lacks a setting that came later is the same at its default."""
    start_run(tmp_path, make_run(), restart=False)
    change(tmp_path, lambda content: content["settings"].pop("weight_decay"))

    start_run(tmp_path, make_run(), restart=False)
    assert make_run() == workdir.read_run(tmp_path)
    with pytest.raises(OptionError, match=r"weight_decay is 0.01 there, 0.5 here"):
        start_run(tmp_path, make_run(weight_decay=0.5), restart=False)


@pytest.mark.parametrize("package", ["keras", "numpy", "tensorflow"])
def test_other_packages_do_not_go_on(tmp_path: Path, package: str) -> None:
    """An unfinished run stays with its versions; a finished one is left alone."""
    start_run(tmp_path, make_run(), restart=False)
    change(tmp_path, lambda content: content["packages"].update({package: "0"}))

    with pytest.raises(
        OptionError, match=f"packages.{package} is '0' there.*--restart"
    ):
        start_run(tmp_path, make_run(), restart=False)
    (tmp_path / workdir.TRAINING).write_text("{}")
    start_run(tmp_path, make_run(), restart=False)


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    """Each setting and fact that differs is named, with both values."""
    start_run(tmp_path, make_run(), restart=False)
    other = make_run(l2=0.5, seed=3)
    other = Run(other.settings, {"train": {}}, other.scaling, None)

    with pytest.raises(OptionError, match="--restart") as caught:
        start_run(tmp_path, other, restart=False)
    for text in ("l2 is 0.0 there, 0.5 here", "seed is 0 there", "train.ids_sha256"):
        assert text in str(caught.value)


def test_a_run_can_have_more_epochs(tmp_path: Path) -> None:
    """A longer run is no longer finished; what was evaluated keeps its own folder."""
    start_run(tmp_path, make_run(epochs=2), restart=False)
    finish(tmp_path)
    for name in ("checkpoints", "evaluations"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoints" / "step-0000000002.npz").touch()

    start_run(tmp_path, make_run(epochs=3), restart=False)

    assert 3 == workdir.read_run(tmp_path).settings.epochs
    assert not (tmp_path / workdir.TRAINING).exists()
    assert (tmp_path / "evaluations_after_2_epochs").is_dir()
    with pytest.raises(OptionError, match="epochs is 3 there, 2 here"):
        start_run(tmp_path, make_run(epochs=2), restart=False)
    start_run(tmp_path, make_run(), restart=True)
    assert [tmp_path / workdir.SETTINGS] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schedule": "cosine"}, r"cosine.* ends after 2 epochs, .*on to 3.*--restart"),
        ({}, r"no state of training"),
        ({"l2": 0.5}, r"l2 is 0.0 there, 0.5 here"),
    ],
)
def test_a_run_that_cannot_have_more_epochs_stays(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    """A schedule that has ended, a lost state or another flag is refused by name."""
    first = {**changes, "l2": 0.0, "epochs": 2}
    start_run(tmp_path, make_run(**first), restart=False)
    finish(tmp_path)
    before = (tmp_path / workdir.SETTINGS).read_bytes()

    with pytest.raises(OptionError, match=problem):
        start_run(tmp_path, make_run(**{**changes, "epochs": 3}), restart=False)
    assert before == (tmp_path / workdir.SETTINGS).read_bytes()
    assert (tmp_path / workdir.TRAINING).is_file()


def test_restart_deletes_what_runs_write(tmp_path: Path) -> None:
    """Restarting leaves the new settings, kept features and what is not ours."""
    start_run(tmp_path, make_run(), restart=False)
    finish(tmp_path)
    for name in ("checkpoints", "logs", "evaluations", "features", "notes"):
        (tmp_path / name).mkdir()
    start_run(tmp_path, make_run(seed=1), restart=True)

    assert ["features", "notes", "settings.json"] == sorted(
        path.name for path in tmp_path.iterdir()
    )
    assert 1 == workdir.read_run(tmp_path).settings.seed


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A folder that is trained in is refused to others, and free afterwards."""
    with (
        lock_workdir(tmp_path),
        pytest.raises(OptionError, match="in use"),
        lock_workdir(tmp_path),
    ):
        pass
    with lock_workdir(tmp_path):
        pass


def test_weights_come_back(tmp_path: Path) -> None:
    """Loaded weights are those that were saved, and their file is the same again."""
    digest = finish(tmp_path)
    model = build_trained_part(HEAD, {})
    other = build_trained_part(Settings(model="inception_v2", seed=1), {})

    assert digest == workdir.load_trained_weights(other, tmp_path) == finish(tmp_path)
    for one, two in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_weights_of_other_classes_are_refused(tmp_path: Path) -> None:
    """Weights whose file names the classes in another order are one clear error."""
    start_run(tmp_path, make_run(), restart=False)
    change(tmp_path, lambda content: content["classes"].reverse())

    with pytest.raises(WeightsError, match="the classes of these weights are not in"):
        workdir.read_run(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """Weights for 43 classes do not fit a model of 19."""
    finish(tmp_path)
    model = build_trained_part(Settings(model="inception_v2", labels="ben19"), {})

    with pytest.raises(WeightsError, match="of another model"):
        workdir.load_trained_weights(model, tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """A flipped bit in the file of weights is found."""
    finish(tmp_path)
    path = tmp_path / workdir.WEIGHTS
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)

    with pytest.raises(WeightsError, match="is damaged: its sha256 is"):
        workdir.load_trained_weights(build_trained_part(HEAD, {}), tmp_path)


def test_an_unfinished_run_has_no_weights(tmp_path: Path) -> None:
    """Before training has ended, nothing can be loaded; nor from any other folder."""
    with pytest.raises(WeightsError, match="no finished training"):
        workdir.load_trained_weights(build_trained_part(HEAD, {}), tmp_path)
    with pytest.raises(WeightsError, match="is no workdir"):
        workdir.read_run(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"settings": {}}', '{"settings": 3}'], ids=range(4)
)
def test_damaged_settings_are_an_error_of_ours(tmp_path: Path, text: str) -> None:
    """Anything but a settings.json of ours is refused."""
    (tmp_path / workdir.SETTINGS).write_text(text, encoding="utf-8")

    with pytest.raises((WeightsError, OptionError), match=r"settings|JSON"):
        workdir.read_run(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": []},
        {"data": {"train": 3, "validation": None}},
        {"data": {"train": {"split": "train"}, "validation": None}},
        {"scaling": None},
        {"scaling": {"formula": "x", "statistics": [1]}},
        {"scaling": {"formula": "x", "statistics": {"B01": 1}}},
        {"settings": [["model", 1]]},
        {"frozen_weights": "tf-slim"},
        {"classes": None},
        {"bands": [1, 2]},
    ],
    ids=str,
)
def test_settings_of_other_types_are_damaged(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """A value of another type in settings.json is one clear error."""
    start_run(tmp_path, make_run(), restart=False)
    change(tmp_path, lambda content: content.update(changes))

    with pytest.raises(WeightsError, match=r"settings\.json is damaged"):
        workdir.read_run(tmp_path)
