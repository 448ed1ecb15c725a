"""Stores that hold the same patches in the same order, and are read as one.

Tables are kept one for each sensor, so that nobody has to have both: what a
configuration of several archives is read from are the stores of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigearthnet.errors import StoreError
from bigearthnet.formats import get_format
from bigearthnet.schema.configs import Config
from bigearthnet.store import Described, read_patches
from bigearthnet.store.remote import AnyStore, open_anywhere
from bigearthnet.store.search import PREFERRED, find_data_dir, look_for, open_store
from bigearthnet.util.remote import is_url

if TYPE_CHECKING:
    import pyarrow as pa

# Patches that an error names.
_MOST_NAMED = 3


def open_parts(
    place: Path | str | None, config: Config, form: str | None = None
) -> tuple[AnyStore, ...]:
    """Opens what a configuration is read from: its store, or those of its parts.

    Args:
        place: See `remote.open_anywhere`.
        config: The configuration.
        form: Name of the format, which is the same for all parts; None for the first
            in which all are there.

    Raises:
        OptionError, StoreError, ShardError, DownloadError: As in `open_anywhere`.
    """
    parts = config.parts
    if config.columns or not parts:
        return (open_anywhere(place, config, form),)
    if is_url(place):
        return tuple(open_anywhere(place, part, form) for part in parts)
    data_dir = find_data_dir(place)
    found: dict[str, list[str]] = {}
    for name in PREFERRED if form is None else (get_format(form).name,):
        if (whole := look_for(data_dir, config, [get_format(name)])) is not None:
            return (whole,)
        stores = [look_for(data_dir, part, [get_format(name)]) for part in parts]
        opened = [store for store in stores if store is not None]
        if len(opened) == len(parts):
            return tuple(opened)
        for store in opened:
            found.setdefault(store.config.name, []).append(name)
    if not found and form in (None, "tfrecord"):
        return (open_store(data_dir, config, form),)  # whose error says more
    raise _missing_part(data_dir, config, parts, found, form)


def _missing_part(
    data_dir: Path,
    config: Config,
    parts: Sequence[Config],
    found: dict[str, list[str]],
    form: str | None,
) -> StoreError:
    """Returns the error where not all parts are there in one format."""
    names = " and ".join(part.name for part in parts)
    there = "; ".join(f"{name} in {', '.join(forms)}" for name, forms in found.items())
    missing = [part.name for part in parts if part.name not in found]
    wanted = form or next(iter(found.values()))[0]
    built = config.name if not found else (missing or [parts[-1].name])[0]
    return StoreError(
        f"no store of config {config.name} in {data_dir}, and no pair of {names} in "
        f"{form or 'one format'}: there is {there or 'none of them'}. Build what is "
        f"missing: python -m builder.build --source=... --data_dir={data_dir} "
        f"--config={built} --formats={wanted}"
    )


def check_pairs(stores: Sequence[Described], splits: Sequence[str]) -> None:
    """Checks that stores hold the same patches in the same order, shard by shard.

    The manifests say so, or, of stores without checksums of their ids, the tables of
    patches.

    Args:
        stores: The stores.
        splits: The splits that are read.

    Raises:
        OptionError: If one has no such split.
        StoreError: If their patches differ; the message names some.
        ShardError, DownloadError: If a table of patches is damaged, or cannot be had.
    """
    first, *others = stores
    for other in others:
        for split in splits:
            first.check_split(split)
            other.check_split(split)
            _check_pair(first, other, split)


def _check_pair(one: Described, other: Described, split: str) -> None:
    keys = [s.manifest["splits"][split].get("ids_sha256") for s in (one, other)]
    is_cut_alike = one.rows(split) == other.rows(split)
    if is_cut_alike and keys[0] is not None and keys[0] == keys[1]:
        return
    ids = [_read_ids(store, split) for store in (one, other)]
    differences = [
        f"{len(names):,} that only {store.place} has, for example "
        f"{', '.join(names[:_MOST_NAMED].to_pylist())}"
        for store, names in (
            (one, _without(ids[0], ids[1])),
            (other, _without(ids[1], ids[0])),
        )
        if len(names)
    ]
    if not differences and is_cut_alike and None in keys:
        return
    raise StoreError(
        f"{one.place} and {other.place} are no pair: in split {split} they differ in "
        f"{'; '.join(differences) or 'the order of patches'}. Build both of the same "
        "patches, or drop those that one lacks: python -m builder.convert --help."
    )


def _read_ids(store: Described, split: str) -> pa.Array:
    import pyarrow.compute as pc

    table = read_patches(store, ["patch_id", "split", "stored"])
    chosen = pc.and_(table["stored"], pc.equal(table["split"], split))
    return table["patch_id"].filter(chosen).combine_chunks()


def _without(ids: pa.Array, others: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return ids.filter(pc.invert(pc.is_in(ids, value_set=others)))
