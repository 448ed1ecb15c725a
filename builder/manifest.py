"""Records the manifests of a finished build in checksums/, as a release of the data.

The manifest.json of a store holds the sha256 of every shard, so that its own checksum
stands for the whole store. checksums/stores.tsv lists those of each release of the
data; `builder.verify --release` compares a download with it. Stores are verified first,
and must be complete: every patch of the official lists, none set aside, none made up.

Example:
  python -m builder.manifest --data_dir=data
  python -m builder.manifest --data_dir=data --release
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from absl import flags

from bigearthnet.errors import OptionError, PublishError
from bigearthnet.release import RELEASES, Release
from bigearthnet.store.search import find_stores
from bigearthnet.util import command
from bigearthnet.util.files import write_text
from builder.checksums import (
    COLUMNS,
    STORES,
    describe_store,
    find_table,
    key,
    read_table,
)
from builder.publishing.readiness import ALLOWED, check_ready, find_objections
from builder.table import format_table


def record(
    data_dir: Path,
    path: Path,
    *,
    allow: Collection[str] = (),
    releases: Sequence[Release] = RELEASES,
    quiet: bool = False,
) -> list[dict[str, str]]:
    """Verifies the stores of a data directory, and adds them to the table.

    Args:
        data_dir: The data directory.
        path: The table.
        allow: What is no objection; names of `readiness.ALLOWED`.
        releases: The releases that stores may be of.
        quiet: Shows no progress.

    Returns:
        All lines of the table.

    Raises:
        PublishError: If a store is damaged, incomplete, or has made-up patches.
        OptionError: If the table has another checksum of one of them.
        StoreError, ShardError: If there is no store, or it cannot be read.
    """
    stores = find_stores(data_dir, releases)
    for store in stores:
        for reason, problem in find_objections(store):
            if reason not in allow:
                raise PublishError(
                    f"{store.folder}: {problem}. A release of the data is whole: build "
                    "it from the whole archive."
                )
    check_ready(data_dir, stores, ALLOWED.keys() - {"unverified"}, quiet=quiet)
    lines = {key(line): line for line in read_table(path)}
    for store in stores:
        line = describe_store(store)
        if lines.setdefault(key(line), line) != line:
            raise OptionError(
                f"{path} has another manifest of {' '.join(key(line))}: expected "
                f"sha256 {lines[key(line)]['manifest_sha256']}, got "
                f"{line['manifest_sha256']}. What was released does not change: raise "
                "the version of the data."
            )
    found = [lines[key] for key in sorted(lines)]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    write_text(text.getvalue(), path)
    return found


def _define_flags() -> None:
    command.define_path("data_dir", None, "What was built.", required=True)
    flags.DEFINE_bool(
        "release", False, "Write into checksums/ of this clone; otherwise only show."
    )


def _main() -> None:
    values = flags.FLAGS
    if values.release:
        path = find_table(STORES)
        print(f"adds the stores of {values.data_dir} to {path}", file=sys.stderr)
        lines = record(values.data_dir, path)
    else:
        print(
            f"shows the manifests of {values.data_dir}; --release writes them into "
            "checksums/",
            file=sys.stderr,
        )
        lines = [describe_store(s) for s in find_stores(values.data_dir, RELEASES)]
    print(format_table(COLUMNS, [[line[name] for name in COLUMNS] for line in lines]))
    if values.release:
        print(f"written to {path}\nnext: commit it, then python -m builder.publish")


if __name__ == "__main__":
    command.run(_main, _define_flags)
