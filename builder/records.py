"""Checks every example of a store, and finds the example of a patch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.keys import hash_key
from bigearthnet.engine.records import encode_mask
from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.release.bands import GROUPS, PATCH_NBYTES
from bigearthnet.release.nomenclature import BEN19, CLC43, Nomenclature, remap_ids
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.splits import SPLITS
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.rgb import decode_image, to_rgb
from bigearthnet.store import Store
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.progress import Progress
from builder.stored import read_example, read_examples

_NOWHERE = -1

_DIGEST_NBYTES = 16

# Mean difference, in levels of 255, up to which a preview is taken for a lossy picture
# of its bands. Those of the real sample patches differ by 2.1 to 2.9.
_MOST_PREVIEW_ERROR = 8


class RecordIndex:
    """Where each patch's example stands; filled by `check`.

    Attributes:
        store: The store.
        patches: The release's patches in the store's split scheme.
        schema: The stored features.
        compared: The features that all stores of the configuration have.
        digests: Digest of what `compared` says of each patch that was found, shape
            (patch, 16), uint8; equal where two examples are.
        sums: Sums over the pixels of the split that has statistics.
        counts: Split → records found.
        labels: Class ids of each patch that was found, as bit masks, shape (patch,).
    """

    def __init__(
        self,
        store: Store,
        patches: PatchIndex,
        *,
        quiet: bool = False,
    ) -> None:
        config = get_config(store.name)
        self.store = store
        self.schema = config.columns if store.format.has_columns else config.schema
        self.compared = config.schema
        self.patches = patches
        self.digests = np.zeros((len(patches), _DIGEST_NBYTES), np.uint8)
        self.sums = BandSums()
        self.counts: dict[str, int] = {}
        self.labels = np.zeros(len(patches), np.uint64)
        self._quiet = quiet
        self._files = np.full(len(patches), _NOWHERE, np.int16)
        self._places = np.zeros(len(patches), np.int64)
        self._encode = make_encoder(self.compared)

    @property
    def found(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """True for each patch of the release that has a record."""
        return self._files != _NOWHERE

    def read(self, row: int) -> Example:
        """Reads the example of a patch that was found.

        Raises:
            ShardError: If it is damaged.
        """
        file = self.store.manifest["files"][self._files[row]]
        return read_example(self.store, file, int(self._places[row]), self.schema)

    def digest(self, example: Example) -> npt.NDArray[np.uint8]:
        """Returns the digest of an example, shape (16,), uint8; pictures by pixels."""
        pixels = {
            f.name: _image_bytes(example[f.name])
            for f in self.compared
            if f.kind == "image"
        }
        content = self._encode({**example, **pixels})
        digest = hashlib.blake2b(content, digest_size=_DIGEST_NBYTES).digest()
        return np.frombuffer(digest, np.uint8)

    def check(self, damaged: Set[str] = frozenset()) -> Iterator[str | None]:
        """Checks every example: checksum, order, split, labels, facts and preview.

        Of a file that is damaged, the examples behind the damage are not read; of a
        table, none, since its bytes are followed blindly.

        Args:
            damaged: Names of shards that are known not to be what was written.
        """
        total = sum(file["rows"] for file in self.store.manifest["files"])
        with Progress(
            f"{self.store.name} {self.store.format.name}",
            total_patches=total,
            quiet=self._quiet,
        ) as progress:
            last: dict[str, bytes] = {}
            for number, file in enumerate(self.store.manifest["files"]):
                name, split = file["name"], file["split"]
                if name in damaged and self.store.format.has_columns:
                    yield f"{name} is not read, since it is damaged"
                    continue
                try:
                    for place, example in read_examples(self.store, file, self.schema):
                        yield self._check_record(number, place, split, example, last)
                        progress.add(1, PATCH_NBYTES)
                except ShardError as error:
                    yield str(error)

    def _check_record(
        self,
        file: int,
        place: int,
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
        self._files[row], self._places[row] = file, place
        self.digests[row] = self.digest(example)
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
        problems += [*_check_labels(example), *_check_preview(example)]
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


def _image_bytes(image: object) -> bytes:
    """Returns the pixels of a picture, be it a file or an array."""
    pixels = decode_image(image) if isinstance(image, bytes) else image
    assert isinstance(pixels, np.ndarray)
    return pixels.tobytes()


def _check_preview(example: Example) -> Iterator[str]:
    """Compares a preview, which is lossy, with the bands that it was made of."""
    if "preview" not in example:
        return
    preview, bands = example["preview"], example["bands_10m"]
    assert isinstance(preview, np.ndarray)
    assert isinstance(bands, np.ndarray)
    expected = to_rgb(bands.astype(np.uint16, copy=False))
    if preview.shape != expected.shape:
        yield f"preview: expected a picture of {expected.shape}, got {preview.shape}"
        return
    error = float(np.abs(preview.astype(np.float32) - expected).mean())
    if error > _MOST_PREVIEW_ERROR:
        yield f"preview shows something else: it differs by {error:.1f} of 255 levels"


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
