from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from baselines import feature_cache, frozen_features
from baselines.errors import CacheError, WeightsError
from baselines.input_pipeline import Order
from baselines.memory_data import MemoryData
from baselines.models import build_feature_model, build_trained_part
from baselines.settings import Settings
from baselines.steps import compute_outputs
from baselines.stored_rows import StoreData, open_random_access
from baselines.training import Outputs, Trainer

Array = npt.NDArray[Any]
Load = Callable[..., MemoryData]

SPLITS = "train+test+excluded"
SETTINGS = Settings(
    model="inception_v2",
    weights="random",
    inception_size=32,
    train_split=SPLITS,
    validation_split="none",
    labels="ben19",
    seed=3,
)


HALF = dataclasses.replace(SETTINGS, features_dtype="float16")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six patches take three blocks of two batches."""
    monkeypatch.setattr(feature_cache, "BLOCK_PATCHES", 2)
    monkeypatch.setattr(frozen_features, "_BATCH_SIZE", 1)


def build_fake(settings: Settings, _: Path | None) -> Callable[..., tf.Tensor]:
    """What stands for the network where only the cache matters; costs no seconds."""

    def forward(inputs: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        assert not training
        pixels = tf.cast(inputs["bands_10m"][:, 2, :32, :32], tf.float32)
        scaled = tf.reshape(pixels, (-1, 1024)) / settings.rgb_max
        return scaled + settings.seed + 1 / settings.inception_size

    return forward


def open_data(
    settings: Settings, data_dir: Path, split: str | None = None
) -> StoreData:
    """Patches of a store; of what the settings say to train on without a split."""
    return StoreData(open_random_access(data_dir, "s2"), settings, split)


@pytest.fixture
def load_real(all_stores: Path, tmp_path: Path) -> Load:
    """Loads features of the six real patches, from or into a folder of the test."""

    def load_features(settings: Settings = SETTINGS, **options: Any) -> MemoryData:
        data_dir = options.pop("data_dir", all_stores)
        data = open_data(settings, data_dir, options.pop("split", None))
        values = {
            "weights_path": None,
            "cache_dir": tmp_path / "cache",
            "strategy": tf.distribute.get_strategy(),
            "quiet": True,
        }
        return frozen_features.load_or_make_features(
            settings, data, **(values | options)
        )

    return load_features


@pytest.fixture
def load(load_real: Load, monkeypatch: pytest.MonkeyPatch) -> Load:
    """The same, with another network in place of Inception-v2."""
    monkeypatch.setattr(frozen_features, "_build_model", build_fake)
    return load_real


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """First row of each block that was computed."""
    starts: list[int] = []
    write = feature_cache.FeatureFile.write

    def note(self: feature_cache.FeatureFile, rows: slice, values: Array) -> None:
        write(self, rows, values)
        starts.append(rows.start)

    monkeypatch.setattr(feature_cache.FeatureFile, "write", note)
    return starts


def values(data: MemoryData) -> Array:
    """Features in stored order, shape (patch, feature)."""
    batches = data.batches(Order(4))
    return np.concatenate([inputs.numpy() for inputs, _ in batches])


def labels(data: Any) -> Array:
    """Labels in stored order, shape (patch, class)."""
    return np.concatenate([y.numpy() for _, y in data.batches(Order(4))])


def find_folders(cache: Path) -> list[Path]:
    """The folders that hold features."""
    return sorted(done.parent for done in cache.glob("*/*/done.json"))


def end_after_three(*arguments: Any) -> Iterator[Any]:
    """A computation that is interrupted in its second shard."""
    yield from itertools.islice(compute_outputs(*arguments), 3)
    raise KeyboardInterrupt


def test_features_are_those_of_the_model(load_real: Load, all_stores: Path) -> None:
    """Each patch has the features that the whole model gives it, and its own labels."""
    data = load_real()

    stored = open_data(SETTINGS, all_stores, SPLITS)
    model = build_feature_model(SETTINGS, None)
    inputs, expected = next(iter(stored.batches(Order(6))))
    expected_values = model(inputs).numpy()
    np.testing.assert_allclose(expected_values, values(data), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(values(data), values(load_real()))
    np.testing.assert_array_equal(expected, labels(data))
    assert stored.patch_ids == data.patch_ids
    assert (stored.num_patches, stored.ids_sha256) == (6, data.ids_sha256)
    assert np.ptp(values(data), axis=0).max() > 0.01, "patches differ"


def test_features_are_computed_once(
    load: Load, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run builds no network, and has the same features to the last bit."""
    first = load()
    assert [0, 2, 4] == computed
    monkeypatch.delattr(frozen_features, "_build_model")

    again = load()

    np.testing.assert_array_equal(values(first), values(again))
    np.testing.assert_array_equal(labels(first), labels(again))


