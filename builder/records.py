"""Checks every record of a store, and finds the record of a patch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bigearthnet.bands import GROUPS, PATCH_NBYTES
from bigearthnet.encoding import tfrecord
from bigearthnet.encoding.keys import hash_key
from bigearthnet.encoding.progress import Progress
from bigearthnet.encoding.spool import encode_mask
from bigearthnet.encoding.statistics import BandSums
from bigearthnet.errors import ShardError
from bigearthnet.examples import Example
from bigearthnet.features import Feature
from bigearthnet.nomenclature import BEN19, CLC43, Nomenclature, remap_ids
from bigearthnet.patch_index import PatchIndex
from bigearthnet.splits import SPLITS
from builder.stored import Store, decode_example, read_examples

_NOWHERE = -1


class RecordIndex:
    """Where each patch's record stands; filled by `check`.

    Attributes:
        store: The store.
        patches: The release's patches in the store's split scheme.
        schema: The stored features.
        sums: Sums over the pixels of the split that has statistics.
        counts: Split → records found.
        labels: Class ids of each patch that was found, as bit masks, shape (patch,).
    """

    def __init__(
        self,
        store: Store,
        schema: tuple[Feature, ...],
        patches: PatchIndex,
        *,
        quiet: bool = False,
    ) -> None:
        self.store = store
        self.schema = schema
        self.patches = patches
        self.sums = BandSums()
        self.counts: dict[str, int] = {}
        self.labels = np.zeros(len(patches), np.uint64)
        self._quiet = quiet
        self._files = np.full(len(patches), _NOWHERE, np.int16)
        self._offsets = np.zeros(len(patches), np.int64)

    @property
    def found(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """True for each patch of the release that has a record."""
        return self._files != _NOWHERE

    def read(self, row: int) -> Example:
        """Reads the record of a patch that was found.

        Raises:
            ShardError: If the record is damaged.
        """
        name = self.store.manifest["files"][self._files[row]]["name"]
        offset = int(self._offsets[row])
        data = tfrecord.read_record(self.store.folder / name, offset)
        return decode_example(data, self.schema, f"{name}, byte {offset}")

    def check(self) -> Iterator[str | None]:
        """Checks every record: checksum, order, split, labels and facts.

        Of a file that is damaged, the records behind the damage are not read.
        """
        total = sum(file["rows"] for file in self.store.manifest["files"])
        with Progress(
            f"records of {self.store.name}", total_patches=total, quiet=self._quiet
        ) as progress:
            last: dict[str, bytes] = {}
            for number, file in enumerate(self.store.manifest["files"]):
                path, split = self.store.folder / file["name"], file["split"]
                try:
                    for offset, example in read_examples(path, self.schema):
                        yield self._check_record(number, offset, split, example, last)
                        progress.add(1, PATCH_NBYTES)
                except ShardError as error:
                    yield str(error)

    def _check_record(
        self,
        file: int,
        offset: int,
        split: str,
        example: Example,
        last: dict[str, bytes],
    ) -> str | None:
        patch_id = str(example["patch_id"])
        row = self.patches.find(patch_id)
        self.counts[split] = self.counts.get(split, 0) + 1
        if row is None:
            return f"{patch_id} is not a patch of the release"
        if self._files[row] != _NOWHERE:
            return f"{patch_id} is stored twice"
        self._files[row], self._offsets[row] = file, offset
        labels = example["labels"]
        assert isinstance(labels, tuple)
        self.labels[row] = encode_mask(tuple(i for i in labels if 0 <= i < len(CLC43)))
        key, before = hash_key(split, patch_id), last.get(split, b"")
        last[split] = key
        if key < before:
            return f"{patch_id} stands out of order"
        if "bands_10m" in example and split == self.store.statistics.get("split"):
            groups = [np.asarray(example[group.name]) for group in GROUPS]
            self.sums.add_pixels(np.concatenate([group.ravel() for group in groups]))
        problems = [*_check_facts(example, split, row, self.patches)]
        problems += _check_labels(example)
        return f"{patch_id}: {'; '.join(problems)}" if problems else None


def _check_facts(
    example: Example, split: str, row: int, patches: PatchIndex
) -> Iterator[str]:
    facts = patches.facts(row)
    if SPLITS[facts.split] != split:
        yield f"belongs to {SPLITS[facts.split]}, stored in {split}"
    for name in (
        "country",
        "season",
        "s1_name",
        "contains_seasonal_snow",
        "contains_cloud_or_shadow",
    ):
        if getattr(facts, name) != example[name]:
            yield f"{name}: expected {getattr(facts, name)!r}, stored {example[name]!r}"


def _check_labels(example: Example) -> Iterator[str]:
    labels, labels_19 = example["labels"], example["labels_19"]
    assert isinstance(labels, tuple)
    assert isinstance(labels_19, tuple)
    if list(labels) != sorted(set(labels)) or not _are_ids(labels):
        yield f"labels are not ascending CLC43 ids: {labels}"
    elif labels_19 != remap_ids(labels, CLC43, BEN19):
        yield f"labels_19 {labels_19} do not follow from labels {labels}"
    else:
        yield from _check_multi_hot(example, "multi_hot_43", CLC43, labels)
        yield from _check_multi_hot(example, "multi_hot_19", BEN19, labels_19)


def _are_ids(labels: tuple[int, ...]) -> bool:
    return bool(labels) and labels[0] >= 0 and labels[-1] < len(CLC43)


def _check_multi_hot(
    example: Example, name: str, nomenclature: Nomenclature, ids: tuple[int, ...]
) -> Iterator[str]:
    if not np.array_equal(example[name], nomenclature.multi_hot(ids)):
        yield f"{name} disagrees with the labels {ids}"
