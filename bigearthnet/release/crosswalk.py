"""Which patch of one release is which of another, and where each has put it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigearthnet.release import V1, V2
from bigearthnet.release.patch_ids import NAME_FIELDS
from bigearthnet.release.splits import join_ids, load_table, read_table

if TYPE_CHECKING:
    import pyarrow as pa


def crosswalk() -> pa.Table:
    """Lists the patches of v2.0 with their ids and splits in v1.0.

    Whoever trains on one release and tests on the other must know: half of the test
    split of v2.0 is in the train split of v1.0. 40,838 patches of v1.0 are not in v2.0.

    Returns:
        A row for each of the 549,488 patches of v2.0, by its id. Columns `v2_id`,
        `v1_id`, `s1_name` (string), `v2_split` and `v1_split`, of the official splits,
        and `v1_random_split`, of `s2-random` (dictionary of string).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    new, old = load_table(V2, "official"), load_table(V1, "official")
    names = join_ids(read_table(V2), NAME_FIELDS["s2v1_name"])
    rows = pc.index_in(names, value_set=old["patch_id"])
    return pa.table(
        {
            "v2_id": new["patch_id"],
            "v1_id": names,
            "s1_name": new["s1_name"],
            "v2_split": new["split"],
            "v1_split": old["split"].take(rows),
            "v1_random_split": load_table(V1, "random")["split"].take(rows),
        }
    )
