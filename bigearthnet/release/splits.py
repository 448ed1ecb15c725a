"""Split, country, season and flags of every patch id, as one Arrow table.

A patch's split is part of the stored bytes (shards are per split and ordered by a
hash salted with its name): a change here is a new major version of the dataset.

The facts come from the official lists and tables (`checksums/official_*.tsv`);
`python -m builder.patch_table` makes the package data from them.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release.model import Release
from bigearthnet.release.patch_ids import S1_IDS, IdCodec

if TYPE_CHECKING:
    import pyarrow as pa

# Meteorological seasons: winter is December to February.
SEASONS = ("winter", "spring", "summer", "autumn")
COUNTRIES = (
    "Austria",
    "Belgium",
    "Finland",
    "Ireland",
    "Kosovo",
    "Lithuania",
    "Luxembourg",
    "Portugal",
    "Serbia",
    "Switzerland",
)

_FLAGS = ("contains_seasonal_snow", "contains_cloud_or_shadow", "has_ben19")

# Where the shuffled filtered patches are cut: 60 % and 80 % of 519,339, the paper's
# proportions (Sumbul et al., 2019, section 4). The paper's own draw is unpublished.
TRAIN_FRACTION = 3, 5
TRAIN_VALIDATION_FRACTION = 4, 5


def load_table(release: Release, scheme: str) -> pa.Table:
    """Loads one row for every patch id of a release, sorted by patch id.

    Args:
        release: The release.
        scheme: `official`, the published lists (patches with snow, cloud or without a
            BEN19 label are `excluded`), or `random`, the paper's protocol: the
            patches without snow and cloud, sorted by the sha256 of
            `"0:{patch_id}"`, cut at 60 % and 80 %.

    Returns:
        Table of columns `patch_id` (string), `split`, `season`, `country`
        (dictionary of string), `contains_seasonal_snow`, `contains_cloud_or_shadow`
        and, in the first release, `has_ben19` (bool), and `s1_name` (string).

    Raises:
        OptionError: If the release has no such scheme.
    """
    import pyarrow as pa

    facts = read_table(release)
    split = get_split(facts, scheme)
    return pa.table(
        {
            "patch_id": join_ids(facts, release.ids),
            "split": _named(split, release.splits),
            "season": _named(facts["season"].to_numpy(), SEASONS),
            "country": _named(facts["country"].to_numpy(), COUNTRIES),
            **{name: facts[name] for name in _FLAGS if name in facts.schema.names},
            "s1_name": join_ids(facts, S1_IDS),
        }
    )


def get_split(table: pa.Table, scheme: str) -> npt.NDArray[np.uint8]:
    """Returns the split of every patch, as index into `Release.splits`.

    Args:
        table: The table of `read_table`.
        scheme: Name of the split scheme; the random one is drawn with seed 0.

    Returns:
        Shape (patch,), uint8.

    Raises:
        OptionError: If the table has no such scheme.
    """
    suffix = "_split"
    schemes = [n.removesuffix(suffix) for n in table.schema.names if suffix in n]
    if scheme not in schemes:
        raise OptionError(
            f"unknown split scheme: expected one of {', '.join(schemes)}, got "
            f"{scheme!r}."
        )
    column: npt.NDArray[np.uint8] = table[f"{scheme}{suffix}"].to_numpy()
    return column


def read_table(release: Release) -> pa.Table:
    """Reads the compact table of a release, as `builder.patch_table` makes it.

    Returns:
        One row per patch, sorted by patch id. Of each name, `IdCodec.prefix_column`
        (dictionary of string); `column` and `row` of the patch in its tile, uint8; for
        each split scheme `<scheme>_split`, uint8; `country`, uint8; and the columns
        that the release's fields and labels need.
    """
    import pyarrow.parquet as pq

    with _table_path(release).open("rb") as file:
        # Not `ParquetFile`: `read_table` imports pandas, where it is installed, before
        # `to_numpy` does so from C++, where Ctrl-C is lost and imports wait for ever.
        return pq.read_table(file).combine_chunks()


def hash_table(release: Release) -> str:
    """Returns the sha256 of the file of a release's table."""
    return hashlib.sha256(_table_path(release).read_bytes()).hexdigest()


def _table_path(release: Release) -> Path:
    # Joined to another path, an absolute one stays as it is.
    return Path(str(resources.files("bigearthnet"))) / "data" / release.table


def join_ids(table: pa.Table, ids: IdCodec) -> pa.Array:
    """Puts ids together; the vectorized form of `IdCodec.join`.

    Args:
        table: The table of `read_table`, or some of its rows.
        ids: How the ids are written.

    Returns:
        The ids, shape (patch,), string.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [table[ids.prefix_column].cast(pa.string())]
    for number in ("column", "row"):
        text = table[number].cast(pa.string())
        parts.append(pc.utf8_lpad(text, ids.digits, "0"))
    joined = pc.binary_join_element_wise(*parts, "_")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _named(codes: npt.NDArray[np.uint8], names: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(codes.astype(np.int8), list(names))


def draw_random_split(
    patch_ids: pa.Array, filtered: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.uint8]:
    """Draws the 60/20/20 split of the paper's protocol.

    Args:
        patch_ids: All patch ids, shape (patch,).
        filtered: True where the patch takes part, shape (patch,).
        seed: Any integer.

    Returns:
        Index into (train, validation, test, excluded) of every patch, shape (patch,),
        uint8.
    """
    rows = np.flatnonzero(filtered)
    digests = [
        hashlib.sha256(f"{seed}:{patch_id}".encode()).digest()
        for patch_id in patch_ids.take(rows).to_pylist()
    ]
    # dtype S would ignore trailing zero bytes, object compares whole digests.
    order = rows[np.argsort(np.array(digests, dtype=object), kind="stable")]
    cuts = [
        len(rows) * numerator // denominator
        for numerator, denominator in (TRAIN_FRACTION, TRAIN_VALIDATION_FRACTION)
    ]
    split = np.full(len(filtered), len(cuts) + 1, np.uint8)
    for code, part in enumerate(np.split(order, cuts)):
        split[part] = code
    return split
