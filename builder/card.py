"""The card of a Parquet store: README.md, as the Hugging Face hub shows and reads it.

Its YAML makes `datasets.load_dataset` find the shards and their types; the text is for
people. Everything in it comes from the store itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from bigearthnet.formats.columns import tensor_nbytes
from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release.bands import order_bands
from bigearthnet.release.nomenclature import remap
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
        "configs": [_make_config(store, view) for view in store.config.views],
        "dataset_info": [_make_info(store, v, sizes) for v in store.config.views],
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
        _describe_loading(store),
        "## Checksums",
        _describe_checksums(store),
        "## Splits",
        f"Split scheme: {store.manifest['split_scheme']}.",
        _split_table(store),
        "## Columns",
        _column_table(store),
        "## Classes",
        _describe_classes(store),
        _class_table(store),
        "## Bands",
        "Mean and standard deviation of digital numbers over the train split.",
        _band_table(store),
        "## Cite",
        f"```bibtex\n{citation.strip()}\n```",
        "## Licence",
        "The data set is published under CDLA-Permissive-1.0 by its authors.",
    ]
    return "\n\n".join(sections) + "\n"


def _describe_loading(store: Store) -> str:
    views = store.config.views
    default = next(iter(views))
    everything = dict.fromkeys(f.name.partition("/")[0] for f in store.config.columns)
    rows = []
    for view, names in views.items():
        left_out = [name for name in everything if name not in names]
        short = len(left_out) > len(names)
        text = f"only {_quote(names)}" if short else f"all but {_quote(left_out)}"
        mark = " (default)" if view == default else ""
        rows.append((f"`{view}`{mark}", text if left_out else "everything"))
    return f"""```python
from datasets import load_dataset

folder = "..."  # this folder, or the name of this repository on a hub
train = load_dataset(folder, "{default}", split="train", streaming=True).reshard()
```

`reshard()` (`datasets` 5.0) streams each row group by itself. Without it, threads of
pyarrow read ahead, and a program that stops before the last patch hangs at its end
(apache/arrow#45214).

{_table("ll", ("config", "columns"), rows)}

All of them read the same files. Without `streaming=True`, `datasets` first copies
every split of a config into its cache, about 165 kB a patch; with
`filters=[("patch_id", "in", ids)]`, say, those patches alone, which needs
`verification_mode="no_checks"`: the sizes above are those of whole splits. For arrays,
choose columns of one type:
`select_columns(["bands_10m"]).with_format("numpy", dtype="uint16")`; without the dtype,
integers become int64, as they do when streamed, where no dtype can be given. polars
gives the bands as nested lists after `.ext.storage()`. The column `preview` is a lossy
8-bit picture for people; train on the bands."""


def _describe_checksums(store: Store) -> str:
    default = next(iter(store.config.views))
    return f"""Each page of these files has a checksum. Unless they are told to,
`datasets`, pyarrow, polars and DuckDB do not look at it: after a bad copy or download
they give other pixels, silently. Compare the sha256 of each file with `manifest.json`,
as `python -m builder.verify --quick` does, or have the pages checked (`datasets` 4.2):

```python
import pyarrow.dataset
from datasets import load_dataset

folder = "..."  # as above
checks = pyarrow.dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
train = load_dataset(folder, "{default}", split="train", fragment_scan_options=checks)
```

In pyarrow it is `read_table(file, page_checksum_verification=True)`; polars and DuckDB
have no switch of their own, but read a pyarrow data set with these options."""


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


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
    kept = store.config.release.kept_splits
    missing = [split for split in kept if split not in store.splits]
    if missing:
        yield f"Without a patch, and so left out: {', '.join(missing)}."


def _table(
    alignment: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> str:
    """Formats a Markdown table, columns aligned left (`l`) or right (`r`)."""
    marks = [{"l": "---", "r": "---:"}[side] for side in alignment]
    lines = (header, marks, *rows)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _split_table(store: Store) -> str:
    rows = [
        (name, f"{split['rows']:,}", split["shards"], f"{split['bytes'] / 1e6:,.1f}")
        for name, split in store.manifest["splits"].items()
    ]
    return _table("lrrr", ("split", "patches", "shards", "MB"), rows)


def _column_table(store: Store) -> str:
    """Returns what each column means and takes, which says what a choice saves."""
    sizes = column_sizes(store.folder / f["name"] for f in store.manifest["files"])
    num_patches = sum(store.num_patches(split) for split in store.splits)
    meanings: dict[str, str] = {}
    for feature in store.config.columns:
        group, _, field = feature.name.partition("/")
        text = f"{field}: {feature.description}" if field else feature.description
        meanings[group] = f"{meanings[group]}; {text}" if group in meanings else text
    rows = [
        (f"`{name}`", meaning, f"{sizes[name] / num_patches / 1e3:.2f}")
        for name, meaning in meanings.items()
    ]
    return _table("llr", ("column", "meaning", "kB a patch"), rows)


def _describe_classes(store: Store) -> str:
    first, *others = [
        s.nomenclature.name.upper() for s in store.config.release.label_sets
    ]
    text = f"Patches with each class of {first}, in the order of class ids"
    if others:
        text += f", and the class of {' and of '.join(others)} that it is part of"
    return f"{text}."


def _class_table(store: Store) -> str:
    first, *others = [s.nomenclature for s in store.config.release.label_sets]
    counts = {
        split: np.bincount(
            read_labels(store, split).flatten().to_numpy(), minlength=len(first)
        )
        for split in store.splits
    }
    names = [n.name.upper() for n in (first, *others)]
    rows = []
    for number, label in enumerate(first.labels):
        coarser = []
        for other in others:
            target = remap(first, other)[number]
            coarser.append("–" if target is None else other.labels[target])
        cells = [f"{count[number]:,}" for count in counts.values()]
        rows.append((number, label, *coarser, *cells))
    alignment = f"r{'l' * len(names)}{'r' * len(counts)}"
    return _table(alignment, ("id", *names, *counts), rows)


def _band_table(store: Store) -> str:
    bands = store.statistics["bands"]
    groups = [group for group in store.config.groups if not group.is_map]
    rows = [
        (
            band.name,
            band.resolution_m,
            band.wavelength_nm or "–",
            f"{bands[band.name]['mean']:.2f}" if bands else "–",
            f"{bands[band.name]['std']:.2f}" if bands else "–",
        )
        for band in order_bands(groups)
    ]
    header = ("band", "resolution (m)", "wavelength (nm)", "mean", "sd")
    return _table("lrrrr", header, rows)
