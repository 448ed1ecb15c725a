from __future__ import annotations

import io
import json

import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BANDS, split
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.release.patch_index import PatchFacts, PatchIndex
from bigearthnet.schema import examples, rgb
from bigearthnet.schema.configs import get_config
from bigearthnet.source.patch import (
    Patch,
    RawPatch,
    band_file,
    decode_patch,
    metadata_file,
)

RGB_SCHEMA = get_config("s2-rgb", RELEASES).schema

S2_COLUMNS = get_config("s2", RELEASES).columns

S2_SCHEMA = get_config("s2", RELEASES).schema

Patches = dict[str, dict[str, bytes]]

# Codes that differ from each other, so that a swap shows.
FACTS = PatchFacts(1, 3, 7, True, False, "S1 name")
PATCH_ID = "S2B_MSIL2A_20180204T94161_57_38"


@pytest.fixture
def fake(fake_patches: Patches) -> Patch:
    """The second fake patch: label `Bare rock`, which has no BEN19 class."""
    patch_id, files = list(fake_patches.items())[1]
    return decode_patch(RawPatch(0, patch_id, files))


def test_an_example_has_the_features_of_its_schema(fake: Patch) -> None:
    """Either function makes exactly the features that its schema lists."""
    for schema in (S2_SCHEMA, RGB_SCHEMA):
        example = examples.get_make_example(schema)(fake, FACTS)

        assert [feature.name for feature in schema] == list(example)


def test_a_row_is_an_example_with_a_preview(fake: Patch) -> None:
    """The row of a table has what the example has, and its picture."""
    example = examples.make_s2_example(fake, FACTS)

    row = examples.get_make_example(S2_COLUMNS)(fake, FACTS)

    assert {feature.name for feature in S2_COLUMNS} == set(row)
    assert {"preview"} == set(row) - set(example)
    for name, value in example.items():
        assert np.array_equal(value, row[name])


def test_a_preview_is_a_jpeg_of_the_stretch(sample_patches: Patches) -> None:
    """The preview of a real patch is close to its stretched B04, B03, B02."""
    for patch_id, files in sample_patches.items():
        patch = decode_patch(RawPatch(0, patch_id, files))
        expected = rgb.to_rgb(patch.groups()["bands_10m"]).astype(int)

        preview = examples.make_s2_row(patch, FACTS)["preview"]

        assert isinstance(preview, bytes)
        assert preview.startswith(b"\xff\xd8\xff")
        difference = rgb.decode_image(preview) - expected
        assert (120, 120, 3) == difference.shape
        assert (np.abs(difference).mean(axis=(0, 1)) < 4).all()
        assert (np.abs(difference.mean(axis=(0, 1))) < 1).all()


