from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigearthnet.config import get_config
from bigearthnet.examples import Example
from bigearthnet.features import RGB_SCHEMA, S2_SCHEMA
from bigearthnet.loading.tfrecord import parse, read_batches
from bigearthnet.stores import open_store

# A plain tensor of every type that is stored.
NAMES = ("bands_10m", "bands_20m", "bands_60m", "multi_hot_43", "multi_hot_19")
FEATURES = [feature for feature in S2_SCHEMA if feature.name in NAMES]


def test_parse_inverts_the_encoder(fake_rows: list[Example]) -> None:
    """A batch of serialized examples becomes the arrays that were encoded."""
    from bigearthnet.encoding.tfrecord import make_encoder

    encode = make_encoder(S2_SCHEMA)
    found = parse([encode(row) for row in fake_rows], FEATURES)

    assert set(NAMES) == set(found)
    for feature in FEATURES:
        expected = np.stack([row[feature.name] for row in fake_rows])
        assert feature.dtype == found[feature.name].dtype.name
        np.testing.assert_array_equal(expected, found[feature.name])


@pytest.mark.parametrize("name", ["multi_hot_19", "bands_60m"])
def test_only_the_features_asked_for_are_parsed(name: str, many_dir: Path) -> None:
    """The dict has no other feature."""
    store = open_store(many_dir, get_config("s2"), "tfrecord")
    features = [feature for feature in FEATURES if feature.name == name]
    dataset = read_batches(store.shards("train"), features, 4, shuffle=False, seed=None)

    assert [name] == list(dataset.element_spec)
    assert 30 == sum(len(batch[name]) for batch in dataset)


def test_pictures_are_decoded(many_dir: Path) -> None:
    """Pictures are PNG files of other values in each patch, read one by one."""
    store = open_store(many_dir, get_config("s2-rgb"), "tfrecord")
    features = [f for f in RGB_SCHEMA if f.name in ("image", "multi_hot_43")]
    dataset = read_batches(
        store.shards("validation"), features, 2, shuffle=False, seed=None
    )
    batches = list(dataset.as_numpy_iterator())

    assert [(2, 120, 120, 3), (1, 120, 120, 3)] == [b["image"].shape for b in batches]
    assert [(2, 43), (1, 43)] == [batch["multi_hot_43"].shape for batch in batches]
    assert np.uint8 == batches[0]["image"].dtype


def test_a_damaged_record_is_an_error(many_dir: Path, tmp_path: Path) -> None:
    """A record with a changed byte is not handed out: TensorFlow checks its sum."""
    import tensorflow as tf

    store = open_store(many_dir, get_config("s2"), "tfrecord")
    content = bytearray(store.shards("train")[0].read_bytes())
    content[1_000] ^= 1
    (tmp_path / "shard").write_bytes(content)
    dataset = read_batches([tmp_path / "shard"], FEATURES, 4, shuffle=False, seed=None)

    with pytest.raises(tf.errors.DataLossError):
        list(dataset)
