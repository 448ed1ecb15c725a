"""Figures of a store → the blocks of a page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bigearthnet.release.bands import order_bands
from bigearthnet.report.chart import draw_bars
from bigearthnet.report.page import Block, Drawing, Heading, Table, Text
from bigearthnet.store import Store
from builder.card.provenance import describe_provenance
from builder.figures.counting import ALL
from builder.figures.judging import CHECKS
from builder.figures.tables import Patches
from builder.reporting.charts import (
    count_pairs,
    draw_dates,
    draw_histograms,
    draw_pairs,
)
from builder.reporting.pixels import Histogram

_MOST_PAIRS = 15


def find_published(patches: Patches) -> Mapping[str, Any]:
    """Returns what was published of the release, named as figures are; or nothing."""
    for release, published in CHECKS.values():
        if release.name == patches.release.name:
            return published
    return {}


def describe_build(
    patches: Patches, figures: Mapping[str, Any], stores: Sequence[Store]
) -> Iterator[Block]:
    """Says what was built: release, sources, versions, splits, bad patches."""
    release = patches.release
    yield Heading("What was built")
    if patches.num_synthetic:
        yield Text(
            f"{patches.num_synthetic:,} of the patches are SYNTHETIC: their pixels and "
            "labels are made up. Their figures say nothing about the archive.",
            is_warning=True,
        )
    if len(patches) < release.num_patches:
        yield Text(
            f"{len(patches):,} of the {release.num_patches:,} patches of "
            f"{release.name} are here. Published counts are of all of them: "
            "differences also say what is missing.",
            is_warning=True,
        )
    for store in stores:
        quarantined = store.manifest["patches"]["quarantined"]
        lines = describe_provenance(store).replace("`", "").splitlines()
        lines.append(f"Bad patches that the build set aside: {quarantined:,}.")
        yield Heading(f"Config {store.config.name}, {store.format.name}", 3)
        yield from (Text(line.removeprefix("- ")) for line in lines)
    published = find_published(patches).get("patches", {})
    rows = [
        (split, _write(count), _write(published.get(split)), _write(stored))
        for split, count in figures["patches"].items()
        for stored in [None if split == ALL else stores[0].num_patches(split)]
    ]
    header = ("split", "patches read", "published", "stored")
    yield Table("Patches by split", header, tuple(rows), frozenset({1, 2, 3}))


def _write(value: float | None) -> str:
    """Returns a number as it stands in tables, a dash where there is none."""
    return "–" if value is None else f"{value:,}"


def describe_classes(patches: Patches, figures: Mapping[str, Any]) -> Iterator[Block]:
    """Shows the patches of each class, beside those that were published."""
    yield Heading("Classes")
    published = find_published(patches).get("classes", {})
    for name, counts in figures["classes"].items():
        known = published.get(name, {})
        title = f"Patches with each class of {name.upper()}"
        if ALL in known:
            title += ", beside Table 2 of the paper"
        yield Heading(name.upper(), 3)
        labels = list(counts[ALL])
        # Of a part of the archive, numbers would be invisible beside published ones.
        total = max(1, figures["patches"][ALL])
        series = {"here": [100 * counts[ALL][label] / total for label in labels]}
        if ALL in known:
            whole = patches.release.num_patches
            series["published"] = [100 * known[ALL][label] / whole for label in labels]
        most = max(1.0, *itertools.chain(*series.values()))
        pieces = draw_bars(labels, series, most=most, form="{:.1f} %")
        caption = f"{title}, in percent of the patches"
        yield Drawing(f"classes_{name}", caption, pieces)
        yield _make_table(title, "class", counts, known)


def _make_table(
    title: str,
    what: str,
    counts: Mapping[str, Mapping[str, int]],
    published: Mapping[str, Mapping[str, int]],
) -> Table:
    """Makes a table of values by split; where known, beside published counts."""
    header, rows = [what], []
    for group in counts:
        header.append(group)
        if group in published:
            header += [f"{group}, published", "difference"]
    values = dict.fromkeys([*next(iter(published.values()), {}), *counts[ALL]])
    for value in values:
        row = [value]
        for group, found in counts.items():
            here = found.get(value, 0)
            row.append(_write(here))
            if group in published:
                known = published[group].get(value, 0)
                row += [_write(known), f"{here - known:+,}" if here != known else "0"]
        rows.append(tuple(row))
    return Table(title, tuple(header), tuple(rows), frozenset(range(1, len(header))))


def describe_times_and_places(
    patches: Patches, figures: Mapping[str, Any]
) -> Iterator[Block]:
    """Shows dates, seasons, countries and flags."""
    published = find_published(patches)
    yield Heading("When and where")
    dates = figures.get("dates", {}).get(ALL)
    if dates:
        caption = (
            "Patches by day of acquisition (the paper's Figure 2, of which no numbers "
            "were published)"
        )
        yield Drawing("dates", caption, (draw_dates(dates),), is_wide=True)
    for name, what in (("seasons", "season"), ("countries", "country")):
        if name in figures:
            title = f"Patches by {what}"
            yield _make_table(title, what, figures[name], published.get(name, {}))
    flags = {n: t for n, t in (("snow", "seasonal snow"), ("cloud", "cloud or shadow"))}
    turned = {
        group: {text: figures[n][group] for n, text in flags.items() if n in figures}
        for group in figures["patches"]
    }
    known = {
        group: {text: published[n][group] for n, text in flags.items()}
        for group in published.get("snow", {})
    }
    if turned[ALL]:
        yield _make_table("Patches with a flag", "flag", turned, known)


def describe_labels(patches: Patches, figures: Mapping[str, Any]) -> Iterator[Block]:
    """Shows how many labels patches have, and which ones come together."""
    yield Heading("Labels of a patch")
    counts = figures["labels_per_patch"]
    numbers = list(counts[ALL])
    series = {"patches": list(counts[ALL].values())}
    most = max(series["patches"])
    title = "Patches by their number of labels"
    pieces = draw_bars(numbers, series, most=most, form="{:,.0f}")
    yield Drawing("labels", title, pieces)
    known = find_published(patches).get("labels", {})
    rows = [
        (name, _write(value), _write(known.get(name)))
        for name, value in figures["labels"].items()
    ]
    header = ("", "here", "published")
    yield Table("Labels of a patch", header, tuple(rows), frozenset({1, 2}))
    labels = patches.release.nomenclature.labels
    pairs = count_pairs(patches.masks, len(labels))
    title = "Classes that come together"
    yield Drawing("pairs", title, (draw_pairs(pairs, labels),), is_wide=True)
    found = sorted(
        (-int(pairs[i, j]), labels[i], labels[j])
        for i in range(len(labels))
        for j in range(i)
        if pairs[i, j]
    )[:_MOST_PAIRS]
    frequent = [(f"{one}; {other}", _write(-count)) for count, one, other in found]
    if frequent:
        caption = f"The {len(frequent)} most frequent pairs"
        yield Table(caption, ("classes", "patches"), tuple(frequent), frozenset({1}))


def describe_bands(
    stores: Sequence[Store], histograms: Mapping[str, Histogram]
) -> Iterator[Block]:
    """Shows statistics of each band beside the published ones, and histograms."""
    yield Heading("Pixels")
    rows: list[tuple[str, ...]] = []
    for store in stores:
        groups = [group for group in store.config.groups if not group.is_map]
        found = store.statistics["bands"]
        for band in order_bands(groups):
            if band.name not in {row[0] for row in rows} and band.name in found:
                own = found[band.name]
                numbers = (own["mean"], band.mean, own["std"], band.std)
                texts = ("–" if n is None else f"{n:,.2f}" for n in numbers)
                rows.append((band.name, *texts))
    if rows:
        yield Table(
            f"Mean and standard deviation of each band, split "
            f"{stores[0].statistics['split']}",
            ("band", "mean", "published", "standard deviation", "published"),
            tuple(rows),
            frozenset({1, 2, 3, 4}),
            (
                "Ours are exact, over every pixel. On which patches the published ones "
                "were computed is not stated.",
            ),
        )
    units = {"optical": "digital numbers (reflectance = DN / 10000)", "radar": "dB"}
    for kind, unit in units.items():
        chosen = {
            name: found
            for name, found in histograms.items()
            if (found.edges[0] < 0) == (kind == "radar")
        }
        if chosen:
            caption = (
                f"Values of {kind} bands, of every 4th pixel (every second row and "
                "column) of all splits; the last bin also has what lies beyond"
            )
            drawn = draw_histograms(chosen, unit)
            yield Drawing(f"pixels_{kind}", caption, (drawn,), is_wide=True)
