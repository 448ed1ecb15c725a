from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from absl import flags

import baselines
from baselines import settings_flags
from baselines.networks import RELEASED_MODELS
from baselines.settings import Settings
from baselines.splits import split_names
from bigearthnet.errors import OptionError
from bigearthnet.release import V1

GROUPS = ("bands_10m", "bands_20m", "bands_60m")
RELEASED = ("B04", "B03", "B02", "B08", "B05", "B06", "B07", "B8A", "B11", "B12")
FLAGFILES = sorted((Path(baselines.__file__).parent / "flags").glob("*.flags"))


@pytest.fixture
def absl_flags(monkeypatch: pytest.MonkeyPatch) -> flags.FlagValues:
    """Flags that were defined anew."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    for kind in ("enum", "bool", "integer", "float", "string"):
        define = getattr(flags, f"DEFINE_{kind}")

        def defined(*args: Any, define: Any = define, **options: Any) -> None:
            define(*args, flag_values=values, **options)

        monkeypatch.setattr(flags, f"DEFINE_{kind}", defined)
    settings_flags.define_flags()
    flags.DEFINE_string("flagfile", None, "Insert flags from a file.")
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "vgg"},
        {"config": "s2-rgb"},
        {"labels": "clc43_alphabetical"},
        {"train_split": "train+val"},
        {"train_split": "train+train"},
        {"validation_split": ""},
        {"fraction": 0.0},
        {"fraction": 1.5},
        {"epochs": 0},
        {"batch_size": 0},
        {"batch_size": True},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"momentum": 1.0},
        {"momentum": 0},
        {"dropout_fc": 1.0},
        {"l2": -1e-5},
        {"inception_size": 31},
        {"seed": -1},
        {"seed": 2**32},
        {"validation_split": "test+train"},
        {"early_stopping_patience": 3, "validation_split": "none"},
        {"augment": True, "model": "inception_v2"},
        {"epochs": 3, "frozen_epochs": 4},
    ],
)
def test_values_without_meaning_are_refused(changes: dict[str, Any]) -> None:
    """One clear error names the setting that has no meaning."""
    with pytest.raises(OptionError, match=next(iter(changes)).split("_")[-1]):
        Settings(**changes)


@pytest.mark.parametrize(
    ("model", "bands", "groups"),
    [
        ("s_cnn_rgb", ("B04", "B03", "B02"), ("bands_10m",)),
        ("inception_v2", ("B04", "B03", "B02"), ("bands_10m",)),
        *((name, RELEASED, GROUPS[:2]) for name in RELEASED_MODELS[:-1]),
        ("k_branch", (*RELEASED, "B01", "B09"), GROUPS),
    ],
)
def test_models_read_the_groups_of_their_bands(
    model: str, bands: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """Channels are in the paper's order, or that of the authors' later code."""
    made = Settings(model=model)

    assert (bands, groups) == (made.bands, made.groups)


def test_all_bands_come_in_ascending_wavelength() -> None:
    """S-CNN-All sees the 12 bands by wavelength, from three groups."""
    made = Settings(model="s_cnn_all")

    assert ("B07", "B08", "B8A", "B09") == made.bands[6:10]
    assert ("bands_10m", "bands_20m", "bands_60m") == made.groups


def test_settings_survive_json() -> None:
    """What goes through JSON is the same again."""
    made = Settings(model="s_cnn_rgb", l2=2e-5, seed=7, batch_norm=True)

    assert made == Settings.from_json(json.loads(json.dumps(made.to_json())))


# Settings that the first version had not.
LATER = {
    "augment",
    "class_weights",
    "early_stopping_metric",
    "frozen_epochs",
    "sensors",
    "tf32",
    "weight_decay",
    "where",
}


def test_settings_of_the_first_version_are_read() -> None:
    """What lacks later settings has their defaults, and the identity it had then."""
    made = Settings(l2=0.5, seed=3)
    first = {k: v for k, v in made.to_json().items() if k not in LATER}

    assert made == Settings.from_json(first)
    del first["seed"]
    assert first == made.to_identity()
    changed = dataclasses.replace(made, weight_decay=0.5)
    assert {**first, "weight_decay": 0.5} == changed.to_identity()


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_settings_of_another_version_are_refused(change: str) -> None:
    """A missing or unknown setting in a file is named."""
    content = Settings().to_json()
    if change == "missing":
        del content["l2"]
    else:
        content["l3"] = 1.0

    with pytest.raises(OptionError, match=r"another version.*l[23]"):
        Settings.from_json(content)


def test_splits_are_joined_by_plus() -> None:
    """`a+b` are two splits in that order."""
    assert ("train", "test", "excluded") == split_names(
        "train+test+excluded", V1.splits
    )


def test_flags_are_the_fields(absl_flags: flags.FlagValues) -> None:
    """Each field is a flag with the same default, and its value arrives."""
    absl_flags(["program", "--model=s_cnn_rgb", "--third_pool", "--l2=0.5"])

    assert (
        Settings(model="s_cnn_rgb", third_pool=True, l2=0.5)
        == settings_flags.from_flags()
    )


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_flagfiles_make_settings(absl_flags: flags.FlagValues, path: Path) -> None:
    """Every flagfile has a meaning, and is named after its model or `sample`."""
    absl_flags(["program", f"--flagfile={path}"])
    made = settings_flags.from_flags()

    assert path.stem.startswith(made.model) or path.stem == "sample"
    assert 0 == made.early_stopping_patience


@pytest.mark.parametrize(
    "path", [path for path in FLAGFILES if "rsim" in path.stem], ids=lambda p: p.stem
)
def test_recipes_of_the_later_code(absl_flags: flags.FlagValues, path: Path) -> None:
    """Official split, Adam, no penalty; rates and batches by network."""
    absl_flags(["program", f"--flagfile={path}"])
    made = settings_flags.from_flags()
    rate = 1e-4 if made.model.startswith("vgg") else 1e-3
    sizes = {"resnet152": 256, "vgg16": 1000, "vgg19": 1000, "k_branch": 1000}

    assert (made.config, made.optimizer, made.epochs) == ("s2", "adam", 100)
    assert (made.l2, made.learning_rate) == (0, rate)
    assert made.batch_size == sizes.get(made.model, 500)


def test_paper_flagfiles_differ_in_the_model_alone(
    absl_flags: flags.FlagValues,
) -> None:
    """The three runs of the paper are trained in the same way, with SGD."""
    found = []
    for name in ("s_cnn_rgb", "s_cnn_all", "inception_v2"):
        path = next(path for path in FLAGFILES if path.stem == name)
        absl_flags(["program", f"--flagfile={path}"])
        found.append(
            dataclasses.replace(settings_flags.from_flags(), model="s_cnn_all")
        )

    assert found[0] == found[1] == found[2]
    assert ("sgd", 0.01, 0.9, 100, 128, "s2-random") == (
        found[0].optimizer,
        found[0].learning_rate,
        found[0].momentum,
        found[0].epochs,
        found[0].batch_size,
        found[0].config,
    )
