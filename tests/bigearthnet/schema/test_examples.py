from __future__ import annotations

import io
import json

import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.bands import BANDS, split
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema import examples, rgb
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example, PatchContent
from bigearthnet.source.patch import RawPatch, decode_patch

ARCHIVE = V1.archive("s2")
S2 = get_config("s2", RELEASES)
RGB = get_config("s2-rgb", RELEASES)

Patches = dict[str, dict[str, bytes]]

# Codes that differ from each other, so that a swap shows.
FACTS = {
    "country": 7,
    "season": 3,
    "contains_seasonal_snow": True,
    "contains_cloud_or_shadow": False,
    "s1_name": "S1 name",
}
PATCH_ID = "S2B_MSIL2A_20180204T94161_57_38"


def make_content(patch_id: str, files: dict[str, bytes]) -> PatchContent:
    """All that is known of a patch, with FACTS for those of the table."""
    patch = decode_patch(RawPatch(0, patch_id, files), ARCHIVE, V1.nomenclature)
    fields, groups = {**FACTS, **patch.fields}, patch.groups(ARCHIVE)
    return PatchContent(patch_id, patch.labels, fields, groups)


def make_example(content: PatchContent) -> Example:
    """The example that stores bands."""
    return examples.get_make_example(S2, S2.schema)(content)


def red_green_blue(content: PatchContent) -> list[np.ndarray]:
    """The bands B04, B03 and B02 of a patch."""
    bands = split(content.groups)
    return [bands["B04"], bands["B03"], bands["B02"]]


@pytest.fixture
def fake(fake_patches: Patches) -> PatchContent:
    """The second fake patch: label `Bare rock`, which has no BEN19 class."""
    return make_content(*list(fake_patches.items())[1])


def test_an_example_has_the_features_of_its_schema(fake: PatchContent) -> None:
    """Each configuration makes exactly the features that its schema lists."""
    for config in (S2, RGB):
        example = examples.get_make_example(config, config.schema)(fake)

        assert {feature.name for feature in config.schema} == set(example)


def test_a_row_is_an_example_with_a_preview(fake: PatchContent) -> None:
    """The row of a table has what the example has, and its picture."""
    example = make_example(fake)

    row = examples.get_make_example(S2, S2.columns)(fake)

    assert {feature.name for feature in S2.columns} == set(row)
    assert {"preview"} == set(row) - set(example)
    for name, value in example.items():
        assert np.array_equal(value, row[name])


def test_a_preview_is_a_jpeg_of_the_stretch(sample_patches: Patches) -> None:
    """The preview of a real patch is close to its stretched B04, B03, B02."""
    for patch_id, files in sample_patches.items():
        content = make_content(patch_id, files)
        expected = rgb.to_rgb(red_green_blue(content)).astype(int)

        preview = examples.get_make_example(S2, S2.columns)(content)["preview"]

        assert isinstance(preview, bytes)
        assert preview.startswith(b"\xff\xd8\xff")
        difference = rgb.decode_image(preview) - expected
        assert (120, 120, 3) == difference.shape
        assert (np.abs(difference).mean(axis=(0, 1)) < 4).all()
        assert (np.abs(difference.mean(axis=(0, 1))) < 1).all()


@pytest.mark.parametrize("name", ["columns", "rgb"])
def test_pictures_need_pillow(
    name: str, fake: PatchContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Pillow a schema with pictures is refused, with the way out."""
    monkeypatch.setattr(examples, "find_spec", lambda _: None)
    config, schema = {"columns": (S2, S2.columns), "rgb": (RGB, RGB.schema)}[name]

    with pytest.raises(OptionError, match="Pillow: install the extra"):
        examples.get_make_example(config, schema)

    assert fake.patch_id == make_example(fake)["patch_id"]


def test_facts_stand_under_their_names(fake: PatchContent) -> None:
    """What the official lists say is stored feature by feature."""
    example = make_example(fake)

    assert (7, 3) == (example["country"], example["season"])
    assert "S1 name" == example["s1_name"]
    assert example["contains_seasonal_snow"] is True
    assert example["contains_cloud_or_shadow"] is False


def test_a_real_example_is_its_files(
    sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """The example of a real patch says what its JSON and the official lists say."""
    files = sample_patches[PATCH_ID]
    raw = json.loads(files[f"{PATCH_ID}_labels_metadata.json"])
    row = patch_index.find(PATCH_ID)
    assert row is not None

    patch = decode_patch(RawPatch(row, PATCH_ID, files), ARCHIVE, V1.nomenclature)
    example = make_example(
        examples.assemble(next(iter(patch_index.describe([row]))), [(ARCHIVE, patch)])
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
        names = json.loads(files[f"{patch_id}_labels_metadata.json"])["labels"]
        example = make_example(make_content(patch_id, files))
        ids = sorted(CLC43.labels.index(name) for name in names)
        ids_19 = example["labels_19"]

        assert tuple(ids) == example["labels"]
        assert ids == np.flatnonzero(example["multi_hot_43"]).tolist()
        assert list(ids_19) == np.flatnonzero(example["multi_hot_19"]).tolist()
        assert 0 < len(ids_19) <= len(ids)


def test_labels_without_a_coarse_class_are_dropped(fake: PatchContent) -> None:
    """A patch of `Bare rock` alone has no class of the 19, and an all-zero vector."""
    example = make_example(fake)

    assert CLC43.encode(["Bare rock"]) == example["labels"]
    assert () == example["labels_19"]
    assert [0] * 19 == np.asarray(example["multi_hot_19"]).tolist()


def test_merged_labels_come_once(sample_patches: Patches) -> None:
    """Two classes that become one of the 19 are stored as that one."""
    two = ["Inland marshes", "Peatbogs"]
    content = dict(sample_patches[PATCH_ID])
    name = f"{PATCH_ID}_labels_metadata.json"
    content[name] = json.dumps(json.loads(content[name]) | {"labels": two}).encode()

    example = make_example(make_content(PATCH_ID, content))

    assert BEN19.encode(["Inland wetlands"]) == example["labels_19"]


def test_pixels_are_those_of_the_files(sample_patches: Patches) -> None:
    """Every band of an example equals what rasterio reads from its file."""
    from rasterio.io import MemoryFile

    files = sample_patches[PATCH_ID]

    bands = split(make_example(make_content(PATCH_ID, files)))

    assert [band.name for band in BANDS] == list(bands)
    for name, pixels in bands.items():
        tiff = files[f"{PATCH_ID}_{name}.tif"]
        with MemoryFile(tiff) as memory, memory.open() as dataset:
            assert np.array_equal(dataset.read(1), pixels)


def test_the_picture_is_a_png_of_the_stretch(fake: PatchContent) -> None:
    """The image of an RGB example is the stretched B04, B03, B02 without loss."""
    from PIL import Image

    example = examples.get_make_example(RGB, RGB.schema)(fake)

    assert isinstance(example["image"], bytes)
    with Image.open(io.BytesIO(example["image"])) as image:
        pixels = np.asarray(image)
    assert np.array_equal(rgb.to_rgb(red_green_blue(fake)), pixels)


def test_vectors_that_patches_share_are_read_only(fake: PatchContent) -> None:
    """Nobody can alter the labels of other patches through those of one."""
    make = examples.get_make_example(S2, S2.schema)

    assert make(fake)["multi_hot_43"] is make(fake)["multi_hot_43"]
    with pytest.raises(ValueError, match="read-only"):
        make(fake)["multi_hot_43"][0] = 1  # type: ignore[index]
