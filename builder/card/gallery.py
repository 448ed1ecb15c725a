"""Some patches of a store as pictures, with their labels, for its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bigearthnet.engine.keys import hash_key
from bigearthnet.formats.columns import ROWS_PER_GROUP
from bigearthnet.formats.parquet import open_file, read_row_group
from bigearthnet.schema.features import Feature
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.store import Store
from bigearthnet.util.files import make_folder, write_bytes
from builder.card.patches import PatchTable
from builder.card.tables import make_table

PICTURES: Final = "pictures"

_PREVIEW: Final = "preview"
_SOURCE: Final = "tile_source"

# Pictures of a card, and side by side.
_COUNT, _COLUMNS = 12, 4
# More labels than 95 % of the patches have would say little beside a picture
# (Sumbul et al., 2019, section 3).
_MOST_LABELS: Final = 5


@dataclass(frozen=True)
class Picture:
    """A patch of the gallery.

    Attributes:
        patch_id: The patch id.
        file: Path of its picture below the store's folder.
        facts: Its split, country and so on; `SYNTHETIC` if it is made up.
        labels: Names of its classes.
    """

    patch_id: str
    file: str
    facts: tuple[str, ...]
    labels: tuple[str, ...]


def choose_patches(patches: PatchTable, splits: Sequence[str]) -> list[tuple[str, str]]:
    """Chooses the patches of a gallery, the same ones for the same patches.

    Splits take turns. Each gives the patch with most classes that were not shown yet,
    and few labels; of several, the one that is stored first.

    Args:
        patches: The patches.
        splits: The splits of the store.

    Returns:
        Split and patch id of each, at most 12.
    """
    crowded = np.bitwise_count(patches.masks) > _MOST_LABELS
    left = {split: patches.rows(split) for split in splits}
    shown = np.uint64(0)
    chosen: list[tuple[str, str]] = []
    while len(chosen) < _COUNT and any(len(rows) for rows in left.values()):
        split = min(
            (s for s, rows in left.items() if len(rows)),
            key=lambda s: sum(s == other for other, _ in chosen),
        )
        rows = left[split]
        new = np.bitwise_count(patches.masks[rows] & ~shown).astype(int)
        score = new - 64 * crowded[rows]
        best = rows[score == score.max()]
        keys = [hash_key(split, name) for name in patches.ids.take(best).to_pylist()]
        row = best[keys.index(min(keys))]
        left[split] = rows[rows != row]
        shown |= patches.masks[row]
        chosen.append((split, patches.ids[row].as_py()))
    return chosen


def write_pictures(store: Store, patches: PatchTable) -> list[Picture]:
    """Writes the pictures of a gallery into the folder of a Parquet store.

    They are the stored previews, byte for byte.

    Returns:
        The pictures, split by split; none if the store has no previews.

    Raises:
        ShardError: If a shard is damaged.
        OSError: If one cannot be written.
    """
    if _PREVIEW not in {feature.name for feature in store.config.columns}:
        return []
    chosen = choose_patches(patches, store.splits)
    pictures = []
    make_folder(store.folder / PICTURES)
    for split in store.splits:
        wanted = {name for other, name in chosen if other == split}
        for row in _read_rows(store, split, wanted):
            picture = _make_picture(store, split, row)
            write_bytes(row[_PREVIEW]["bytes"], store.folder / picture.file)
            pictures.append(picture)
    return pictures


def _read_rows(
    store: Store, split: str, wanted: set[str]
) -> Iterator[Mapping[str, Any]]:
    """Yields what the gallery says of some patches, in stored order."""
    shown = {"patch_id", _PREVIEW, _SOURCE, store.config.release.label_sets[0].ids}
    columns = [f.name for f in store.config.columns if f.name in shown or _is_fact(f)]
    for path in store.shards(split) if wanted else ():
        with open_file(path) as file:
            footer = file.metadata
            ids = file.read(columns=["patch_id"])["patch_id"].to_pylist()
        for number in [i for i, name in enumerate(ids) if name in wanted]:
            group, row = divmod(number, ROWS_PER_GROUP)
            yield from (
                read_row_group(path, footer, group, columns).slice(row, 1).to_pylist()
            )


def _is_fact(feature: Feature) -> bool:
    return feature.kind == "class"


def _make_picture(store: Store, split: str, row: Mapping[str, Any]) -> Picture:
    labels = store.config.release.label_sets[0]
    patch_id = row["patch_id"]
    classes = [f.labels[row[f.name]] for f in store.config.columns if _is_fact(f)]
    made_up = [SYNTHETIC] if SYNTHETIC in str(row.get(_SOURCE)) else []
    return Picture(
        patch_id,
        f"{PICTURES}/{patch_id}.jpg",
        (split, *classes, *made_up),
        labels.nomenclature.decode(row[labels.ids]),
    )


def make_gallery(pictures: Sequence[Picture]) -> str:
    """Returns the gallery in Markdown: rows of pictures, and of what they show."""
    cells = []
    for start in range(0, len(pictures), _COLUMNS):
        line = pictures[start : start + _COLUMNS]
        gap = [""] * (min(_COLUMNS, len(pictures)) - len(line))
        cells.append([*(_show(picture) for picture in line), *gap])
        cells.append([*(_describe(picture) for picture in line), *gap])
    header, *rows = cells
    return make_table("l" * len(header), header, rows)


def _show(picture: Picture) -> str:
    text = f"{picture.patch_id}, {', '.join(picture.facts)}"
    return f"![{text}: {'; '.join(picture.labels)}]({picture.file})"


def _describe(picture: Picture) -> str:
    return f"**{' · '.join(picture.facts)}**<br>{'<br>'.join(picture.labels)}"
