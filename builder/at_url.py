"""Publishes a build whose shards were written at a URL.

Nothing can be renamed there, so the order does it: shards are copied to their places by
the object store itself, then follows what is beside them, then manifests, and last what
makes stores loadable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bigearthnet.engine.job import Job
from bigearthnet.engine.leftovers import IDENTITY
from bigearthnet.engine.remote_work import RemoteWork, build_is_over, clear
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.store import MANIFEST
from bigearthnet.store.result import ShardInfo
from bigearthnet.util.progress import Progress
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.remote_files import copy_files, has_file, list_sizes, write_file
from builder.card import CARD
from builder.publishing.files import LOADABLE

# A file in the workspace that is there once a build begins to publish.
_PUBLISHING = "publishing"
# Shards that the object store copies at once, each in a request of its own.
_COPIES_AT_ONCE = 16


def find_workspace(url: RemotePath, job: Job) -> RemotePath:
    """Returns the folder in which a job is done for a data directory at a URL."""
    return url / workspace_folder(Path(), job.config).name


def check_url(url: RemotePath, job: Job, targets: Iterable[str], restart: bool) -> None:
    """Checks that nothing stands where the stores of a build go.

    Args:
        url: The data directory.
        job: The build.
        targets: The folder of each store, below the data directory.
        restart: Whether an interrupted build is discarded, and not resumed.

    Raises:
        OptionError: If something is there, or a part of the same tables, which is to
            have the same patches.
        DownloadError: If that cannot be found out.
    """
    for sibling in job.config.siblings:
        for form in FORMATS.values():
            folder = form.store_folder(Path(), sibling).as_posix()
            if has_file(url / folder / MANIFEST):
                raise OptionError(
                    f"{url / folder} is a part of the same tables: what is added to it "
                    "later is built where files can be renamed. Choose another "
                    f"data_dir, or build both parts with --config="
                    f"{(sibling.whole or sibling).name}."
                )
    work = find_workspace(url, job)
    is_begun = has_file(work / IDENTITY)
    if is_begun and not restart:
        return  # which may have been interrupted when it published
    for folder in targets:
        if list_sizes(url / folder):
            if not is_begun:  # of a build that was interrupted when it was over
                clear(work)
            raise OptionError(
                f"{url / folder} is there already. Delete it to build it again, or "
                "choose another data_dir."
            )


def publish(
    work: RemoteWork,
    data_dir: Path,
    url: RemotePath,
    targets: Mapping[str, Path],
    job: Job,
    shards: Iterable[ShardInfo],
) -> None:
    """Publishes the shards of a build, and what this machine has of their stores.

    What an earlier run has published already is published again: it is the same.

    Args:
        work: The workspace, in which the shards are.
        data_dir: The data directory on this machine: all but the shards.
        url: The data directory at the URL.
        targets: Name of each store → its folder in `data_dir`.
        job: The build.
        shards: What was written.

    Raises:
        OptionError: If something stands in their places that is of another build.
        EngineError: If the build was finished or discarded by another command.
        DownloadError, StoreError: If something cannot be copied or sent.
    """
    files = [(store, file) for shard in shards for store, file in shard.files.items()]
    places = {
        store: url / folder.relative_to(data_dir).as_posix()
        for store, folder in targets.items()
    }
    _check_begun(work, url)
    _begin(work, places.values())
    total = sum(file.nbytes for _, file in files)
    with Progress(
        "publish", total_nbytes=total, first_nbytes=0, quiet=job.options.quiet
    ) as progress:
        for first in range(0, len(files), _COPIES_AT_ONCE):
            _check_begun(work, url)
            some = files[first : first + _COPIES_AT_ONCE]
            copy_files([(work.output(s) / f.name, places[s] / f.name) for s, f in some])
            progress.add(0, sum(file.nbytes for _, file in some))
    _check_begun(work, url)
    for path in _sort_files(data_dir, targets, job):
        write_file(url / path.relative_to(data_dir).as_posix(), path)


def _begin(work: RemoteWork, places: Iterable[RemotePath]) -> None:
    """Notes that what stands in the places of stores is of this build from now on."""
    mark = work.folder / work.number / _PUBLISHING
    if has_file(mark):
        return
    there = next((place for place in places if list_sizes(place)), None)
    if there is not None and not has_file(mark):  # of another driver in the meantime
        raise OptionError(
            f"{there} is there since this build began, and not of it. Move it away, "
            "then run the same command again."
        )
    write_file(mark, b"\n")


def _check_begun(work: RemoteWork, url: RemotePath) -> None:
    if not has_file(work.begun):  # whose shards may be gone, and others be there
        raise build_is_over(url)


def _sort_files(
    data_dir: Path, targets: Mapping[str, Path], job: Job
) -> Iterator[Path]:
    """Yields what is beside shards, then manifests, then what makes stores loadable."""
    forms = {store: form for part in job.parts for store, form in part.stores.items()}
    last = {folder / LOADABLE[forms[store]] for store, folder in targets.items()}

    def rank(path: Path) -> int:
        if path in last or path.name == CARD:
            return 2
        return int(path.name == MANIFEST)

    work = workspace_folder(data_dir, job.config)
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    yield from sorted((f for f in files if work not in f.parents), key=rank)
