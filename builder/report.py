r"""Writes a page that shows what a data directory holds, to look at and to present.

One HTML file that needs nothing else: no network, opens from disk, readable on a phone,
on paper, in light and dark. What was built; patches of each class, season and country
beside what was published; dates, labels of a patch and which come together; exact
statistics and histograms of the bands; a map; and a gallery of up to 300 patches in
several composites, to be filtered by class, split, country, season and flag.

Each store is read once, from its first shard to its last. Sentinel-1 that lies in a
store of its own is shown, too.

Example:
  python -m builder.report --data_dir=data --output=report.html
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from absl import flags

from bigearthnet.release import RELEASES, Release
from bigearthnet.report.page import (
    Block,
    Drawing,
    Gallery,
    Heading,
    Text,
    render_page,
)
from bigearthnet.store import Store
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import write_text
from bigearthnet.util.utm import to_degrees
from bigearthnet.util.wording import count_of
from builder.figures.counting import count_figures
from builder.figures.tables import Patches, choose_stores, read_store_patches
from builder.reporting import blocks
from builder.reporting.charts import draw_map
from builder.reporting.choice import choose_patches, list_values
from builder.reporting.gallery import make_gallery
from builder.reporting.pixels import Seen, read_pixels

# From the west or north edge of a patch to its middle.
_HALF_M = 600


def write_report(
    data_dir: Path,
    output: Path,
    *,
    config: str | None = None,
    releases: Sequence[Release] = RELEASES,
    quiet: bool = False,
) -> int:
    """Writes the page of a data directory.

    Args:
        data_dir: The data directory, or the folder of a store.
        output: The file to write.
        config: Name of a configuration; None where there is no choice.
        releases: The releases that stores may be of.
        quiet: Shows no progress.

    Returns:
        How many patches the gallery shows.

    Raises:
        OptionError: If there is a choice of configurations, or the output must not be
            there; see `store.outputs.check_output`.
        StoreError, ShardError: If there is no store, or one is damaged.
    """
    check_output(output, "output")
    stores = choose_readable(choose_stores(data_dir, config, releases))
    patches = read_store_patches(stores[0])
    figures = count_figures(patches)
    values = list_values(patches)
    rows = choose_patches(values, find_stored(patches))
    wanted = frozenset(patches.table["patch_id"].take(rows).to_pylist())
    seen = read_all(stores, wanted, quiet=quiet)
    longitudes, latitudes = find_places(patches)
    places = [
        ""
        if np.isnan(latitudes[row])
        else f"{latitudes[row]:.4f}° N, "
        f"{abs(longitudes[row]):.4f}° {'W' if longitudes[row] < 0 else 'E'}"
        for row in rows
    ]
    page: list[Block | Gallery] = [
        *blocks.describe_build(patches, figures, stores),
        *blocks.describe_classes(patches, figures),
        *blocks.describe_times_and_places(patches, figures),
        *_make_map(patches, longitudes, latitudes),
        *blocks.describe_labels(patches, figures),
        *blocks.describe_bands(stores, seen.histograms),
        Heading("Gallery"),
        make_gallery(patches, rows, values, seen.pictures, places),
    ]
    title = f"BigEarthNet {patches.release.name}: {count_of(len(patches), 'patch')}"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(render_page(title, page), output)
    return len(rows)


def choose_readable(stores: Sequence[Store]) -> list[Store]:
    """Returns those of some stores that have bands which those before do not have.

    A store of pictures comes last: it is read only if there is no other.
    """
    chosen, known = [], set[str]()
    for store in sorted(stores, key=lambda store: store.config.choice.is_rgb):
        new = {group.name for group in store.config.groups} - known
        known |= new
        chosen += [store] if new else []
    return chosen


def find_stored(patches: Patches) -> npt.NDArray[np.bool_]:
    """Says which patches of a table the store has, shape (patch,)."""
    return patches.table["stored"].to_numpy().astype(bool)


def read_all(stores: Sequence[Store], wanted: Collection[str], *, quiet: bool) -> Seen:
    """Reads every store once; see `pixels.read_pixels`."""
    first, *others = [read_pixels(store, wanted, quiet=quiet) for store in stores]
    for other in others:
        first.histograms |= other.histograms
        for patch_id, pictures in other.pictures.items():
            first.pictures[patch_id] = first.pictures.get(patch_id, {}) | pictures
    return first


def find_places(
    patches: Patches,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns longitude and latitude of the middle of each patch; NaN if unknown."""
    if "epsg" not in patches.table.column_names:
        nowhere = np.full(len(patches), np.nan)
        return nowhere, nowhere
    epsg, west, north = (
        patches.table[name].fill_null(0).to_numpy().astype(np.int64)
        for name in ("epsg", "ulx", "uly")
    )
    return to_degrees(epsg, west + float(_HALF_M), north - float(_HALF_M))


def _make_map(
    patches: Patches,
    longitudes: npt.NDArray[np.float64],
    latitudes: npt.NDArray[np.float64],
) -> list[Block]:
    known = ~np.isnan(longitudes)
    if not known.any():
        return []
    splits = {
        split: known & (patches.splits == split)
        for split in patches.release.splits
        if (patches.splits == split).any()
    }
    caption = "Where patches lie, by split; where there are many, darker is more"
    note = "Outlines: Natural Earth, public domain."
    drawn = draw_map(longitudes, latitudes, splits)
    return [Drawing("map", caption, (drawn,), is_wide=True), Text(note)]


def _define_flags() -> None:
    command.define_path(
        "data_dir", None, "Data directory, or store, to show.", required=True
    )
    command.define_path("output", None, "HTML file to write.", required=True)
    flags.DEFINE_string("config", None, "Configuration, where there are several.")


def _main() -> None:
    values = flags.FLAGS
    command.check_packages("demo", "matplotlib", "jinja2", "PIL")
    shown = write_report(values.data_dir, values.output, config=values.config)
    size = values.output.stat().st_size / 1e6
    print(f"{values.output}: {size:.1f} MB, {count_of(shown, 'patch')} in the gallery")
    print("next: open it in a browser", file=sys.stderr)


if __name__ == "__main__":
    command.run(_main, _define_flags)
