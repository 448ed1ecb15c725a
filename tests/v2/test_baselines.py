"""The S-CNN on v2.0: over Sentinel-2, Sentinel-1, or both."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import bigearthnet
from baselines.cached_data import Place
from baselines.compare import compare
from baselines.errors import ResultError
from baselines.evaluate import evaluate
from baselines.export import export
from baselines.models.preprocessing import (
    choose_statistics,
    describe_scaling,
    make_inputs,
    standardise,
)
from baselines.patch_folders import find_patch_folders
from baselines.predict import predict
from baselines.results import evaluation_folder, read_results
from baselines.results_text import format_results
from baselines.scoring import Data
from baselines.settings import Settings
from baselines.stored_rows import open_random_access
from baselines.train import find_run, train
from baselines.trained import load_trained_model
from baselines.workdir import SETTINGS, TRAINING
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.reading import open_reader
from bigearthnet.release.bands import BANDS
from tests.baselines.conftest import MakeRun, make_run, parse_flagfile
from tests.v2.made import NUM_PATCHES, make_patches

S2 = tuple(band.name for band in BANDS)
FIXTURES = (make_run,)
SMALL: dict[str, Any] = {
    "labels": "ben19",
    "fc_units": 4,
    "epochs": 3,
    "batch_size": 2,
    "optimizer": "adam",
    "deterministic": False,  # it would hold for the tests that follow, too
}
Train = Callable[..., Path]


def count_train_patches_of_v1(split: str) -> int:
    """Counts the made-up patches of a split that v1.0 has in its train split."""
    table = bigearthnet.crosswalk().select(["v2_id", "v1_split"]).to_pydict()
    first = dict(zip(*table.values(), strict=True))
    patches = make_patches().items()
    return sum(p.split == split and first[name] == "train" for name, p in patches)


@pytest.fixture(scope="module")
def trained(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Configuration → a run of three epochs on all of its bands, evaluated."""
    runs = {}
    for config in ("v2-s2", "v2-s1", "v2-s1s2"):
        runs[config] = tmp_path_factory.mktemp("runs") / config
        train(Settings(config=config, **SMALL), stores, runs[config], quiet=True)
        evaluate(runs[config], Data(stores), quiet=True)
    return runs


@pytest.mark.parametrize(
    ("config", "sensors", "bands", "groups"),
    [
        ("v2-s2", "all", S2, ("bands_10m", "bands_20m", "bands_60m")),
        ("v2-s1", "all", ("VV", "VH"), ("bands_s1",)),
        ("v2-s1s2", "s1", ("VV", "VH"), ("bands_s1",)),
        ("v2-s1s2", "s2", S2, ("bands_10m", "bands_20m", "bands_60m")),
        (
            "v2-s1s2",
            "all",
            (*S2, "VV", "VH"),
            ("bands_10m", "bands_20m", "bands_60m", "bands_s1"),
        ),
    ],
)
def test_bands_are_those_of_the_satellites(
    config: str, sensors: Any, bands: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """Sentinel-2 by wavelength, then VV and VH; the reference map is no band."""
    settings = Settings(config=config, sensors=sensors, labels="ben19")

    assert (bands, groups) == (settings.bands, settings.groups)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "clc43"}, "labels: .* expected --labels=ben19, got clc43"),
        ({"config": "v2-s1", "model": "s_cnn_rgb"}, "takes B04, B03, B02, which v2-s1"),
        ({"sensors": "s1"}, "takes bands of s1, which v2-s2 does not store"),
        ({"model": "resnet50", "sensors": "s2"}, "sensors: expected all for resnet50"),
        ({"statistics": "published"}, "statistics: .* Expected stored"),
        ({"train_split": "excluded"}, "expected some of .*excluded_train"),
    ],
)
def test_what_v2_does_not_have_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    """One clear error says what the release has in its place."""
    with pytest.raises(OptionError, match=message):
        Settings(**{"config": "v2-s2", "labels": "ben19", **changes})


def test_backscatter_is_scaled_as_it_is_stored(stores: Path) -> None:
    """(dB - mean) / std of the train split in float32, VV and VH in the order asked."""
    store = open_random_access(stores, "v2-s1s2")
    groups = Settings(config="v2-s1s2", labels="ben19").band_groups
    reader = open_reader("train", stores, config="v2-s1s2")
    rows = np.arange(len(reader))
    batch = reader.gather(rows, [group.name for group in groups])
    for bands in (("VV", "VH"), ("VH", "B04", "VV")):
        statistics = choose_statistics("stored", bands, store.statistics)
        inputs = make_inputs(groups)
        images = standardise(inputs, groups, bands, statistics, "bicubic")
        found = keras.Model(inputs, images)(batch).numpy()

        for channel, values in enumerate(reader.gather(rows, bands).values()):
            exact = values.astype(float)
            expected = (exact - exact.mean()) / exact.std()
            np.testing.assert_allclose(found[..., channel], expected, 0, 1e-4)
    assert "(value - mean) / std" == describe_scaling(groups)


