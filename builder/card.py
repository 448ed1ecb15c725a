"""The card of a Parquet store: README.md, as the Hugging Face hub shows and reads it.

Its YAML makes `datasets.load_dataset` find the shards and their types; the text is for
people. Everything in it comes from the store itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np

from bigearthnet.formats.columns import tensor_nbytes
from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release.bands import BANDS
from bigearthnet.release.nomenclature import BEN19, CLC43, remap
from bigearthnet.release.splits import SPLITS
from bigearthnet.schema.configs import VIEWS, get_config
from bigearthnet.schema.features import hf_types
from bigearthnet.store import QUARANTINE, Store, read_labels
from bigearthnet.util.files import write_text

CARD = "README.md"

_TITLE = "BigEarthNet"

# The hub's names for a range of patches: the upper end, and what it is called.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
)


def write_card(store: Store) -> None:
    """Writes the card of a finished Parquet store into its folder."""
    import yaml

    header = yaml.safe_dump(
        make_header(store), sort_keys=False, allow_unicode=True, width=88
    )
    text = f"---\n{header}---\n\n{_make_text(store)}"
    write_text(text, store.folder / CARD)


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
        "pretty_name": _TITLE,
        "license": "cdla-permissive-1.0",
        "task_categories": ["image-classification"],
        "task_ids": ["multi-label-image-classification"],
        "size_categories": [next(n for most, n in _SIZES if num_patches < most)],
        "tags": ["geospatial", "remote-sensing", "sentinel-2", "land-cover", "corine"],
        "configs": [_make_config(store, view) for view in VIEWS],
        "dataset_info": [_make_info(store, view, sizes) for view in VIEWS],
    }


def _make_config(store: Store, view: str) -> dict[str, Any]:
    files = [
        {
            "split": split,
            "path": f"s2/{split}-*-of-{len(store.files(split)):05d}.parquet",
        }
        for split in store.splits
    ]
    config: dict[str, Any] = {"config_name": view}
    if view == next(iter(VIEWS)):
        config["default"] = True
    return {**config, "columns": list(VIEWS[view]), "data_files": files}


def _make_info(store: Store, view: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    columns = get_config(store.name).columns
    types = hf_types(columns)
    left_out = sum(tensor_nbytes(f) for f in columns if f.name not in VIEWS[view])
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
        "features": [_yaml_feature(types[name], name) for name in VIEWS[view]],
        "splits": splits,
        "download_size": sum(sizes[name] for name in VIEWS[view]),
        "dataset_size": sum(split["num_bytes"] for split in splits),
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


def _make_text(store: Store) -> str:
    """Returns the part of a card that people read, in Markdown."""
    package = resources.files("bigearthnet")
    description = (package / "README.md").read_text(encoding="utf-8")
    citation = (package / "CITATIONS.bib").read_text(encoding="utf-8")
    sections = [
        f"# {_TITLE}",
        *_make_warnings(store),
        description.strip(),
        "## Load it",
        _LOADING,
        "## Splits",
        f"Split scheme: {store.manifest['split_scheme']}.",
        "\n".join(_split_table(store)),
        "## Columns",
        "\n".join(_column_table(store)),
        "## Classes",
        "Patches with each class of CLC43, in the order of class ids, and the class of "
        "BEN19 that it is part of.",
        "\n".join(_class_table(store)),
        "## Bands",
        "Mean and standard deviation of digital numbers over the train split.",
        "\n".join(_band_table(store)),
        "## Cite",
        f"```bibtex\n{citation.strip()}\n```",
        "## Licence",
        "The data set is published under CDLA-Permissive-1.0 by its authors.",
    ]
    return "\n\n".join(sections) + "\n"


_LOADING = """```python
from datasets import load_dataset

folder = "..."  # this folder, or the name of this repository on a hub
train = load_dataset(folder, "s2-43", split="train", streaming=True)
```

| config | columns |
| --- | --- |
| `s2-43` (default) | everything but the 19-class labels |
| `s2-19` | everything but the 43-class labels |
| `s2-10m` | patch id, 43-class labels, the 10 m bands |
| `preview` | everything but the bands |

All of them read the same files. Without `streaming=True`, `datasets` first copies
every split of a config into its cache, about 165 kB a patch. For arrays, choose columns
of one type: `select_columns(["bands_10m"]).with_format("numpy", dtype="uint16")`;
without the dtype, integers become int64. The column `preview` is a lossy 8-bit picture
for people; train on the bands."""


def _make_warnings(store: Store) -> Iterator[str]:
    synthetic = store.manifest["patches"]["synthetic"]
    if synthetic:
        yield (
            f"**SYNTHETIC: {synthetic:,} of the patches are made up. They are for "
            "trying out programs and say nothing about the Earth.**"
        )
    quarantined = store.manifest["patches"]["quarantined"]
    if quarantined:
        yield (
            f"**{quarantined:,} bad patches of the source were set aside and are not "
            f"here; {QUARANTINE} lists them.**"
        )
    missing = [s for s in SPLITS if s not in (*store.splits, "excluded")]
    if missing:
        yield f"Without a patch, and so left out: {', '.join(missing)}."


def _table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join(['---'] + ['---:'] * (len(header) - 1))} |"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _split_table(store: Store) -> Iterator[str]:
    splits = store.manifest["splits"]
    yield from _table(
        ("split", "patches", "shards", "MB"),
        [
            (
                name,
                f"{split['rows']:,}",
                split["shards"],
                f"{split['bytes'] / 1e6:,.1f}",
            )
            for name, split in splits.items()
        ],
    )


def _column_table(store: Store) -> Iterator[str]:
    """Yields what each column means and takes, which says what a choice saves."""
    sizes = column_sizes(store.folder / f["name"] for f in store.manifest["files"])
    num_patches = sum(store.num_patches(split) for split in store.splits)
    meanings: dict[str, str] = {}
    for feature in get_config(store.name).columns:
        group, _, field = feature.name.partition("/")
        text = f"{field}: {feature.description}" if field else feature.description
        meanings[group] = f"{meanings[group]}; {text}" if group in meanings else text
    yield "| column | meaning | kB a patch |"
    yield "| --- | --- | ---: |"
    for name, meaning in meanings.items():
        yield f"| `{name}` | {meaning} | {sizes[name] / num_patches / 1e3:.2f} |"


def _class_table(store: Store) -> Iterator[str]:
    counts = {
        split: np.bincount(
            read_labels(store, split).flatten().to_numpy(), minlength=len(CLC43)
        )
        for split in store.splits
    }
    coarser = remap(CLC43, BEN19)
    yield f"| id | CLC43 | BEN19 | {' | '.join(counts)} |"
    yield f"| ---: | --- | --- | {' | '.join(['---:'] * len(counts))} |"
    for number, label in enumerate(CLC43.labels):
        target = coarser[number]
        ben19 = "–" if target is None else BEN19.labels[target]
        cells = [f"{count[number]:,}" for count in counts.values()]
        yield f"| {number} | {label} | {ben19} | {' | '.join(cells)} |"


def _band_table(store: Store) -> Iterator[str]:
    bands = store.statistics["bands"]
    rows: list[tuple[object, ...]] = [
        (
            band.name,
            band.resolution_m,
            band.wavelength_nm,
            f"{bands[band.name]['mean']:.2f}" if bands else "–",
            f"{bands[band.name]['std']:.2f}" if bands else "–",
        )
        for band in BANDS
    ]
    yield from _table(("band", "resolution (m)", "wavelength (nm)", "mean", "sd"), rows)
