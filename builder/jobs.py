"""Runs a build job in a data directory, and publishes what it made."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bigearthnet.engine.beside import find_beside
from bigearthnet.engine.engines import Engine
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job, JobSource, list_parts
from bigearthnet.engine.leftovers import IDENTITY, remove_leftovers
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.remote_work import open_remote_work
from bigearthnet.engine.spread import check_job
from bigearthnet.engine.storage import has_file
from bigearthnet.engine.workspace import Workspace, open_workspace, workspace_folder
from bigearthnet.errors import OptionError, QuarantineError
from bigearthnet.formats import FORMATS, get_format
from bigearthnet.release import Archive
from bigearthnet.schema.configs import Config, list_configs
from bigearthnet.store.outputs import check_output
from bigearthnet.store.result import BuildResult
from bigearthnet.util.paths import check_path
from bigearthnet.util.remote import Place, RemotePath, SomePlace
from bigearthnet.util.wording import count_of
from builder.at_url import check_url, find_workspace, publish
from builder.completion import check_installed, complete_folders, complete_store


def find_targets(
    data_dir: SomePlace, config: Config, formats: Sequence[str]
) -> dict[str, SomePlace]:
    """Returns name of each store that is made → its folder.

    Raises:
        OptionError: If a format is unknown, or cannot store the configuration.
    """
    for name in formats:
        if get_format(name).has_columns and not config.parts:
            others = list_configs([config.release]).values()
            tables = next(other.name for other in others if other.columns)
            raise OptionError(
                f"the config {config.name} cannot be built as {name}: expected "
                f"tfrecord. The 8-bit pictures of the config {tables} are its column "
                "preview."
            )
    if not formats:
        raise OptionError(f"no format: expected some of {', '.join(FORMATS)}.")
    return {
        store: data_dir / FORMATS[form].store_folder(Path(), part.config).as_posix()
        for part in list_parts(config, formats)
        for store, form in part.stores.items()
    }


def make_source(archive: Archive, path: Place) -> JobSource:
    """Returns a source; a file named like the published one must have its checksum.

    Args:
        archive: The published archive that it is, or is laid out like.
        path: An archive or a folder.

    Raises:
        OptionError: If it is no path, but the text of a URL.
    """
    if isinstance(path, RemotePath):
        return JobSource(archive, path)
    check_path(path, "source")
    digest = archive.published_digest(path.name) if path.is_file() else None
    return JobSource(archive, path, digest)


def run_job(
    job: Job,
    data_dir: Path,
    *,
    restart: bool = False,
    engine: Engine | None = None,
    url: RemotePath | None = None,
) -> BuildResult:
    """Makes the stores of a job in a data directory, or resumes doing so.

    Args:
        job: What is made, and of what.
        data_dir: Where the result goes; made if missing.
        restart: Deletes an interrupted build first.
        engine: See `build.build`.
        url: The data directory where the result goes instead; `data_dir` is an empty
            folder then, which gets all but the shards.

    Returns:
        What was read and written.

    Raises:
        OptionError and others: See `build.build`.
    """
    config = job.config
    check_output(data_dir, "data_dir")
    targets = find_targets(data_dir, config, job.formats)
    check_installed(job.formats)
    folder = workspace_folder(data_dir, config)
    job = dataclasses.replace(job, beside=find_beside(data_dir, config))
    if engine is not None:
        check_job(job)
    identity, remote = identify_build(job), None
    if url is not None:
        below = [target.relative_to(data_dir).as_posix() for target in targets.values()]
        check_url(url, job, below, restart)
        place = find_workspace(url, job)
        remote = open_remote_work(place, identity, folder, restart=restart)
    restart = restart and remote is None
    with open_workspace(folder, identity, restart=restart, remote=remote) as work:
        work.check_targets(targets)  # here, where no other build can finish
        if not job.options.quiet:
            _tell(job, work)
        for target in targets.values():
            remove_leftovers(target)
        result = run(job, work, engine)
        for part in job.parts if not work.is_published else ():
            chosen = result.choose(part.config, part.stores)
            for store, form in part.stores.items():
                shards = None if remote is None else remote.output(store)
                complete_store(form, work.output(store), chosen, data_dir, shards)
        work.publish(targets)
        find_shards = None if remote is None else remote.output
        complete_folders(data_dir, job, targets, find_shards)
        if remote is not None and url is not None:
            publish(remote, data_dir, url, targets, job, result.shards)
        work.is_over = True
    return result


def _tell(job: Job, work: Workspace) -> None:
    """Says what else decides what is done: an earlier run, and a store beside."""
    if work.is_continued:
        print(f"resuming the build in {work.place}", file=sys.stderr)
    if job.beside is not None and job.store is None:
        count = job.beside.manifest["patches"]["stored"]
        print(
            f"stores the {count_of(count, 'patch')} of {job.beside.folder}, which it "
            "is read together with, and no others",
            file=sys.stderr,
        )


@contextmanager
def telling_how_to_resume(data_dir: Place, config: Config) -> Iterator[None]:
    """Says after an error, where it is true, that what is done is kept.

    Args:
        data_dir: The data directory.
        config: What is built there.
    """
    try:
        yield
    except (OptionError, QuarantineError):  # the same command would end likewise
        raise
    except BaseException:
        folder = data_dir / workspace_folder(Path(), config).name
        with suppress(OSError):
            if has_file(folder / IDENTITY):
                print(
                    f"What is done is kept in {folder}: run the same command to "
                    "resume.",
                    file=sys.stderr,
                )
        raise
