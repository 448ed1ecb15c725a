"""Builds one part of a pair of tables beside the other, of the same patches.

The finished store says which patches there are, and where each lies; all of them must
be in the sources, and no others are stored. So both have the bytes that one build of
both would have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.job import Job
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.stage_one import choose_rows
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import (
    BigEarthNetError,
    OptionError,
    PatchError,
    QuarantineError,
    ShardError,
)
from bigearthnet.formats import FORMATS
from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import Config
from bigearthnet.store import (
    MANIFEST,
    PATCHES,
    QUARANTINE,
    Store,
    read_patches,
)
from bigearthnet.store.quarantine import BadPatch, describe_reasons, read_quarantine
from bigearthnet.store.remote import AnyStore
from bigearthnet.store.scenes import SCENE_DTYPE, read_scenes
from bigearthnet.store.search import read_expected
from bigearthnet.util.files import write_text
from bigearthnet.util.wording import count_of


@dataclass(frozen=True)
class StoredRows:
    """What the table of patches of a store says of each row of the release's.

    Attributes:
        read: Whether it was read, shape (patch,).
        stored: Whether it is stored, shape (patch,).
        labels: Class ids as bit masks, shape (patch,), uint64.
        scenes: When and where it was taken, shape (patch,), SCENE_DTYPE.
    """

    read: npt.NDArray[np.bool_]
    stored: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint64]
    scenes: npt.NDArray[np.void]


def read_rows(store: AnyStore, patches: PatchIndex) -> StoredRows:
    """Reads the table of patches of a store.

    Raises:
        ShardError: If it has a patch that is not part of the release.
        StoreError: If an older version wrote the table, which lacks the scenes.
    """
    table = read_patches(store)
    found = [patches.find(patch_id) for patch_id in table["patch_id"].to_pylist()]
    rows = [row for row in found if row is not None]
    if len(rows) < len(found):
        raise ShardError(
            f"{store.place / PATCHES} has a patch that is not part of the release. "
            "Build or publish it again."
        )
    read, stored = np.zeros((2, len(patches)), np.bool_)
    labels = np.zeros(len(patches), np.uint64)
    read[rows] = True
    stored[rows] = table["stored"].to_numpy()
    labels[rows] = [encode_mask(ids) for ids in table["labels"].to_pylist()]
    scenes = np.zeros(len(patches), SCENE_DTYPE)
    scenes[rows] = read_scenes(table, patches.release)
    return StoredRows(read, stored, labels, scenes)


def read_aside(store: AnyStore) -> tuple[BadPatch, ...]:
    """Returns the bad patches that the build of a store set aside."""
    has_bad = bool(store.manifest["patches"]["quarantined"])
    return read_quarantine(store.place / QUARANTINE) if has_bad else ()


def find_beside(data_dir: Path, config: Config) -> Store | None:
    """Finds the store of another part of the tables that a configuration is a part of.

    Args:
        data_dir: The data directory.
        config: The configuration.

    Raises:
        ShardError, StoreError: If there is one that cannot be read.
    """
    for sibling in config.siblings:
        for form in FORMATS.values():
            folder = form.store_folder(data_dir.absolute(), sibling)
            if (folder / MANIFEST).is_file():
                return read_expected(folder, data_dir, [sibling])
    return None


def check_options(
    options: BuildOptions, beside: StoredRows, patches: PatchIndex
) -> None:
    """Refuses options that ask for other patches than the store beside has.

    Args:
        options: What was asked for; what nobody asked for asks for nothing.
        beside: What the store beside has.
        patches: The release's patches.

    Raises:
        OptionError: If it has patches that they leave out, or lacks some that they ask
            for and that its build has read.
    """
    given = {
        "include_excluded": options.include_excluded,
        "countries": options.countries,
        "limit": options.limit,
    }
    if not any(given.values()):
        return
    # That excluded patches are left out is the default, and not asked for.
    most = choose_rows(patches, replace(options, include_excluded=True))
    count = int(beside.stored.sum())
    is_full = options.limit is not None and count >= options.limit
    asked = choose_rows(patches, options) & (not is_full)
    if (
        (beside.stored & ~most).any()
        or (options.limit is not None and count > options.limit)
        or (beside.read & ~beside.stored & asked).any()
    ):
        names = ", ".join(name for name, value in given.items() if value)
        raise OptionError(
            f"{names}: the store beside has {count_of(count, 'patch')}, chosen "
            "otherwise, and what is built beside it gets the same, so that they are "
            "read as a pair. Leave that out, or name another data directory."
        )


def refuse_rows(
    missing: npt.NDArray[np.bool_],
    bad: Sequence[BadPatch],
    job: Job,
    work: Workspace,
    patches: PatchIndex,
) -> BigEarthNetError:
    """Returns the error of a build that lacks patches of the store beside it.

    Leaves their list beside the workspace, in the form that `builder.convert` takes.

    Args:
        missing: True for each patch that the store has and this build cannot store,
            shape (patch,).
        bad: What is wrong with patches of the sources.
        job: The build.
        work: Its workspace, which is over.
        patches: The release's patches.
    """
    work.is_over = True
    rows = np.flatnonzero(missing).tolist()
    if not rows:  # what is no patch of the release belongs to no row
        return PatchError(bad[0].reason, patch_id=bad[0].patch_id, file=bad[0].file)
    reasons = {patch.patch_id: patch.reason for patch in bad}
    names = [patches.names(archive.ids) for archive in job.config.archives]
    lines = []
    for row in rows:
        found = [reasons[n.name(row)] for n in names if n.name(row) in reasons]
        reason = " ".join(" ".join(found).split())
        lines.append(f"{patches.patch_id(row)}  # {reason}\n")
    path = work.drop_list
    write_text("".join(lines), path)
    assert job.beside is not None
    other, data_dir = job.beside, work.folder.parent
    formats = [
        name
        for name, form in FORMATS.items()
        if (form.store_folder(data_dir, other.config) / MANIFEST).is_file()
    ]
    count = int(other.manifest["patches"]["stored"])
    problem = (
        f"{len(rows):,} of the {count_of(count, 'patch')} of {other.folder} cannot "
        "be stored "
        f"beside it: {describe_reasons(bad)} {path} lists them."
    )
    if len(rows) == count:  # nothing would be left without them
        sources = ", ".join(str(source.path) for source in job.sources)
        return QuarantineError(
            f"{problem} Check that {sources} is of the same patches."
        )
    return QuarantineError(
        f"{problem} Mend the source; or make the other store without them, in another "
        f"data directory, and build {job.config.name} there: python -m builder.convert "
        f"--data_dir={data_dir} --config={other.config.name} "
        f"--formats={','.join(formats)} --drop={path} --output=NEW_DATA_DIR"
    )
