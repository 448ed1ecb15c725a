"""Peer: Hugging Face `datasets` alone, on our Parquet and Arrow stores.

What its guides teach: `load_dataset` copies a Parquet store into a cache of Arrow files
(before the clock starts) or streams it, `load_from_disk` maps an Arrow store. Columns
are chosen first, since ragged labels cannot be stacked. Only numpy, and only from
mapped files, gives uint16; all else becomes int64.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any

from clock import BATCH_SIZE, Clock, parse_arguments, report

_PASSES = 2
_BANDS = ("bands_10m", "bands_20m", "bands_60m")
_COLUMNS = {"numpy": _BANDS, "tensorflow": (*_BANDS, "multi_hot_43")}


def open_rows(arguments: Namespace) -> Any:
    """Opens the train split, in the order and with the columns asked for."""
    # Both are read when `datasets` is imported.
    os.environ["HF_HOME"] = str(arguments.work)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets

    streaming = bool(arguments.streaming)
    if (arguments.source / "dataset_dict.json").exists():
        rows = datasets.load_from_disk(arguments.source)["train"]
    else:
        rows = datasets.load_dataset(
            str(arguments.source), "s2-43", split="train", streaming=streaming
        )
    if arguments.order == "random":
        if streaming:
            sys.exit("a streamed data set has no random order")
        # In memory: otherwise the order is written into the store's folder.
        rows = rows.shuffle(seed=0, keep_in_memory=True)
    return rows.select_columns(list(_COLUMNS[arguments.format]))


def make_batches(
    rows: Any, form: str, streaming: bool
) -> Callable[[], Iterable[dict[str, Any]]]:
    """Returns a function that starts a pass over stacked batches.

    Args:
        rows: The opened split.
        form: `numpy` or `tensorflow`.
        streaming: Whether it is streamed; such a split knows no dtype, and no
            `to_tf_dataset`.
    """
    if form == "tensorflow" and not streaming:
        dataset = rows.to_tf_dataset(batch_size=BATCH_SIZE)
        return lambda: dataset
    dtype = {} if streaming else {"dtype": "uint16"}
    formatted = rows.with_format(form, **dtype)
    return lambda: formatted.iter(BATCH_SIZE)


def count_patches(batches: Iterable[dict[str, Any]]) -> int:
    """Reads all batches once, and counts the patches."""
    return sum(len(batch["bands_10m"]) for batch in batches)


def main() -> None:
    """Reads the train split; `--source` is a Parquet or an Arrow store."""
    arguments = parse_arguments(format=str, streaming=int, order=str)
    clock = Clock()
    rows = open_rows(arguments)
    start_pass = make_batches(rows, arguments.format, bool(arguments.streaming))
    count_patches(start_pass())
    with clock.running():
        patches = sum(count_patches(start_pass()) for _ in range(_PASSES))
    report(patches, clock.seconds)


if __name__ == "__main__":
    main()
