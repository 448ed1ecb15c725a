"""Both stages as tasks of an engine, over a workspace that all its machines see.

A task can be done again, and twice at the same time: each try writes in a folder of its
own, and gives what is whole the name that depends on the task alone. A part of a source
writes one bucket of each split, with the number of the part; its index; and last, what
it read, by which another try knows that there is nothing left to do.

    spool-<lane>/<split>-<part>     a bucket; at a URL, in the order of keys
    spool-<lane>/<part name>.index  its index; .json: what was read
    attempts-<random>/              what tries of this run of the build are writing;
                                    for a URL, it is on the machine of the try
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigearthnet.engine.job import Job
from bigearthnet.engine.shards import ShardTask, write_shard
from bigearthnet.engine.spool import SpoolWriter, sort_buckets
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import SpooledSource, read_index
from bigearthnet.engine.stage_one import check_source, choose_rows, spool_patches
from bigearthnet.engine.storage import deliver, fetch_spools, has_file, open_scratch
from bigearthnet.errors import ArchiveError
from bigearthnet.release.patch_index import load_index
from bigearthnet.source.parts import Part, PartSource, open_part
from bigearthnet.store.quarantine import Quarantine
from bigearthnet.store.result import ShardInfo
from bigearthnet.util.files import hash_file, write_bytes, write_json
from bigearthnet.util.remote import Place, RemotePath


@dataclass(frozen=True)
class PartTask:
    """One part of a source to spool, as a value for another machine.

    Attributes:
        job: The build.
        part: The part.
        earlier: Index of the spool of each source before this one → its checksum.
        spool: Folder of the spool of the source.
        attempts: See `open_scratch`.
        quarantine: Where the list is left if there are too many bad patches.
    """

    job: Job
    part: Part
    earlier: Mapping[Place, str]
    spool: Place
    attempts: Place
    quarantine: Place


def spool_part(task: PartTask) -> int:
    """Reads one part of a source, and leaves buckets, index and summary in its spool.

    Returns:
        Patches that this try read, which are none if another has done it.

    Raises:
        ArchiveError, ChecksumError, PatchError, QuarantineError: See `pipeline.run`.
        OSError: If something cannot be read or written.
    """
    part, done = task.part, task.spool / f"{task.part.name}.json"
    if has_file(done):
        return 0
    with open_scratch(task.attempts) as folder:
        index, found = _read_part(task, folder)
        buckets = [path.name for path in folder.iterdir()]
        file = f"{part.name}.index"
        write_bytes(index.dump(), folder / file)
        found = dataclasses.replace(found, index_sha256=hash_file(folder / file))
        write_json(found.encode(), folder / done.name)
        names = (*buckets, file, done.name)
        deliver(folder, names, task.spool, task.attempts)
    return int(index.read.sum())


def _read_part(task: PartTask, folder: Path) -> tuple[SpoolIndex, SpooledSource]:
    """Writes the buckets of a part; returns its index, and what was read."""
    part, job = task.part, task.job
    options = dataclasses.replace(job.options, quiet=True)
    patches = load_index(job.config.release, job.config.choice.scheme)
    earlier = [_load_index(*item, len(patches)) for item in task.earlier.items()]
    stored = [index.stored for index in earlier]
    wanted = np.logical_and.reduce([choose_rows(patches, options), *stored])
    quarantine = None
    if options.max_bad is not None:
        quarantine = Quarantine(options.max_bad, task.quarantine)
    index = SpoolIndex(len(patches))
    source = open_part(part, patches)
    with source, SpoolWriter(folder, index, patches, part.number) as writer:
        first = earlier[0] if earlier else None
        places = spool_patches(
            source, writer, wanted, options, quarantine, first, is_whole=False
        )
        bad = () if quarantine is None else tuple(quarantine.patches)
        _check_part(source, task, int(index.read.sum()) + len(bad))
        if isinstance(task.spool, RemotePath):
            sort_buckets(folder, index, patches, part.number)
        else:
            writer.sync()
        members = source.members
        return index, SpooledSource(
            part.archive.name,
            members.nbytes,
            members.digests.get("sha256"),
            bad,
            "",
            dict(members.litter.counts),
            places,
        )


def _load_index(path: Place, sha256: str, num_patches: int) -> SpoolIndex:
    index = SpoolIndex(num_patches)
    index.load(read_index(path, sha256))
    return index


def _check_part(source: PartSource, task: PartTask, num_read: int) -> None:
    """Checks that a part which was read to its end is what it was said to be."""
    part = task.part
    if source.missing:
        raise ArchiveError(
            f"{source.missing[0]} was in {part.place} when the build began, and is "
            "gone. Put it back, or build again with --restart."
        )
    if part.count == 1:
        (whole,) = (s for s in task.job.sources if s.archive == part.archive)
        check_source(source, whole, num_read)


@dataclass(frozen=True)
class ShardTry:
    """A shard to write, by a machine that may not be the only one to do it.

    Attributes:
        task: The shard.
        attempts: See `open_scratch`.
    """

    task: ShardTask
    attempts: Place


def try_shard(value: ShardTry) -> ShardInfo:
    """Writes one shard; arguments and errors as in `write_shard`, and `deliver`."""
    task, attempts = value.task, value.attempts
    with open_scratch(attempts) as folder:
        outputs = {store: folder / store for store in task.outputs}
        for output in outputs.values():
            output.mkdir()
        here = dataclasses.replace(task, outputs=outputs)
        if not isinstance(attempts, Path):
            (spools := folder / "spools").mkdir()
            here = fetch_spools(here, spools)
        info = write_shard(here)
        for store, file in info.files.items():
            deliver(outputs[store], [file.name], task.outputs[store], attempts)
    return info
