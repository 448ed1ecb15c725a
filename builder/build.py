r"""Builds the shards of one configuration from an archive or a folder of patches.

The source is read once and never extracted; every format that is asked for is written
in the same pass:

  tfrecord  DATA_DIR/bigearthnet/<config>/<version>/, a complete TensorFlow Datasets
            directory for `tfds.load("bigearthnet/<config>", data_dir=DATA_DIR)`
  parquet   DATA_DIR/huggingface/, ready to upload to a hub, for
            `datasets.load_dataset("DATA_DIR/huggingface", "s2-43")`
  arrow     DATA_DIR/arrow/, mapped into memory by
            `datasets.load_from_disk("DATA_DIR/arrow")`

The folders of the config s2-random end in -random; those of v2.0 are huggingface-v2/s2
and /s1, arrow-v2/s2 and /s1. Tables of v2-s1s2 are this pair: v2-s2 and v2-s1, of the
same patches in the same order. Either can be built later, beside the other, and then
stores the patches of that one; if some are missing or bad in its archive, they are
listed, and nothing is built. What is made of several archives finds them in the folder
SOURCE, or each by its name (--s2, --s1, --maps). DATA_DIR/patches.parquet
(patches-random.parquet) is the table of every patch that was read by the latest build;
each store keeps its own, too. Nothing appears under its final name before the whole
build is finished. A build that was interrupted, by Ctrl-C, a crash or a loss of power,
is resumed when the same command is run again.

Example:
  python -m builder.build --source=BigEarthNet-S2-v1.0.tar.gz --data_dir=data
  python -m builder.build --source=BigEarthNet-v1.0 --data_dir=d --formats=parquet,arrow
  python -m builder.build --source=doubtful.tar --data_dir=data --on_error=quarantine
  python -m builder.build --source=downloads --data_dir=data --config=v2-s1s2
  python -m builder.build --source=/nfs/BigEarthNet-v1.0 --data_dir=/nfs/data \
    --engine=dask://scheduler:8786 -- distributed.comm.timeouts.connect=60s
  python -m builder.build --s2=BigEarthNet-S2.tar.zst --s1=BigEarthNet-S1.tar.zst \
    --maps=Reference_Maps.tar.zst --data_dir=data --config=v2-s1s2 --formats=parquet
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from absl import flags

from bigearthnet.engine.beside import find_beside
from bigearthnet.engine.engines import ENGINES, Engine, open_engine
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job, JobSource, list_parts
from bigearthnet.engine.leftovers import remove_leftovers
from bigearthnet.engine.options import BuildOptions, count_workers
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.places import check_places
from bigearthnet.engine.spread import check_job
from bigearthnet.engine.workspace import (
    Workspace,
    open_workspace,
    workspace_folder,
)
from bigearthnet.errors import OptionError, QuarantineError
from bigearthnet.formats import FORMATS, get_format
from bigearthnet.release import RELEASES, Archive
from bigearthnet.release.splits import COUNTRIES
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.store.outputs import check_output
from bigearthnet.store.result import BuildResult
from bigearthnet.util import command
from bigearthnet.util.options import look_up
from bigearthnet.util.paths import check_path
from bigearthnet.util.wording import count_of
from builder.completion import check_installed, complete_folders, complete_store
from builder.sources import define_flags, find_sources, read_flags
from builder.summary import summarize


def find_targets(
    data_dir: Path, config: Config, formats: Sequence[str]
) -> dict[str, Path]:
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
        store: FORMATS[form].store_folder(data_dir, part.config)
        for part in list_parts(config, formats)
        for store, form in part.stores.items()
    }


def make_source(archive: Archive, path: Path) -> JobSource:
    """Returns a source; a file named like the published one must have its checksum.

    Args:
        archive: The published archive that it is, or is laid out like.
        path: An archive or a folder.

    Raises:
        OptionError: If the path is a URL.
    """
    check_path(path, "source")
    digest = archive.published_digest(path.name) if path.is_file() else None
    return JobSource(archive, path, digest)


def build(
    source: Path | Mapping[str, Path],
    data_dir: Path,
    config: Config,
    options: BuildOptions,
    *,
    formats: Sequence[str] = ("tfrecord",),
    restart: bool = False,
    engine: Engine | None = None,
) -> BuildResult:
    """Builds one configuration into a data directory, or resumes an earlier build.

    Args:
        source: An archive or a folder, or the folder that holds all archives of the
            configuration; or name of each archive → its file or folder.
        data_dir: Where the result goes; made if missing.
        config: What to store.
        options: Selection and workers.
        formats: Names of the formats to write; see `formats.FORMATS`.
        restart: Deletes an interrupted build first.
        engine: Runs it, on machines that see source and data directory under the same
            paths; None for this machine alone.

    Returns:
        What was read and written.

    Raises:
        OptionError: If a result is there already, a format cannot be built, a package
            that it needs is not installed, an unfinished build of something else is in
            the way, or the data directory lies where nothing may be written.
        ArchiveError, PatchError, ChecksumError, DiskSpaceError, QuarantineError,
            JournalError: See `engine.pipeline.run`.
    """
    check_output(data_dir, "data_dir")
    find_targets(data_dir, config, formats)
    if not isinstance(source, Mapping):
        source = find_sources(config, source, {})
    archive = config.release.archive
    sources = tuple(make_source(archive(name), path) for name, path in source.items())
    job = Job(config, sources, tuple(formats), options)
    check_places(data_dir, config, sources)
    return run_job(job, data_dir, restart=restart, engine=engine)


def run_job(
    job: Job, data_dir: Path, *, restart: bool = False, engine: Engine | None = None
) -> BuildResult:
    """Makes the stores of a job in a data directory, or resumes doing so.

    Args:
        job: What is made, and of what.
        data_dir: Where the result goes; made if missing.
        restart: Deletes an interrupted build first.
        engine: See `build`.

    Returns:
        What was read and written.

    Raises:
        OptionError and others: See `build`.
    """
    config = job.config
    check_output(data_dir, "data_dir")
    targets = find_targets(data_dir, config, job.formats)
    check_installed(job.formats)
    folder = workspace_folder(data_dir, config)
    job = dataclasses.replace(job, beside=find_beside(data_dir, config))
    if engine is not None:
        check_job(job)
    with open_workspace(folder, identify_build(job), restart=restart) as work:
        work.check_targets(targets)  # here, where no other build can finish
        if not job.options.quiet:
            _tell(job, work)
        for target in targets.values():
            remove_leftovers(target)
        result = run(job, work, engine)
        for part in job.parts if not work.is_published else ():
            chosen = result.choose(part.config, part.stores)
            for store, form in part.stores.items():
                complete_store(form, work.output(store), chosen, data_dir)
        work.publish(targets)
        complete_folders(data_dir, job, targets)
        work.is_over = True
    return result


def _tell(job: Job, work: Workspace) -> None:
    """Says what else decides what is done: an earlier run, and a store beside."""
    if work.is_continued:
        print(f"resuming the build in {work.folder}", file=sys.stderr)
    if job.beside is not None and job.store is None:
        count = job.beside.manifest["patches"]["stored"]
        print(
            f"stores the {count_of(count, 'patch')} of {job.beside.folder}, which it "
            "is read together with, and no others",
            file=sys.stderr,
        )


def _define_flags() -> None:
    define_flags()
    command.define_path("data_dir", None, "Where the result goes.", required=True)
    flags.DEFINE_list(
        "formats", ["tfrecord"], f"Formats to write: {', '.join(FORMATS)}."
    )
    command.define_choice("config", "s2", [*list_configs(RELEASES)], "What to store.")
    flags.DEFINE_bool(
        "include_excluded",
        False,
        "Also store the patches with snow, clouds or without a BEN19 label, as split "
        "'excluded', in v2.0 as 'excluded_train' and so on.",
    )
    flags.DEFINE_integer("limit", None, "Stop after as many stored patches.")
    flags.DEFINE_list("countries", [], f"Only these: {', '.join(COUNTRIES)}.")
    command.define_choice(
        "on_error",
        "fail",
        ["fail", "quarantine"],
        "What becomes of a bad patch: end the build, or set it aside, list it in "
        "quarantine.jsonl, and build the others.",
    )
    flags.DEFINE_integer(
        "max_bad", 100, "More bad patches than these end the build all the same."
    )
    flags.DEFINE_bool("restart", False, "Discard an unfinished build, and start again.")
    flags.DEFINE_integer("workers", count_workers(), "Processes that write shards.")
    flags.DEFINE_integer(
        "decompressors",
        1,
        "Threads that decompress one .tar.gz; several need the extra [rapidgzip], and "
        "several cores.",
    )
    flags.DEFINE_string(
        "engine",
        "local",
        f"What runs the build: {', '.join(ENGINES)}. All its machines must see SOURCE "
        "and DATA_DIR under the same paths. Its own options follow behind --.",
    )


@contextmanager
def telling_how_to_resume(folder: Path) -> Iterator[None]:
    """Says after an error, where it is true, that what is done is kept.

    Args:
        folder: The workspace of the build.
    """
    try:
        yield
    except (OptionError, QuarantineError):  # the same command would end likewise
        raise
    except BaseException:
        if folder.exists():
            print(
                f"What is done is kept in {folder}: run the same command to resume.",
                file=sys.stderr,
            )
        raise


def _main(arguments: list[str]) -> None:
    values = flags.FLAGS
    data_dir = values.data_dir
    config = get_config(values.config, RELEASES)
    options = BuildOptions(
        include_excluded=values.include_excluded,
        limit=values.limit,
        countries=tuple(
            look_up(dict(zip(COUNTRIES, COUNTRIES, strict=True)), name, "country")
            for name in values.countries
        ),
        workers=values.workers,
        decompressors=values.decompressors,
        max_bad=values.max_bad if values.on_error == "quarantine" else None,
    )
    formats = [get_format(name).name for name in values.formats]
    sources = read_flags(config)
    print(
        f"builds {config.name} of {config.release.name} from "
        f"{', '.join(map(str, sources.values()))}: "
        f"{', '.join(formats)} in {data_dir}, by "
        + (f"{options.workers} workers" if values.engine == "local" else values.engine)
    )
    with (
        open_engine(values.engine, arguments) as engine,
        telling_how_to_resume(workspace_folder(data_dir, config)),
    ):
        result = build(
            sources,
            data_dir,
            config,
            options,
            formats=formats,
            restart=values.restart,
            engine=None if values.engine == "local" else engine,
        )
    print(summarize(result, find_targets(data_dir, config, formats)))
    print(f"next: python -m builder.verify --data_dir={data_dir} --quick")


if __name__ == "__main__":
    command.run(_main, _define_flags, takes_arguments=True)