def test_backscatter_is_kept_in_memory_as_it_is(stores: Path, tmp_path: Path) -> None:
    """Patches kept on a device train the same weights as those of the store."""
    settings = Settings(config="v2-s1", **{**SMALL, "epochs": 1})
    weights = []
    places: tuple[Place, ...] = ("none", "device")
    for place in places:
        train(settings, stores, tmp_path / place, cache=place, quiet=True)
        weights.append((tmp_path / place / TRAINING).read_text(encoding="utf-8"))

    digests = [json.loads(text)["weights_sha256"] for text in weights]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("sensors", ["s2", "s1", "s1s2"])
def test_every_flagfile_of_v2_trains(
    sensors: str, stores: Path, tmp_path: Path
) -> None:
    """An epoch of a run that comes with the package, in small batches."""
    chosen = parse_flagfile(find_run(f"s_cnn_all_v2_{sensors}"))
    small = {"epochs": 1, "batch_size": 2, "warmup_steps": 0, "deterministic": False}
    train(dataclasses.replace(chosen, **small), stores, tmp_path, quiet=True)

    (epoch,) = json.loads((tmp_path / TRAINING).read_text(encoding="utf-8"))["epochs"]
    assert np.isfinite(epoch["validation_loss"])


@pytest.mark.parametrize("sensors", ["all", "s1"])
def test_a_pair_trains_the_weights_of_the_store_of_both(
    sensors: Any, stores: Path, tmp_path: Path
) -> None:
    """Two Arrow stores of the same patches give the bits of the TFRecord store."""
    settings = Settings(config="v2-s1s2", **{**SMALL, "sensors": sensors, "epochs": 1})
    shutil.copytree(stores / "arrow-v2", tmp_path / "pair" / "arrow-v2")
    found = []
    for place in (stores / "bigearthnet/v2-s1s2/1.0.0", tmp_path / "pair"):
        run = tmp_path / f"{place.name}_run"
        train(settings, place, run, quiet=True)
        results = evaluate(run, Data(place), quiet=True)
        training = json.loads((run / TRAINING).read_text(encoding="utf-8"))
        data = json.loads((run / SETTINGS).read_text(encoding="utf-8"))["data"]
        scores = results[0].scores.probability
        found.append((training["weights_sha256"], data, scores.tobytes()))

    assert found[0] == found[1]


