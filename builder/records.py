"""Checks every example of a store, and finds the example of a patch."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.keys import hash_key
from bigearthnet.errors import ShardError
from bigearthnet.formats.parquet import open_file
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.release.bands import split as split_bands
from bigearthnet.release.nomenclature import encode_mask, remap_ids
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import decode_image, to_rgb
from bigearthnet.store import PATCHES, Store
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.progress import Progress
from builder.findings import Damaged, Finding, Skipped
from builder.stored import Stored, read_example, read_examples

_NOWHERE = -1

_DIGEST_NBYTES = 16

# Mean difference, in levels of 255, up to which a preview is taken for a lossy picture
# of its bands. Those of the real sample patches differ by 2.1 to 2.9.
_MOST_PREVIEW_ERROR = 8


class RecordIndex:
    """Where the example of each patch is stored; filled by `check`.

    Attributes:
        store: The store.
        patches: The release's patches in the store's split scheme.
        schema: The stored features.
        compared: For each archive of the configuration, the features that it decides
            and that stores of all formats have; labels and fields are the first one's.
        digests: Digests of what `compared` says of each patch that was found, shape
            (archive, patch, 16), uint8; equal where two examples are.
        sums: Sums over the pixels of the split that has statistics.
        damaged: Names of files of the store that are not what was written.
        counts: Name of each shard that was read to its end → records found.
        unread: Split → names of its other shards.
        labels: Class ids of each patch that was found, as bit masks, shape (patch,).
    """

    def __init__(
        self,
        store: Store,
        patches: PatchIndex,
        damaged: set[str],
        *,
        quiet: bool = False,
    ) -> None:
        self.store = store
        self.schema = store.features
        self.compared = _divide(store.config)
        self.patches = patches
        self.damaged = damaged
        shape = len(self.compared), len(patches), _DIGEST_NBYTES
        self.digests = np.zeros(shape, np.uint8)
        self.sums = BandSums(store.config.groups)
        self._patch_nbytes = sum(group.nbytes for group in store.config.groups)
        self.counts: dict[str, int] = {}
        self.unread: dict[str, list[str]] = {}
        self.labels = np.zeros(len(patches), np.uint64)
        self._quiet = quiet
        self._files = np.full(len(patches), _NOWHERE, np.int16)
        self._places = np.zeros(len(patches), np.int64)
        self._encoders = [make_encoder(features) for features in self.compared]

    @property
    def found(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """True for each patch of the release that has a record."""
        return self._files != _NOWHERE

    def holds(self, row: int) -> bool:
        """Whether a patch of the release has a record that was read."""
        return bool(self._files[row] != _NOWHERE)

    def skip(self, row: int) -> Skipped | None:
        """Returns why nobody knows whether a patch is stored; None if it is known."""
        unread = self.unread.get(self.patches.split(row))
        if not unread or self.holds(row) or not self._listed[row]:
            return None
        return Skipped(tuple(unread))

    @functools.cached_property
    def _listed(self) -> npt.NDArray[np.bool_]:
        """True for each patch that the table of patches does not say is not stored."""
        if PATCHES in self.damaged:
            return np.ones(len(self.patches), np.bool_)
        listed = np.zeros(len(self.patches), np.bool_)
        with open_file(self.store.folder / PATCHES) as file:
            table = file.read(["patch_id", "stored"])
        for patch_id in table["patch_id"].filter(table["stored"]).to_pylist():
            row = self.patches.find(patch_id)
            if row is not None:
                listed[row] = True
        return listed

    def read(self, row: int) -> Stored:
        """Reads the example of a patch that was found.

        Raises:
            ShardError: If it is damaged.
        """
        file = self.store.manifest["files"][self._files[row]]
        return read_example(self.store, file, int(self._places[row]))

    def digest(self, archive: int, example: Stored) -> npt.NDArray[np.uint8]:
        """Returns the digest of a part of an example; pictures count by pixels.

        Args:
            archive: Index of the archive that decides the part.
            example: An example that has it.

        Returns:
            Shape (16,), uint8.
        """
        pixels = {
            f.name: _image_bytes(example[f.name])
            for f in self.compared[archive]
            if f.kind == "image"
        }
        content = self._encoders[archive]({**example, **pixels})
        digest = hashlib.blake2b(content, digest_size=_DIGEST_NBYTES).digest()
        return np.frombuffer(digest, np.uint8)

    def check(self) -> Iterator[Finding]:
        """Checks every example: checksum, order, split, labels, facts and preview.

        Of a file that is damaged nothing is read: the bytes of a table are followed
        blindly, and what is lost cannot be compared.
        """
        total = sum(file["rows"] for file in self.store.manifest["files"])
        with Progress(
            f"{self.store.config.name} {self.store.format.name}",
            total_patches=total,
            quiet=self._quiet,
        ) as progress:
            last: dict[str, bytes] = {}
            for number, file in enumerate(self.store.manifest["files"]):
                for finding in self._check_file(number, file, last):
                    yield finding
                    if not isinstance(finding, Skipped):
                        progress.add(1, self._patch_nbytes)

    def _check_file(
        self, number: int, file: Mapping[str, Any], last: dict[str, bytes]
    ) -> Iterator[Finding]:
        name, split, count = file["name"], file["split"], 0
        if name not in self.damaged:
            try:
                for place, example in read_examples(self.store, file):
                    yield self._check_record(number, place, split, example, last)
                    count += 1
                self.counts[name] = count
                return
            except ShardError as error:
                self.damaged.add(name)
                yield Damaged(self.store.folder / name, str(error))
        self.unread.setdefault(split, []).append(name)
        yield Skipped((name,), max(file["rows"] - count, 0))

    def _check_record(
        self,
        file: int,
        place: int,
        split: str,
        example: Stored,
        last: dict[str, bytes],
    ) -> str | None:
        patch_id = str(example["patch_id"])
        row = self.patches.find(patch_id)
        if row is None:
            return f"{patch_id} is not a patch of the release"
        if self._files[row] != _NOWHERE:
            return f"{patch_id} is stored twice"
        self._files[row], self._places[row] = file, place
        for number in range(len(self.compared)):
            self.digests[number, row] = self.digest(number, example)
        first = self.patches.release.label_sets[0]
        known = range(len(first.nomenclature))
        self.labels[row] = encode_mask(i for i in example[first.ids] if i in known)
        key, before = hash_key(split, patch_id), last.get(split, b"")
        last[split] = key
        if key < before:
            return f"{patch_id} stands out of order"
        config = self.store.config
        is_measured = split == self.store.statistics.get("split")
        if is_measured and not config.choice.is_rgb:
            groups = {g.name: np.asarray(example[g.name]) for g in config.groups}
            self.sums.add_pixels(groups)
        problems = [*_check_facts(example, split, row, self.patches)]
        problems += _check_labels(example, row, self.patches)
        problems += _check_preview(example, config)
        return f"{patch_id}: {'; '.join(problems)}" if problems else None


def _divide(config: Config) -> list[tuple[Feature, ...]]:
    """Divides the features of a configuration by the archive that decides them."""
    known: set[str] = set()
    parts = []
    for archive in config.archives:
        said = set(archive.metadata.fields) if archive.metadata else set()
        parts.append({g.name for g in archive.groups} | (said - known))
        known |= said
    others = parts[1:]
    first = {f.name for f in config.schema}.difference(*others)
    return [
        tuple(f for f in config.schema if f.name in names) for names in (first, *others)
    ]


def _check_facts(
    example: Stored, split: str, row: int, patches: PatchIndex
) -> Iterator[str]:
    if patches.split(row) != split:
        yield f"belongs to {patches.split(row)}, stored in {split}"
    for name, value in patches.facts(row).items():
        if value != example[name]:
            yield f"{name}: expected {value!r}, stored {example[name]!r}"


def _image_bytes(image: bytes | npt.NDArray[np.uint8]) -> bytes:
    """Returns the pixels of a picture, be it a file or an array."""
    return (decode_image(image) if isinstance(image, bytes) else image).tobytes()


def _check_preview(example: Stored, config: Config) -> Iterator[str]:
    """Compares a preview, which is lossy, with the bands that it was made of."""
    if "preview" not in example:
        return
    preview = example["preview"]
    bands = split_bands(example, config.groups)
    expected = to_rgb([bands[name].astype(np.uint16) for name in config.release.rgb])
    if preview.shape != expected.shape:
        yield f"preview: expected a picture of {expected.shape}, got {preview.shape}"
        return
    error = float(np.abs(preview.astype(np.float32) - expected).mean())
    if error > _MOST_PREVIEW_ERROR:
        yield f"preview shows something else: it differs by {error:.1f} of 255 levels"


def _check_labels(example: Stored, row: int, patches: PatchIndex) -> Iterator[str]:
    first, *others = patches.release.label_sets
    labels = example[first.ids]
    known = range(len(first.nomenclature))
    title = first.nomenclature.name.upper()
    is_ascending = list(labels) == sorted(set(labels))
    if not labels or not is_ascending or {labels[0], labels[-1]} - {*known}:
        yield f"{first.ids} are not ascending {title} ids: {labels}"
        return
    if patches.labels is not None and encode_mask(labels) != patches.labels[row]:
        yield f"{first.ids} {labels} are not those of the table of the release"
    for other in (first, *others):
        ids = remap_ids(labels, first.nomenclature, other.nomenclature)
        if example[other.ids] != ids:
            yield f"{other.ids} {example[other.ids]!r} do not follow from {labels}"
        elif not np.array_equal(
            example[other.vector], other.nomenclature.multi_hot(ids)
        ):
            yield f"{other.vector} disagrees with the labels {ids}"
