"""The tables of a card, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release.bands import order_bands
from bigearthnet.release.nomenclature import (
    CLC43,
    PAPER_COUNTS,
    Nomenclature,
    remap,
)
from bigearthnet.store import Store
from builder.card.patches import PatchTable, count_classes


def make_table(
    alignment: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> str:
    """Formats a Markdown table, columns aligned left (`l`) or right (`r`)."""
    marks = [{"l": ":---", "r": "---:"}[side] for side in alignment]
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
    sizes = column_sizes(store.all_shards)
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


def make_class_table(store: Store, patches: PatchTable) -> str:
    """Returns how many patches have each class of the release's nomenclature.

    Beside the splits stands every patch that was read, stored or not, and what the
    paper counted of the whole archive, if the patches are of it.
    """
    first, *others = [s.nomenclature for s in store.config.release.label_sets]
    counts = _count(store, patches, first)
    if is_of_paper(store):
        counts["paper"] = PAPER_COUNTS
    rows = []
    for number, label in enumerate(first.labels):
        coarser = []
        for other in others:
            target = remap(first, other)[number]
            coarser.append("–" if target is None else other.labels[target])
        cells = [f"{count[number]:,}" for count in counts.values()]
        rows.append((number, label, *coarser, *cells))
    names = [nomenclature.name.upper() for nomenclature in (first, *others)]
    alignment = f"r{'l' * len(names)}{'r' * len(counts)}"
    return make_table(alignment, ("id", *names, *counts), rows)


def make_coarser_table(store: Store, patches: PatchTable, target: Nomenclature) -> str:
    """Returns how many patches have each class of another nomenclature."""
    counts = _count(store, patches, target)
    rows = [
        (number, label, *(f"{count[number]:,}" for count in counts.values()))
        for number, label in enumerate(target.labels)
    ]
    header = ("id", target.name.upper(), *counts)
    return make_table(f"rl{'r' * len(counts)}", header, rows)


def is_of_paper(store: Store) -> bool:
    """Whether the paper's counts are of the patches that the store has, or more."""
    is_first = store.config.release.nomenclature == CLC43
    return is_first and not store.manifest["patches"]["synthetic"]


def compare_with_paper(store: Store, patches: PatchTable) -> str:
    """Says what the counts of a store and of the paper's Table 2 have in common."""
    release, first = store.config.release, store.config.release.nomenclature
    if len(patches.masks) < release.num_patches:
        return (
            f"Only {len(patches.masks):,} of its {release.num_patches:,} patches were "
            "read here: the column says how frequent a class is in the whole archive, "
            "and is not to be compared."
        )
    counts = count_classes(patches.masks, first, first)
    pairs = zip(first.labels, counts, PAPER_COUNTS, strict=True)
    other = [label for label, count, paper in pairs if count != paper]
    if other:
        return f"They differ in {', '.join(other)}."
    return "They are equal in every class."


def _count(
    store: Store, patches: PatchTable, target: Nomenclature
) -> dict[str, Sequence[int]]:
    """Counts the patches with each class, of each split, and of all that were read."""
    source = store.config.release.nomenclature
    masks = {split: patches.masks[patches.rows(split)] for split in store.splits}
    masks["read"] = patches.masks
    return {name: count_classes(m, source, target) for name, m in masks.items()}


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
