"""Refuses to publish a build that people should not get, unless that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bigearthnet.errors import PublishError
from bigearthnet.release.patch_index import load_index
from bigearthnet.store import PATCHES, QUARANTINE, Store
from bigearthnet.util.files import hash_file
from builder.checks import check_descriptions, check_files
from builder.verify import CheckResult, summarize, verify

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
    if "unverified" in allow:
        results = [_check_quickly(store) for store in stores]
    else:
        results = verify(data_dir, stores=stores, quiet=quiet)
        # 200 MB that Arrow would keep while the uploads need some.
        pa.default_memory_pool().release_unused()
    if any(result.num_differences for result in results):
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
            f"{facts['quarantined']:,} bad patches were set aside ({QUARANTINE})",
        )
    if synthetic := facts.get("synthetic"):
        yield "synthetic", f"{synthetic:,} patches are made up"


def _check_quickly(store: Store) -> CheckResult:
    """Checks all that needs no record to be read."""
    result = CheckResult(store.config.name, store.format.name, "files")
    result.run(check_files(store, set()))
    result.run(check_descriptions(store))
    result.run(_check_patches(store))
    return result


def _check_patches(store: Store) -> Iterator[str | None]:
    path = store.folder / PATCHES
    good = path.is_file() and hash_file(path) == store.manifest["patches"]["sha256"]
    yield None if good else f"{path} is missing, or belongs to another build"
