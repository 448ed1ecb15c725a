"""The YAML of a card: how a hub files a Parquet store, and how `datasets` loads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bigearthnet.formats.columns import tensor_nbytes
from bigearthnet.formats.parquet import column_sizes, read_footer
from bigearthnet.schema.configs import Config
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


def find_sensors(config: Config) -> list[str]:
    """Returns the satellites that the pixels of a configuration are of."""
    return [f"Sentinel-{a.name[1]}" for a in config.archives if a.name in ("s1", "s2")]


def make_header(*stores: Store, is_above: bool = False) -> dict[str, Any]:
    """Returns the YAML of a card: how the hub files it, and how it is loaded.

    Args:
        *stores: A Parquet store; or several, of which the first is the default.
        is_above: Whether the card stands above folders of parts, and not in one.

    Source: Hugging Face hub documentation, "Dataset Cards", and the form that
    `datasets.Features` and `datasets.SplitDict` have in YAML (tested).
    """
    first = stores[0]
    num_patches = sum(first.num_patches(split) for split in first.splits)
    sensors = [sensor for store in stores for sensor in find_sensors(store.config)]
    views = [(store, view) for store in stores for view in store.config.views]
    sizes = {store.folder: column_sizes(store.all_shards) for store in stores}
    return {
        "pretty_name": TITLE,
        "language": ["en"],
        "license": "cdla-permissive-1.0",
        "task_categories": ["image-classification"],
        "task_ids": ["multi-label-image-classification"],
        "size_categories": [next(n for most, n in _SIZES if num_patches < most)],
        "tags": [
            *("geospatial", "remote-sensing"),
            *(sensor.lower() for sensor in sensors),
            *("land-cover", "corine"),
        ],
        "configs": [
            *(
                _make_config(store, view, is_above, is_default=not number)
                for number, (store, view) in enumerate(views)
            ),
            _make_patch_config(first, is_above),
        ],
        "dataset_info": [
            *(_make_info(store, view, sizes[store.folder]) for store, view in views),
            _make_patch_info(first),
        ],
    }


def format_header(header: Mapping[str, Any]) -> str:
    """Returns the YAML of a card as it stands at its beginning."""
    import yaml

    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=88)
    return f"---\n{text}---\n"


def _find_place(store: Store, is_above: bool) -> str:
    """Returns what paths of a store begin with in a card."""
    return f"{store.config.choice.part}/" if is_above else ""


def _make_config(
    store: Store, view: str, is_above: bool, *, is_default: bool
) -> dict[str, Any]:
    base, views = store.config.choice.base, store.config.views
    place = _find_place(store, is_above)
    files = [
        {
            "split": split,
            "path": f"{place}{base}/{split}-*-of-{len(store.files(split)):05d}.parquet",
        }
        for split in store.splits
    ]
    config: dict[str, Any] = {"config_name": view}
    if is_default:
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


def _make_patch_config(store: Store, is_above: bool) -> dict[str, Any]:
    path = f"{_find_place(store, is_above)}{PATCHES}"
    files = [{"split": PATCH_VIEW, "path": path}]
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
