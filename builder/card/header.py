"""The YAML of a card: how a hub files a Parquet store, and how `datasets` loads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bigearthnet.formats.columns import tensor_nbytes
from bigearthnet.formats.parquet import column_sizes, read_footer
from bigearthnet.schema.features import hf_types
from bigearthnet.store import PATCHES, Store

TITLE: Final = "BigEarthNet"

# Config, and its only split, of the table of patches: `all` has a meaning of its own in
# `datasets`, and `train` would be wrong.
PATCH_VIEW: Final = "patches"

# The hub's names for a range of patches: the upper end, and what it is called.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
)


def make_header(store: Store) -> dict[str, Any]:
    """Returns the YAML of a card: how the hub files it, and how it is loaded.

    Args:
        store: A Parquet store.

    Source: Hugging Face hub documentation, "Dataset Cards", and the form that
    `datasets.Features` and `datasets.SplitDict` have in YAML (tested).
    """
    num_patches = sum(store.num_patches(split) for split in store.splits)
    sizes = column_sizes(store.folder / f["name"] for f in store.manifest["files"])
    return {
        "pretty_name": TITLE,
        "language": ["en"],
        "license": "cdla-permissive-1.0",
        "task_categories": ["image-classification"],
        "task_ids": ["multi-label-image-classification"],
        "size_categories": [next(n for most, n in _SIZES if num_patches < most)],
        "tags": ["geospatial", "remote-sensing", "sentinel-2", "land-cover", "corine"],
        "configs": [
            *(_make_config(store, view) for view in store.config.views),
            _make_patch_config(),
        ],
        "dataset_info": [
            *(_make_info(store, view, sizes) for view in store.config.views),
            _make_patch_info(store),
        ],
    }


def _make_config(store: Store, view: str) -> dict[str, Any]:
    base, views = store.config.choice.base, store.config.views
    files = [
        {
            "split": split,
            "path": f"{base}/{split}-*-of-{len(store.files(split)):05d}.parquet",
        }
        for split in store.splits
    ]
    config: dict[str, Any] = {"config_name": view}
    if view == next(iter(views)):
        config["default"] = True
    return {**config, "columns": list(views[view]), "data_files": files}


def _make_info(store: Store, view: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    columns, names = store.config.columns, store.config.views[view]
    types = hf_types(columns)
    left_out = sum(tensor_nbytes(f) for f in columns if f.name not in names)
    splits = [
        {
            "name": split,
            "num_bytes": sum(file["data_bytes"] for file in store.files(split))
            - store.num_patches(split) * left_out,
            "num_examples": store.num_patches(split),
        }
        for split in store.splits
    ]
    return {
        "config_name": view,
        "features": [_yaml_feature(types[name], name) for name in names],
        "splits": splits,
        "download_size": sum(sizes[name] for name in names),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def _make_patch_config() -> dict[str, Any]:
    files = [{"split": PATCH_VIEW, "path": PATCHES}]
    return {"config_name": PATCH_VIEW, "data_files": files}


def _make_patch_info(store: Store) -> dict[str, Any]:
    """Describes the table of patches, whose labels get their names."""
    path = store.folder / PATCHES
    footer = read_footer(path)
    nbytes = sum(
        footer.row_group(number).total_byte_size
        for number in range(footer.num_row_groups)
    )
    first = store.config.release.label_sets[0]
    types = hf_types(store.config.columns)
    rows = store.manifest["patches"]["rows"]
    return {
        "config_name": PATCH_VIEW,
        "features": [
            _yaml_feature(types[first.ids], "labels")
            if field.name == "labels"
            else {"name": field.name, "dtype": str(field.type).removesuffix("[day]")}
            for field in footer.schema.to_arrow_schema()
        ],
        "splits": [{"name": PATCH_VIEW, "num_bytes": nbytes, "num_examples": rows}],
        "download_size": path.stat().st_size,
        "dataset_size": nbytes,
    }


def _yaml_feature(kind: Any, name: str) -> dict[str, Any]:
    """Turns a type of `features.hf_types` into its form in YAML."""
    if "_type" not in kind:
        return {"name": name, "struct": [_yaml_feature(kind[k], k) for k in kind]}
    if kind["_type"] == "List":
        element = _yaml_dtype(kind["feature"])
        length = {"length": kind["length"]} if "length" in kind else {}
        return {"name": name, "list": element, **length}
    return {"name": name, "dtype": _yaml_dtype(kind)}


def _yaml_dtype(kind: Mapping[str, Any]) -> Any:
    match kind["_type"]:
        case "Array3D":
            return {"array3_d": {"shape": kind["shape"], "dtype": kind["dtype"]}}
        case "ClassLabel":
            names = {str(number): name for number, name in enumerate(kind["names"])}
            return {"class_label": {"names": names}}
        case "Image":
            return "image"
        case _:
            return kind["dtype"]
