"""Refuses to publish a build that people should not get, unless that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bigearthnet.errors import PublishError
from bigearthnet.release.patch_index import load_index
from bigearthnet.store import QUARANTINE, Store
from bigearthnet.util.wording import count_of
from builder.findings import summarize
from builder.verify import verify

# What can be published all the same → what that means.
ALLOWED = {
    "incomplete": "patches of the official lists are missing",
    "quarantined": "bad patches were set aside",
    "synthetic": "patches are made up",
    "unverified": "only sizes and checksums are verified, no record is read",
}


def check_ready(
    data_dir: Path, stores: Sequence[Store], allow: Collection[str], *, quiet: bool
) -> None:
    """Verifies stores before they are published.

    Args:
        data_dir: Their data directory.
        stores: The stores.
        allow: Names of `ALLOWED`.
        quiet: Shows no progress.

    Raises:
        PublishError: If one is damaged, incomplete, has patches that were set aside or
            made up.
        OptionError: If a package that verifies is not installed.
    """
    for store in stores:
        for reason, problem in find_objections(store):
            if reason not in allow:
                raise PublishError(
                    f"{store.folder}: {problem}. To publish it all the same, use "
                    f"--allow={reason}."
                )
    quick = "unverified" in allow
    results = verify(data_dir, stores=stores, quick=quick, quiet=quiet)
    # 200 MB that Arrow would keep while the uploads need some.
    pa.default_memory_pool().release_unused()
    if any(result.num_differences or result.skipped for result in results):
        raise PublishError(
            f"{data_dir} is damaged, or not as it was built. Nothing was published. "
            f"Build again.\n{summarize(results)}"
        )


def find_objections(store: Store) -> Iterator[tuple[str, str]]:
    """Yields reasons not to publish a store: its name in `ALLOWED`, and a sentence."""
    release = store.config.release
    patches = load_index(release, store.config.choice.scheme)
    counts = np.bincount(patches.splits, minlength=len(release.splits))
    for split in release.kept_splits:
        expected, found = counts[release.splits.index(split)], store.num_patches(split)
        if found < expected:
            yield "incomplete", f"{split} has {found:,} of {expected:,} patches"
            break
    facts = store.manifest["patches"]
    if facts["quarantined"]:
        yield (
            "quarantined",
            f"set aside: {count_of(facts['quarantined'], 'bad patch')} ({QUARANTINE})",
        )
    if synthetic := facts.get("synthetic"):
        yield "synthetic", f"made up: {count_of(synthetic, 'patch')}"
