"""Reference maps are targets of segmentation, in 43 or 19 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.loading.targets import choose_target
from bigearthnet.release import V2, Release
from bigearthnet.release.nomenclature import (
    BEN19,
    BEN19_ALPHABETICAL,
    CLC43,
    NO_CLASS,
    NOMENCLATURES,
    map_lookup,
    remap,
)
from bigearthnet.schema.configs import get_config
from tests.v2.made import make_patches

MAP = "reference_map"


def load_maps(
    split: str, stores: Path, release: Release, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Images of one band, and maps, of a split."""
    loaded = bigearthnet.load(
        split, stores, bands="B02", target=MAP, release=release, **options
    )
    ((images, maps),) = loaded.as_numpy_iterator()
    return images, maps


@pytest.mark.parametrize("config", ["v2-s2", "v2-s1s2"])
@pytest.mark.parametrize("store", ["tfrecord", "arrow", "parquet"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_maps_make_the_labels_of_the_table(
    config: str, store: str, split: str, stores: Path, release: Release
) -> None:
    """The classes of each 19-class map are the labels; all pixels are looked up."""
    options = {"config": config, "store": store}
    _, maps = load_maps(split, stores, release, **options)
    _, fine = load_maps(split, stores, release, labels="clc43", **options)
    labels = bigearthnet.load(split, stores, release=release, **options)
    ((_, vectors),) = labels.as_numpy_iterator()
    reader = bigearthnet.open_reader(split, stores, release=release, **options)
    batch = reader.gather(range(len(reader)), ["patch_id", MAP])
    becomes = [NO_CLASS if new is None else new for new in remap(CLC43, BEN19)]

    assert (len(reader), 120, 120) == maps.shape == fine.shape
    assert np.uint8 == maps.dtype == fine.dtype
    for row, stored in enumerate(batch[MAP][:, 0]):
        is_class = stored < len(CLC43)
        np.testing.assert_array_equal(np.where(is_class, stored, NO_CLASS), fine[row])
        expected = [becomes[i] if i < len(CLC43) else NO_CLASS for i in stored.flat]
        assert expected == maps[row].ravel().tolist()
        found = sorted(set(expected) - {NO_CLASS})
        assert found == np.flatnonzero(vectors[row]).tolist()
        assert found == list(make_patches()[batch["patch_id"][row]].labels)


def test_maps_take_every_order_of_classes(stores: Path, release: Release) -> None:
    """The alphabetical order of reBEN's models names the same classes."""
    _, maps = load_maps("test", stores, release, config="v2-s2")
    _, others = load_maps(
        "test", stores, release, config="v2-s2", labels="ben19_alphabetical"
    )
    for here, there in zip(maps.flat, others.flat, strict=True):
        names = (
            None if number == NO_CLASS else order.labels[number]
            for number, order in ((here, BEN19), (there, BEN19_ALPHABETICAL))
        )
        assert 1 == len(set(names))


@pytest.mark.parametrize("target", NOMENCLATURES.values(), ids=NOMENCLATURES)
def test_a_lookup_has_what_classes_become(target: Any) -> None:
    """Each class id becomes what the map of nomenclatures says, others nothing."""
    lookup = map_lookup(target)

    assert (256,) == lookup.shape
    for number, new in enumerate(remap(CLC43, target)):
        assert (NO_CLASS if new is None else new) == lookup[number]
    assert {NO_CLASS} == set(lookup[len(CLC43) :].tolist())


def test_numpy_and_tensorflow_make_the_same(stores: Path, release: Release) -> None:
    """Arrays, as PyTorch gets them, are those of tensors."""
    config = get_config("v2-s2", [release])
    _, maps = load_maps("train", stores, release, config="v2-s2")
    reader = bigearthnet.open_reader("train", stores, config="v2-s2", release=release)
    wanted = choose_target(config, MAP, None)

    np.testing.assert_array_equal(
        maps, wanted.make_arrays(reader.gather(range(len(reader)), MAP))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"config": "v2-s2", "labels": "clc43"},
            "labels='clc43' of release v2.0: no map from ben19, expected ben19, "
            "ben19_alphabetical.*"
            "target='reference_map' has it",
        ),
        (
            {"config": "v2-s1", "target": MAP},
            "expected labels of config v2-s1, got 'reference_map'.*v2-s2, v2-s1s2",
        ),
        ({"config": "s2", "target": MAP}, "expected labels of config s2, got 'ref"),
        ({"config": "v2-s2", "target": "map"}, "expected labels or reference_map of"),
        ({"config": "v2-s2", "target": None}, "expected labels or reference_map of"),
    ],
)
def test_targets_that_there_are_not_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """The error says what there is, before any store is opened."""
    with pytest.raises(OptionError, match=message):
        bigearthnet.load("train", tmp_path, **options)


def test_levels_of_maps_are_known() -> None:
    """Maps can be in the levels of CORINE, too, which labels of v2.0 cannot."""
    config = get_config("v2-s2", [V2])

    assert "clc_level1" == choose_target(config, MAP, "clc_level1").nomenclature.name
    with pytest.raises(OptionError, match="target='reference_map' has it"):
        choose_target(config, "labels", "clc_level1")
