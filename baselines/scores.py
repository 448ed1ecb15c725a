"""`scores.parquet`: labels and probabilities of every patch of a split.

A row a patch: `patch_id` (string), `y_true` (fixed-size list of uint8, a class each)
and `probability` (fixed-size list of float32). The class order stands in the metadata
of the schema, as JSON under the key `bigearthnet`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from baselines.decisions import Labels, Probabilities, check_scores
from baselines.errors import ResultError
from bigearthnet.util.files import DurableFile, hash_file

SCORES: Final = "scores.parquet"

_METADATA = b"bigearthnet"


@dataclass(frozen=True)
class Scores:
    """Labels and scores of some patches.

    Attributes:
        patch_ids: The patches, each once.
        y_true: Shape (patch, class), uint8, 0 or 1.
        probability: Shape (patch, class), float32, in [0, 1].
    """

    patch_ids: tuple[str, ...]
    y_true: Labels
    probability: Probabilities

    def check(self) -> None:
        """Checks that labels and scores are valid.

        Raises:
            ResultError: If shapes, types or values are not as documented, or a patch
                comes twice.
        """
        check_scores(self.y_true, self.probability)
        if len(self.patch_ids) != len(self.y_true):
            raise ResultError(
                f"expected a patch id for each of {len(self.y_true)} rows, got "
                f"{len(self.patch_ids)}."
            )
        patch_id, times = Counter(self.patch_ids).most_common(1)[0]
        if times > 1:
            raise ResultError(
                f"patch {patch_id} comes {times} times: expected each once."
            )

    def sort(self) -> Scores:
        """Returns the same scores in the order of patch ids."""
        order = np.argsort(np.asarray(self.patch_ids))
        return Scores(
            tuple(self.patch_ids[i] for i in order),
            self.y_true[order],
            self.probability[order],
        )


def write_scores(scores: Scores, folder: Path, metadata: Mapping[str, Any]) -> str:
    """Writes scores.parquet into a folder; it appears whole or not at all.

    Args:
        scores: What to write.
        folder: Existing folder.
        metadata: Content of the metadata of its schema.

    Returns:
        The sha256 of the file.
    """
    table = pa.table(
        {
            "patch_id": pa.array(scores.patch_ids, pa.string()),
            "y_true": _to_lists(scores.y_true),
            "probability": _to_lists(scores.probability),
        },
    ).replace_schema_metadata({_METADATA: json.dumps(metadata, ensure_ascii=False)})
    with DurableFile(folder, SCORES) as file:
        pq.write_table(table, file, compression="zstd")
        return file.finish().sha256


def read_scores(folder: Path, sha256: str, num_classes: int) -> Scores:
    """Reads scores.parquet of a folder.

    Args:
        folder: The folder.
        sha256: The checksum that the file must have.
        num_classes: How many classes its rows must have.

    Raises:
        ResultError: If the file is missing or damaged, or not of that checksum.
    """
    path = folder / SCORES
    try:
        found = hash_file(path)
    except OSError as cause:
        raise ResultError(
            f"{path} cannot be read ({cause.strerror}). Evaluate again."
        ) from None
    if found != sha256:
        raise ResultError(
            f"{path} is not the file that its results were computed from: expected "
            f"sha256 {sha256}, got {found}. Evaluate again."
        )
    try:
        table = pq.read_table(path)
        scores = Scores(
            tuple(table["patch_id"].to_pylist()),
            _to_array(table["y_true"], pa.uint8(), num_classes),
            _to_array(table["probability"], pa.float32(), num_classes),
        )
        scores.check()
    except (KeyError, ValueError, pa.ArrowException) as cause:
        raise ResultError(f"{path}: not scores of ours: {cause}") from None
    return scores


def _to_lists(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
    )


def _to_array(
    column: pa.ChunkedArray, kind: pa.DataType, num_classes: int
) -> npt.NDArray[Any]:
    expected = pa.list_(kind, num_classes)
    if column.type.id != expected.id or (
        (column.type.value_type, column.type.list_size) != (kind, num_classes)
    ):
        raise ValueError(f"expected a column of {expected}, got {column.type}.")
    values = column.combine_chunks().flatten()
    return values.to_numpy().reshape(-1, num_classes)
