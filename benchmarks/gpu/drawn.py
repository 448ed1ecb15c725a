"""An Arrow store of drawn pixels, where nothing but NumPy and pyarrow is compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bigearthnet.formats.arrow import ArrowSink
from bigearthnet.formats.columns import TableBuilder, make_arrow_schema
from bigearthnet.reading import open_shards
from bigearthnet.reading.reader import Reader
from bigearthnet.release import V1
from bigearthnet.schema.configs import get_config
from bigearthnet.util.files import DurableFile

# Digital numbers and labels are drawn below these: how fast they are read does not
# depend on what they say.
_DN, _LABEL = 4_000, 2


def write_patches(folder: Path, num_patches: int) -> Reader:
    """Writes bands and labels of patches that nobody saw, and opens them.

    Args:
        folder: Gets `drawn.arrow`; made if missing.
        num_patches: How many.

    Returns:
        Their reader, for `TorchPatches`.
    """
    config, draws = get_config("s2", [V1]), np.random.default_rng(0)
    vector = V1.label_sets[0].vector
    names = {vector, *(group.name for group in config.groups)}
    columns = tuple(column for column in config.columns if column.name in names)
    builder = TableBuilder(columns)
    folder.mkdir(parents=True, exist_ok=True)
    with DurableFile(folder, "drawn.arrow") as file:
        sink = ArrowSink(file, make_arrow_schema(columns))
        for number in range(1, num_patches + 1):
            builder.add(
                {
                    column.name: draws.integers(
                        _LABEL if column.name == vector else _DN,
                        size=column.shape,
                        dtype=column.dtype,
                    )
                    for column in columns
                }
            )
            if builder.is_full or number == num_patches:
                sink.write_table(builder.take())
        sink.close()
        file.finish()
    path = folder / "drawn.arrow"
    return open_shards("arrow", [path], [num_patches], columns, config=config)