@pytest.mark.parametrize("name", ["columns", "rgb"])
def test_pictures_need_pillow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow a schema with pictures is refused, with the way out."""
    monkeypatch.setattr(examples, "find_spec", lambda _: None)
    schema = {"columns": S2_COLUMNS, "rgb": RGB_SCHEMA}[name]

    with pytest.raises(OptionError, match="Pillow: install the extra"):
        examples.get_make_example(schema)

    assert examples.make_s2_example is examples.get_make_example(S2_SCHEMA)


def test_facts_stand_under_their_names(fake: Patch) -> None:
    """What the official lists say is stored feature by feature."""
    example = examples.make_s2_example(fake, FACTS)

    assert (7, 3) == (example["country"], example["season"])
    assert "S1 name" == example["s1_name"]
    assert example["contains_seasonal_snow"] is True
    assert example["contains_cloud_or_shadow"] is False


def test_a_real_example_is_its_files(
    sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """The example of a real patch says what its JSON and the official lists say."""
    files = sample_patches[PATCH_ID]
    raw = json.loads(files[metadata_file(PATCH_ID)])
    row = patch_index.find(PATCH_ID)
    assert row is not None

    example = examples.make_s2_example(
        decode_patch(RawPatch(row, PATCH_ID, files)), patch_index.facts(row)
    )
    expected = {
        "patch_id": PATCH_ID,
        "s1_name": "S1A_IW_GRDH_1SDV_20180204T043253_35VPK_57_38",
        "tile_source": raw["tile_source"],
        "acquisition_date": raw["acquisition_date"],
        "projection": raw["projection"],
        "epsg": 32635,
        **{f"coordinates/{key}": v for key, v in raw["coordinates"].items()},
        "country": 2,
        "season": 0,
        "contains_seasonal_snow": True,
        "contains_cloud_or_shadow": False,
    }

    assert expected == {name: example[name] for name in expected}


def test_labels_are_stored_in_four_ways(sample_patches: Patches) -> None:
    """Class ids and multi-hot vectors say the labels of the JSON, in 43 and 19."""
    for patch_id, files in sample_patches.items():
        names = json.loads(files[metadata_file(patch_id)])["labels"]
        patch = decode_patch(RawPatch(0, patch_id, files))
        example = examples.make_s2_example(patch, FACTS)
        ids = sorted(CLC43.labels.index(name) for name in names)
        ids_19 = example["labels_19"]

        assert tuple(ids) == example["labels"]
        assert ids == np.flatnonzero(example["multi_hot_43"]).tolist()
        assert list(ids_19) == np.flatnonzero(example["multi_hot_19"]).tolist()
        assert 0 < len(ids_19) <= len(ids)


def test_labels_without_a_coarse_class_are_dropped(fake: Patch) -> None:
    """A patch of `Bare rock` alone has no class of the 19, and an all-zero vector."""
    example = examples.make_s2_example(fake, FACTS)

    assert CLC43.encode(["Bare rock"]) == example["labels"]
    assert () == example["labels_19"]
    assert [0] * 19 == np.asarray(example["multi_hot_19"]).tolist()


def test_merged_labels_come_once(sample_patches: Patches) -> None:
    """Two classes that become one of the 19 are stored as that one."""
    two = ["Inland marshes", "Peatbogs"]
    content = dict(sample_patches[PATCH_ID])
    name = metadata_file(PATCH_ID)
    content[name] = json.dumps(json.loads(content[name]) | {"labels": two}).encode()

    example = examples.make_s2_example(
        decode_patch(RawPatch(0, PATCH_ID, content)), FACTS
    )

    assert BEN19.encode(["Inland wetlands"]) == example["labels_19"]


def test_pixels_are_those_of_the_files(sample_patches: Patches) -> None:
    """Every band of an example equals what rasterio reads from its file."""
    from rasterio.io import MemoryFile

    files = sample_patches[PATCH_ID]
    patch = decode_patch(RawPatch(0, PATCH_ID, files))

    bands = split(examples.make_s2_example(patch, FACTS))

    assert [band.name for band in BANDS] == list(bands)
    for name, pixels in bands.items():
        tiff = files[band_file(PATCH_ID, name)]
        with MemoryFile(tiff) as memory, memory.open() as dataset:
            assert np.array_equal(dataset.read(1), pixels)


def test_the_picture_is_a_png_of_the_stretch(fake: Patch) -> None:
    """The image of an RGB example is the stretched B04, B03, B02 without loss."""
    from PIL import Image

    example = examples.make_rgb_example(fake, FACTS)

    assert isinstance(example["image"], bytes)
    with Image.open(io.BytesIO(example["image"])) as image:
        pixels = np.asarray(image)
    assert np.array_equal(rgb.to_rgb(fake.groups()["bands_10m"]), pixels)


def test_nest_makes_groups_of_slashes() -> None:
    """`a/b` becomes field `b` of the group `a`; other names stay."""
    nested = examples.nest({"a/b": 1, "c": 2, "a/d": 3})

    assert {"a": {"b": 1, "d": 3}, "c": 2} == nested


def test_an_unknown_schema_is_refused() -> None:
    """There is no function for a schema that is not one of ours."""
    with pytest.raises(KeyError, match="patch_id"):
        examples.get_make_example(S2_SCHEMA[3:4])
