"""The tables of a card, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release.bands import order_bands
from bigearthnet.release.nomenclature import remap
from bigearthnet.store import Store, read_labels


def make_table(
    alignment: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> str:
    """Formats a Markdown table, columns aligned left (`l`) or right (`r`)."""
    marks = [{"l": "---", "r": "---:"}[side] for side in alignment]
    lines = (header, marks, *rows)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def make_split_table(store: Store) -> str:
    """Returns patches, shards and bytes of each split."""
    rows = [
        (name, f"{split['rows']:,}", split["shards"], f"{split['bytes'] / 1e6:,.1f}")
        for name, split in store.manifest["splits"].items()
    ]
    return make_table("lrrr", ("split", "patches", "shards", "MB"), rows)


def make_column_table(store: Store) -> str:
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
    return make_table("llr", ("column", "meaning", "kB a patch"), rows)


def make_class_table(store: Store) -> str:
    """Returns how many patches of each split have each class."""
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
    return make_table(alignment, ("id", *names, *counts), rows)


def make_band_table(store: Store) -> str:
    """Returns resolution, wavelength and statistics of each band."""
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
    return make_table("lrrrr", header, rows)
