"""Some patches of a store as pictures, with their labels, for its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bigearthnet.engine.keys import hash_key
from bigearthnet.reading import open_shards
from bigearthnet.reading.choice import Choice, list_shards, read_in_order
from bigearthnet.release.bands import BandGroup
from bigearthnet.report.composites import (
    KINDS,
    Composite,
    ReferenceMap,
    list_kinds,
    make_picture,
)
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import encode_jpeg, encode_png
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.store import Store
from bigearthnet.store.remote import RemoteStore
from bigearthnet.util.files import make_folder, write_bytes
from builder.card.patches import PatchTable
from builder.card.tables import make_table

PICTURES: Final = "pictures"

_PREVIEW: Final = "preview"
_SOURCE: Final = "tile_source"
# What a card shows of each patch; the first is the stored preview.
_NATURAL: Final = "true_color"
_KINDS: Final = (_NATURAL, "false_color", "sar", "reference_map")

# Patches of a card, and side by side.
_COUNT, _COLUMNS = 12, 4
# More labels than 95 % of the patches have would say little beside a picture
# (Sumbul et al., 2019, section 3).
_MOST_LABELS: Final = 5


@dataclass(frozen=True)
class Shown:
    """A patch of the gallery.

    Attributes:
        patch_id: The patch id.
        files: Kind of picture (`report.composites.KINDS`) → its path below the store's
            folder.
        facts: Its split, country and so on; `SYNTHETIC` if it is made up.
        labels: Names of its classes.
    """

    patch_id: str
    files: Mapping[str, str]
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


def write_pictures(store: Store, patches: PatchTable) -> list[Shown]:
    """Writes the pictures of a gallery into the folder of a Parquet store.

    Those in natural colours are the stored previews, byte for byte; the others are made
    of bands. Each row group that holds one of the patches is read once.

    Returns:
        The patches, split by split, in stored order.

    Raises:
        ShardError: If a shard or the table of patches is damaged.
        OSError: If a picture cannot be written.
    """
    splits = {name: split for split, name in choose_patches(patches, store.splits)}
    all_made_up = store.manifest["patches"]["synthetic"] == len(patches.ids)
    labels = store.config.release.label_sets[0]
    shown = []
    make_folder(store.folder / PICTURES)
    for row in _read_rows(store, [*splits]):
        patch_id, files = row["patch_id"], {}
        for kind, content in _make_pictures(store, row):
            name = patch_id if kind == _NATURAL else f"{patch_id}_{kind}"
            form = "png" if _is_map(kind) else "jpg"
            files[kind] = f"{PICTURES}/{name}.{form}"
            write_bytes(content, store.folder / files[kind])
        made_up = all_made_up or SYNTHETIC in str(row.get(_SOURCE))
        facts = splits[patch_id], *_name_facts(store, row), *[SYNTHETIC] * made_up
        names = labels.nomenclature.decode(row[labels.ids])
        shown.append(Shown(patch_id, files, facts, names))
    return shown


def _read_rows(store: Store, wanted: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yields what the gallery shows of some patches, in stored order."""
    fields = {"patch_id", _PREVIEW, _SOURCE, store.config.release.label_sets[0].ids}
    columns = [f.name for f in store.config.columns if f.name in fields or _is_fact(f)]
    columns += [group.name for group in _find_groups(store.config)]
    ids = read_in_order(store, store.splits, ())["patch_id"].to_pylist()
    chosen = Choice(tuple(store.splits), None).keep(np.isin(ids, wanted))
    described = store.config, store.manifest, store.statistics
    shards = RemoteStore(*described, store.apart) if store.apart else store
    reader = open_shards(*list_shards(shards, chosen))
    batch = reader.gather(range(len(reader)), columns)
    for number in range(len(reader)):
        yield {name: values[number] for name, values in batch.items()}


def _find_groups(config: Config) -> list[BandGroup]:
    """Returns the groups of bands that pictures are made of."""
    bands = {b for kind in _KINDS if kind != _NATURAL for b in KINDS[kind].bands}
    return [g for g in config.groups if bands.intersection(b.name for b in g.bands)]


def _make_pictures(store: Store, row: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yields kind and content of the pictures of a patch."""
    if _PREVIEW in row:
        yield _NATURAL, row[_PREVIEW]
    bands = {
        band.name: pixels
        for group in _find_groups(store.config)
        for band, pixels in zip(group.bands, row[group.name], strict=True)
    }
    for kind in list_kinds(bands):
        if kind in _KINDS and kind != _NATURAL:
            encode = encode_png if _is_map(kind) else encode_jpeg
            yield kind, encode(make_picture(bands, kind))


def _is_map(kind: str) -> bool:
    return isinstance(KINDS[kind], ReferenceMap)


def _is_fact(feature: Feature) -> bool:
    return feature.kind == "class"


def _name_facts(store: Store, row: Mapping[str, Any]) -> Iterator[str]:
    """Yields country and so on of a patch."""
    for feature in filter(_is_fact, store.config.columns):
        yield feature.labels[row[feature.name]]


def make_gallery(shown: Sequence[Shown]) -> str:
    """Returns the gallery in Markdown: what is shown, then rows of it.

    Args:
        shown: At least one patch; all have the same kinds of pictures.
    """
    kinds = [*shown[0].files]
    rows: list[list[str]] = []
    for start in range(0, len(shown), _COLUMNS):
        line = shown[start : start + _COLUMNS]
        gap = [""] * (min(_COLUMNS, len(shown)) - len(line))
        rows += [[*(_show(patch, kind) for patch in line), *gap] for kind in kinds]
        rows.append([*(_caption(patch) for patch in line), *gap])
    header, *rest = rows
    which = f"Of each patch, from above: {'; '.join(map(_explain, kinds))}."
    return f"{which}\n\n{make_table('l' * len(header), header, rest)}"


def _explain(name: str) -> str:
    kind = KINDS[name]
    bands = f" ({', '.join(kind.bands)})" if isinstance(kind, Composite) else ""
    return kind.description + bands


def _show(patch: Shown, kind: str) -> str:
    text = f"{patch.patch_id}, {', '.join(patch.facts)}: {'; '.join(patch.labels)}"
    what = "" if kind == _NATURAL else f", {KINDS[kind].description}"
    return f"![{text}{what}]({patch.files[kind]})"


def _caption(patch: Shown) -> str:
    return f"**{' · '.join(patch.facts)}**<br>{'<br>'.join(patch.labels)}"