def test_what_is_no_pair_to_train_on_is_refused(stores: Path, tmp_path: Path) -> None:
    """Half a pair, Parquet alone, and other patches are one error with the way out."""
    settings = Settings(config="v2-s1s2", **SMALL)
    shutil.copytree(stores / "huggingface-v2", tmp_path / "huggingface-v2")
    with pytest.raises(OptionError, match=r"parquet cannot.*=v2-s2 .* && .*=v2-s1 "):
        train(settings, tmp_path, tmp_path / "run", quiet=True)
    shutil.rmtree(tmp_path / "huggingface-v2")
    pair = shutil.copytree(stores / "arrow-v2", tmp_path / "arrow-v2")
    (pair / "s1").rename(tmp_path / "aside")
    with pytest.raises(StoreError, match=r"v2-s2 in arrow\. Build what is miss"):
        train(settings, tmp_path, tmp_path / "run", quiet=True)
    (tmp_path / "aside").rename(pair / "s1")
    manifest = json.loads((pair / "s1/manifest.json").read_text(encoding="utf-8"))
    manifest["splits"]["train"]["ids_sha256"] = "0" * 64
    (pair / "s1/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(StoreError, match="are no pair: in split train"):
        train(settings, tmp_path, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_runs_of_either_satellite_and_both_are_compared(
    stores: Path, trained: dict[str, Path], tmp_path: Path
) -> None:
    """One table has all three, and what is published of others' models, as that."""
    compare([*trained.values()], tmp_path / "out", data_dir=stores, num_examples=2)

    page = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "## v2.0, official split: test" in page
    assert "| 0.7033 | 0.8607 | 0.6442 | 0.7666 | published, other model |" in page
    for satellites in ("S1", "S2", "S1 and S2"):
        assert f"| S-CNN-All ({satellites}) | " in page
    assert "Table 4" not in page
    assert 2 == len([*(tmp_path / "out" / "pictures").glob("S2*.png")])


@pytest.mark.slow
def test_releases_are_never_in_one_table(
    all_stores: Path,
    make_run: MakeRun,
    trained: dict[str, Path],
    tmp_path: Path,
) -> None:
    """Each has a section of its own; what is published of one stands there alone."""
    first = make_run("first", model="s_cnn_rgb", labels="ben19")
    evaluate(first, Data(all_stores), quiet=True)
    compare([trained["v2-s2"], first], tmp_path / "out", num_examples=0)

    page = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    one, other = page.split("## v2.0, official split")
    assert "## v1.0, official split" in one
    assert "S-CNN-All" not in one
    assert "S-CNN-RGB" not in other
    assert "published, other model" not in one


def test_patches_seen_under_the_other_release_make_no_result(
    stores: Path, make_run: MakeRun, tmp_path: Path
) -> None:
    """Test patches of v2.0 that are train patches of v1.0 are counted, and said."""
    run = make_run("first", model="s_cnn_rgb", labels="ben19")
    (result,) = evaluate(run, Data(stores, config="v2-s2"), quiet=True)
    count = count_train_patches_of_v1("test")
    remark = f"not a result: {count} of these patches seen in training"

    folder = evaluation_folder(run, "test", config="v2-s2")
    subject = read_results(folder).subject
    assert remark in subject.remarks
    assert subject.remarks == result.subject.remarks
    assert ("s2", "v2-s2", "v2.0") == (
        subject.train_config,
        subject.config,
        subject.release,
    )
    assert f"!! {remark}" in format_results([result])
    assert result.tuned is None
    compare([run], tmp_path / "out", config="v2-s2", num_examples=0)
    page = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert remark in page
    with pytest.raises(ResultError, match=r"evaluate --workdir=.* --config=v2-s1"):
        compare([run], tmp_path / "none", config="v2-s1")


@pytest.mark.slow
def test_fine_tuning_counts_what_the_weights_had_seen(
    stores: Path, make_run: MakeRun, tmp_path: Path
) -> None:
    """Weights of v1.0, directly or by an export, bring their split with them."""
    options = {"labels": "ben19", "train_split": "test"}
    first = make_run("first", model="s_cnn_rgb", **options)
    export(first, tmp_path / "exported")
    changes = {**SMALL, "epochs": 1}
    settings = Settings(model="s_cnn_rgb", config="v2-s2", **changes)
    for number, source in enumerate((first, tmp_path / "exported")):
        run = tmp_path / f"tuned_{number}"
        train(settings, stores, run, init_from=source, quiet=True)
        (result,) = evaluate(run, Data(stores), tune=False, quiet=True)

        assert count_train_patches_of_v1("test") == result.subject.seen_elsewhere
        assert "fine-tuned" == result.subject.weights_source
        assert "train" == result.subject.train_split


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        (
            {"model": "s_cnn_rgb"},
            "v2-s2",
            "labels: .* expected --labels=ben19, got clc43",
        ),
        ({"model": "s_cnn_rgb", "labels": "ben19"}, "v2-s1", "which v2-s1 does not st"),
        ({"model": "s_cnn_rgb", "labels": "ben19"}, "v3", "unknown config"),
    ],
)
def test_what_a_model_cannot_take_is_refused(
    stores: Path, make_run: MakeRun, changes: dict[str, Any], config: str, message: str
) -> None:
    """Other bands or classes than the model's are one clear error."""
    run = make_run("first", **changes)

    with pytest.raises(OptionError, match=message):
        evaluate(run, Data(stores, config=config), quiet=True)


def test_folders_of_v2_give_what_its_stores_give(
    stores: Path, extracted: Path, make_run: MakeRun
) -> None:
    """Products, or all of them: the same labels and probabilities as evaluated."""
    run = make_run("run", data_dir=stores, config="v2-s2", labels="ben19")
    scores = evaluate(run, Data(stores), split="train+test", quiet=True)[0].scores
    folders, others = find_patch_folders(extracted / "BigEarthNet-S2")
    in_products = [find_patch_folders(p) for p in {f.parent for f in folders}]
    found = {p.patch_id: p for p, _ in predict(load_trained_model(run), folders)}

    assert [] == others
    assert NUM_PATCHES == len(found) == sum(len(each) for each, _ in in_products)
    for number, patch_id in enumerate(scores.patch_ids):
        prediction = found[patch_id]
        np.testing.assert_array_equal(scores.y_true[number], prediction.is_true)
        np.testing.assert_allclose(
            scores.probability[number], prediction.probability, atol=1e-6
        )


def test_labels_of_v2_are_unknown_in_finer_classes(
    extracted: Path, make_run: MakeRun
) -> None:
    """A model of 43 classes predicts patches of v2.0, whose labels are of 19."""
    run = make_run("first", model="s_cnn_rgb")
    folders, _ = find_patch_folders(extracted / "BigEarthNet-S2")
    ((prediction, patch),) = predict(load_trained_model(run), folders[:1])

    assert prediction.is_true is None
    assert patch.labels


@pytest.mark.slow
def test_a_model_of_both_satellites_is_exported(
    trained: dict[str, Path], tmp_path: Path
) -> None:
    """What is exported takes uint16 and float32, and its card says which is what."""
    assert export(trained["v2-s1s2"], tmp_path / "exported") < 1e-4

    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "| `bands_s1`, float32 | VV VH | (batch, 2, 120, 120) | backscatter" in card
    count = len([patch for patch in make_patches().values() if patch.split == "train"])
    assert f"{count} patches of v2.0, official split `train`" in card
    whole = load_trained_model(trained["v2-s1s2"])
    assert "float32" == whole.model.input["bands_s1"].dtype
    with pytest.raises(OptionError, match="the model takes VV, VH, and folders of"):
        next(predict(whole, []))