def test_a_run_that_ended_goes_on(
    load: Load, computed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a run has finished is kept; the next one computes the rest, the same."""
    expected = values(load(cache_dir=tmp_path / "whole"))
    computed.clear()
    with monkeypatch.context() as context:
        context.setattr(frozen_features, "compute_outputs", end_after_three)
        with pytest.raises(KeyboardInterrupt):
            load()
    assert [0] == computed

    again = values(load())

    assert [0, 2, 4] == computed
    np.testing.assert_array_equal(expected, again)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("flipped", [2]), ("other", [2]), ("cut", [0, 2, 4]), ("empty", [0, 2, 4])],
)
def test_what_is_damaged_is_computed_again(
    kind: str,
    expected: list[int],
    load: Load,
    computed: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A block that is not what was written is reported, and made as it was."""
    before = values(load())
    (folder,) = find_folders(tmp_path / "cache")
    file, nbytes = folder / "features.npy", 2 * 1024 * 4
    content = file.read_bytes()
    start = len(content) - 2 * nbytes
    block, rest = content[start : start + nbytes], content[start + nbytes :]
    damaged = {
        "flipped": content[:start] + bytes([block[0] ^ 1]) + block[1:] + rest,
        "other": content[:start] + rest + rest,
        "cut": content[:-5],
        "empty": b"",
    }
    file.write_bytes(damaged[kind])
    computed.clear()
    capsys.readouterr()

    again = values(load())

    assert expected == computed
    assert f"{file}, patches 2 to 3: damaged" in capsys.readouterr().err
    assert content == file.read_bytes()
    np.testing.assert_array_equal(before, again)


@pytest.mark.parametrize("content", ["", "[]", "{\n", '{"0": 7}'])
def test_a_damaged_list_is_made_again(
    content: str, load: Load, computed: list[int], tmp_path: Path
) -> None:
    """Blocks that no checksum vouches for are computed again."""
    expected = values(load())
    (folder,) = find_folders(tmp_path / "cache")
    before = (folder / "done.json").read_bytes()
    (folder / "done.json").write_text(content)
    computed.clear()

    again = values(load())

    assert [0, 2, 4] == computed
    assert before == (folder / "done.json").read_bytes()
    np.testing.assert_array_equal(expected, again)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"rgb_max": 3000},
        {"inception_size": 33},
        {"train_split": "train"},
        {"train_split": "test+train+excluded"},
        {"fraction": 0.5},
    ],
)
def test_what_decides_a_feature_decides_the_folder(
    changes: dict[str, Any], load: Load, computed: list[int], tmp_path: Path
) -> None:
    """Other weights, preprocessing or patches, or another order, are another cache."""
    expected = values(load())
    computed.clear()

    other = values(load(dataclasses.replace(SETTINGS, **changes)))

    assert computed
    assert 2 == len(find_folders(tmp_path / "cache"))
    assert other.shape != expected.shape or not np.array_equal(expected, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": "clc43"},
        {"shuffle_labels": True},
        {"learning_rate": 0.1, "fc_units": 7, "epochs": 3},
    ],
)
def test_what_decides_no_feature_shares_the_folder(
    changes: dict[str, Any], load: Load, computed: list[int], all_stores: Path
) -> None:
    """Other labels or another training use the same features, with their own labels."""
    expected = values(load())
    computed.clear()
    settings = dataclasses.replace(SETTINGS, **changes)

    other = load(settings)

    assert [] == computed
    np.testing.assert_array_equal(expected, values(other))
    stored = open_data(settings, all_stores)
    np.testing.assert_array_equal(labels(stored), labels(other))


def test_a_split_has_all_of_its_patches(load: Load, all_stores: Path) -> None:
    """A split that is named is neither cut to a fraction, nor are its labels mixed."""
    settings = dataclasses.replace(SETTINGS, fraction=0.5, shuffle_labels=True)

    data = load(settings, split=SPLITS)

    stored = open_data(settings, all_stores, SPLITS)
    assert stored.ids_sha256 == data.ids_sha256
    np.testing.assert_array_equal(labels(stored), labels(data))


def test_pixels_decide_the_folder(
    load: Load, computed: list[int], tmp_path: Path, all_stores: Path
) -> None:
    """A store of the same patches with other bytes is another cache."""
    load()
    computed.clear()
    shutil.copytree(all_stores, tmp_path / "data")
    manifest = next((tmp_path / "data" / "arrow").rglob("manifest.json"))
    content = json.loads(manifest.read_text())
    content["files"][0]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(content))

    load(data_dir=tmp_path / "data")

    assert 3 == len(computed)


def test_formats_give_the_same_features(
    load: Load, tmp_path: Path, all_stores: Path
) -> None:
    """From TFRecord come the features and labels that come from Arrow."""
    shutil.copytree(all_stores / "bigearthnet", tmp_path / "data" / "bigearthnet")

    arrow, records = load(), load(data_dir=tmp_path / "data")

    assert arrow.patch_ids == records.patch_ids
    np.testing.assert_array_equal(values(arrow), values(records))
    np.testing.assert_array_equal(labels(arrow), labels(records))


