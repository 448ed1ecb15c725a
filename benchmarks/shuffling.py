"""Measures how well batches are mixed, by how shards are read and mixed.

The package's table alone says which patches a shard holds, and in which order: no
pixel is read. Of each way to draw an order, over two epochs: how many tiles and dates
there are in a batch, and how many of a patch's batch were with it in the epoch before.
Beside the order of the stores, that of the names, in which folders are listed.

Example:
  python -m benchmarks.shuffling
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from absl import flags

from bigearthnet.engine.keys import shard_bounds
from bigearthnet.release import V1, V2, Release
from bigearthnet.release.patch_ids import S1_IDS, find_day
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.store.order import hash_key
from bigearthnet.util import command
from bigearthnet.util.files import write_json

BATCH_SIZE: Final = 128

Rows = npt.NDArray[np.intp]


class Way(NamedTuple):
    """How an order is drawn.

    Attributes:
        order: `keys`, as patches are stored; or `names`, as a folder is listed.
        shards: Shards that are read side by side, in an order that is drawn; 0 for all
            patches in order.
        buffer: Patches of which the next one is drawn; 1 for none, 0 for all.
    """

    order: str
    shards: int
    buffer: int


# What is measured; the last of each order is a perfect shuffle, or the best buffer.
WAYS: Final = (
    Way("keys", 0, 1),
    Way("keys", 1, 1_000),
    Way("keys", 8, 1),
    Way("keys", 8, 1_000),
    Way("keys", 8, 10_000),
    Way("keys", 0, 0),
    Way("names", 0, 1),
    Way("names", 8, 1_000),
    Way("names", 8, 10_000),
    Way("names", 0, 100_000),
)


@dataclass(frozen=True)
class Mixing:
    """How well the batches of a way are mixed.

    Attributes:
        tiles: Mean number of tiles in a batch.
        tiles_deviation: Its standard deviation over batches.
        dates: Mean number of dates of acquisition in a batch.
        dates_deviation: Its standard deviation over batches.
        met_again: Of the other patches of a patch's batch, how many were with it in the
            epoch before; mean over patches.
    """

    tiles: float
    tiles_deviation: float
    dates: float
    dates_deviation: float
    met_again: float


def sort_rows(patches: PatchIndex, split: str, order: str) -> Rows:
    """Returns the rows of a split in the order of keys, or of names, shape (patch,)."""
    code = patches.release.splits.index(split)
    rows = np.flatnonzero(patches.splits == code)
    names = patches.patch_ids(rows).to_pylist()
    keys = [hash_key(split, name) for name in names] if order == "keys" else names
    return rows[sorted(range(len(rows)), key=keys.__getitem__)]


def draw(rows: Rows, way: Way, random: np.random.Generator) -> Rows:
    """Returns the rows of an epoch in the order of a way, shape (patch,)."""
    if way.buffer == 0:
        return random.permutation(rows)
    if way.shards:
        shards = [rows[first:last] for first, last in shard_bounds(len(rows))]
        order = random.permutation(len(shards))
        groups = [
            [shards[number] for number in order[start : start + way.shards]]
            for start in range(0, len(order), way.shards)
        ]
        rows = np.concatenate([_interleave(group) for group in groups])
    return _mix(rows, way.buffer, random)


def _interleave(shards: list[Rows]) -> Rows:
    """Returns one patch of each shard in turn."""
    ranks = np.concatenate([np.arange(len(shard)) for shard in shards])
    return np.concatenate(shards)[np.argsort(ranks, kind="stable")]


def _mix(rows: Rows, size: int, random: np.random.Generator) -> Rows:
    """Returns rows as a shuffle buffer gives them, that of `tf.data` for example."""
    buffer, mixed = rows[:size].tolist(), []
    places = random.integers(0, len(buffer), max(0, len(rows) - size)).tolist()
    for place, row in zip(places, rows[size:].tolist(), strict=True):
        mixed.append(buffer[place])
        buffer[place] = row
    return np.array([*mixed, *random.permutation(buffer)], np.intp)


def measure(rows: Rows, tiles: Rows, dates: Rows, way: Way, seed: int = 0) -> Mixing:
    """Measures the second of two epochs, in whole batches.

    Args:
        rows: Rows of a split in the order of the way, shape (patch,).
        tiles: Number of the tile of each row of the table, shape (row,).
        dates: Number of its date, shape (row,).
        way: How an order is drawn.
        seed: Seed of the orders.
    """
    random = np.random.default_rng(seed)
    first, second = draw(rows, way, random), draw(rows, way, random)
    before = np.empty(len(tiles), np.intp)
    before[first] = np.arange(len(first)) // BATCH_SIZE
    batches = second[: len(second) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    counts = [
        [len(np.unique(numbers[batch])) for batch in batches]
        for numbers in (tiles, dates)
    ]
    pairs = [_count_pairs(before[batch]) for batch in batches]
    means, deviations = np.mean(counts, axis=1), np.std(counts, axis=1)
    return Mixing(
        tiles=round(float(means[0]), 2),
        tiles_deviation=round(float(deviations[0]), 2),
        dates=round(float(means[1]), 2),
        dates_deviation=round(float(deviations[1]), 2),
        met_again=round(sum(pairs) / batches.size, 2),
    )


def _count_pairs(before: Rows) -> int:
    """Returns how many ordered pairs of a batch were in one batch before."""
    _, counts = np.unique(before, return_counts=True)
    return int((counts * (counts - 1)).sum())


def number_places(patches: PatchIndex) -> tuple[Rows, Rows]:
    """Returns numbers of tile and date of each row of a table, shape (row,) each.

    The tile is that of the Sentinel-1 name: the first release has it nowhere else.
    """
    rows = np.arange(len(patches))
    found = []
    for codec, find in ((S1_IDS, _find_tile), (patches.release.ids, find_day)):
        names = patches.names(codec).take(rows).to_pylist()
        texts = np.array([find(name) for name in names])
        found.append(np.unique(texts, return_inverse=True)[1])
    return found[0], found[1]


def _find_tile(name: str) -> str:
    return name.rsplit("_", 3)[1]


def run(release: Release) -> list[dict[str, object]]:
    """Measures every way on the train split of a release."""
    patches = load_index(release, "official")
    tiles, dates = number_places(patches)
    found: list[dict[str, object]] = []
    rows = {order: sort_rows(patches, "train", order) for order in ("keys", "names")}
    for way in WAYS:
        mixing = measure(rows[way.order], tiles, dates, way)
        found.append({"release": release.name, **way._asdict(), **asdict(mixing)})
    return found


def _define_flags() -> None:
    command.define_path(
        "output", "benchmarks/results/shuffling.json", "Where the figures go."
    )


def _main() -> None:
    found = [row for release in (V1, V2) for row in run(release)]
    columns = list(found[0])
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in found:
        print(f"| {' | '.join(map(str, row.values()))} |")
    write_json({"batch_size": BATCH_SIZE, "ways": found}, flags.FLAGS.output)


if __name__ == "__main__":
    command.run(_main, _define_flags)