def test_half_precision_halves_the_space(load: Load, tmp_path: Path) -> None:
    """Kept as float16, features are rounded once: when computed and when loaded."""
    exact = values(load())

    first, again = (values(load(HALF)) for _ in range(2))

    np.testing.assert_array_equal(exact.astype(np.float16), first)
    np.testing.assert_array_equal(first, again)
    sizes = sorted(path.stat().st_size for path in tmp_path.rglob("features.npy"))
    assert [128 + 6 * 2 * 1024, 128 + 6 * 4 * 1024] == sizes


@pytest.mark.parametrize(
    ("dtype", "value"), [("float16", 1e5), ("float32", np.nan), ("float32", np.inf)]
)
def test_features_that_cannot_be_kept_are_refused(
    dtype: str,
    value: float,
    load: Load,
    computed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What overflows, or is no number, is never written."""

    def build(*_: object) -> Callable[..., tf.Tensor]:
        return lambda inputs, training: tf.fill((1, 1024), np.float32(value))

    monkeypatch.setattr(frozen_features, "_build_model", build)

    with pytest.raises(CacheError, match=f"patches 0 to 1 are too large for {dtype}"):
        load(dataclasses.replace(SETTINGS, features_dtype=dtype))

    assert [] == computed


def test_a_cache_of_other_weights_is_refused(load: Load, tmp_path: Path) -> None:
    """The cache of one network can be given itself; that of another is an error."""
    expected = values(load())
    (folder,) = (tmp_path / "cache").iterdir()

    np.testing.assert_array_equal(expected, values(load(cache_dir=folder)))

    other = dataclasses.replace(SETTINGS, seed=4)
    with pytest.raises(CacheError, match=r"features of other weights: .*4.*, got .*3"):
        load(other, cache_dir=folder)
    assert 1 == len(find_folders(tmp_path / "cache"))


@pytest.mark.parametrize("content", ["", "[1]", "{}"])
def test_a_key_that_cannot_be_read_is_refused(
    content: str, load: Load, tmp_path: Path
) -> None:
    """Nobody knows what a cache without a key holds."""
    load()
    (folder,) = (tmp_path / "cache").iterdir()
    (folder / "key.json").write_text(content)

    with pytest.raises(CacheError, match=str(folder)):
        load()


def test_the_key_names_weights_and_versions(load: Load, tmp_path: Path) -> None:
    """A cache says what it is of."""
    load()
    (folder,) = (tmp_path / "cache").iterdir()
    (patches,) = (path for path in folder.iterdir() if path.is_dir())

    network = json.loads((folder / "key.json").read_text())
    split = json.loads((patches / "key.json").read_text())

    assert {"source": "random", "seed": 3} == network["weights"]
    assert tf.__version__ == network["versions"]["tensorflow"]
    assert network["tf32"] is False
    assert (SPLITS, 6) == (split["split"], split["num_patches"])


def test_two_runs_do_not_compute_the_same(
    load: Load,
    computed: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run waits for another one that fills the folder, and reads what that wrote."""
    waits = threading.Event()

    def sleep(seconds: float) -> None:
        """Tells that the run waits; what it prints could be lost while it is read."""
        waits.set()
        time.sleep(seconds)

    monkeypatch.setattr(feature_cache, "time", SimpleNamespace(sleep=sleep))
    expected = values(load())
    (folder,) = find_folders(tmp_path / "cache")
    content = (folder / "features.npy").read_bytes()
    (folder / "features.npy").unlink()
    computed.clear()
    file = feature_cache.FeatureFile(folder, 6, 1024, "float32")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with file.lock():
            waiting = pool.submit(load)
            assert waits.wait(timeout=60)
            assert not waiting.done()
            (folder / "features.npy").write_bytes(content)

        np.testing.assert_array_equal(expected, values(waiting.result()))
    assert [] == computed
    assert "waiting for another run" in capsys.readouterr().err


def test_missing_weights_are_an_error(load: Load, tmp_path: Path) -> None:
    """Without the pretrained weights nothing is computed, nor left behind."""
    settings = dataclasses.replace(SETTINGS, weights="pretrained")

    with pytest.raises(WeightsError, match="fetch_weights"):
        load(settings)

    assert not (tmp_path / "cache").exists()


def test_a_head_trained_from_cached_features_is_the_same(
    load: Load, computed: list[int], tmp_path: Path
) -> None:
    """Features that were computed and features that were kept give equal weights."""
    settings = dataclasses.replace(SETTINGS, epochs=3, batch_size=4)

    def train(data: MemoryData, folder: str) -> list[Array]:
        trainer = Trainer(
            settings,
            lambda: build_trained_part(settings, {}),
            data,
            None,
            tf.distribute.get_strategy(),
        )
        trainer.run(Outputs(tmp_path / folder, tmp_path / f"{folder}_logs", quiet=True))
        return list(trainer.model.get_weights())

    first, again = train(load(settings), "first"), train(load(settings), "again")

    assert 3 == len(computed)
    for one, other in zip(first, again, strict=True):
        assert np.ptp(one), "weights were learnt"
        np.testing.assert_array_equal(one, other)
