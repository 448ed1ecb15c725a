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
  python -m builder.build --source=s3://bucket/BigEarthNet-v1.0 \
    --data_dir=s3://bucket/data --formats=parquet --engine=dask://scheduler:8786
  python -m builder.build --s2=BigEarthNet-S2.tar.zst --s1=BigEarthNet-S1.tar.zst \
    --maps=Reference_Maps.tar.zst --data_dir=data --config=v2-s1s2 --formats=parquet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from bigearthnet.engine.engines import ENGINES, Engine, LocalEngine, open_engine
from bigearthnet.engine.job import Job
from bigearthnet.engine.options import BuildOptions, count_workers
from bigearthnet.engine.places import check_places
from bigearthnet.engine.storage import open_scratch
from bigearthnet.formats import FORMATS, get_format
from bigearthnet.release import RELEASES
from bigearthnet.release.splits import COUNTRIES
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.store.outputs import check_output
from bigearthnet.store.result import BuildResult
from bigearthnet.util import command
from bigearthnet.util.options import look_up
from bigearthnet.util.remote import Place, RemotePath
from bigearthnet.util.wording import count_of
from builder.jobs import find_targets, make_source, run_job, telling_how_to_resume
from builder.sources import define_flags, find_sources, read_flags
from builder.summary import summarize


def build(
    source: Place | Mapping[str, Place],
    data_dir: Place,
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
        data_dir: Where the result goes; made if missing. At a URL, the engine's
            machines write there; see `engine.remote_work`.
        config: What to store.
        options: Selection and workers.
        formats: Names of the formats to write; see `formats.FORMATS`.
        restart: Deletes an interrupted build first.
        engine: Runs it, on machines that see source and data directory under the same
            paths or URLs; None for this machine alone, which does tasks one after
            another if one of them is at a URL.

    Returns:
        What was read and written.

    Raises:
        OptionError: If a result is there already, a format cannot be built, a package
            that it needs is not installed, an unfinished build of something else is in
            the way, or the data directory lies where nothing may be written.
        ArchiveError, PatchError, ChecksumError, DiskSpaceError, QuarantineError,
            JournalError: See `engine.pipeline.run`.
        DownloadError, StoreError: If something at a URL cannot be had or written.
    """
    if isinstance(data_dir, Path):
        check_output(data_dir, "data_dir")
    find_targets(data_dir, config, formats)
    if not isinstance(source, Mapping):
        source = find_sources(config, source, {})
    archive = config.release.archive
    sources = tuple(make_source(archive(name), path) for name, path in source.items())
    job = Job(config, sources, tuple(formats), options)
    if any(isinstance(place, RemotePath) for place in (data_dir, *source.values())):
        engine = engine or LocalEngine()
    check_places(data_dir, config, sources)
    if isinstance(data_dir, Path):
        return run_job(job, data_dir, restart=restart, engine=engine)
    with open_scratch(data_dir) as folder:
        return run_job(job, folder, restart=restart, engine=engine, url=data_dir)


def _define_flags() -> None:
    define_flags(takes_urls=True)
    command.define_place("data_dir", "Where the result goes.", required=True)
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
        "and DATA_DIR under the same paths, or URLs. Its own options follow behind --.",
    )


def _name_workers(places: Sequence[Place], options: BuildOptions) -> str:
    """Says who does the work."""
    if flags.FLAGS.engine != "local":
        return str(flags.FLAGS.engine)
    if any(isinstance(place, RemotePath) for place in places):
        return "this process"
    return count_of(options.workers, "worker")


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
        + _name_workers([data_dir, *sources.values()], options)
    )
    with (
        open_engine(values.engine, arguments) as engine,
        telling_how_to_resume(data_dir, config),
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
    targets = find_targets(data_dir, config, formats)
    print(summarize(result, targets))
    if isinstance(data_dir, Path):
        print(f"next: python -m builder.verify --data_dir={data_dir} --quick")
    elif tables := [place for name, place in targets.items() if "parquet" in name]:
        place = tables[0].parent if config.parts[0].choice.part else tables[0]
        print(f'next: bigearthnet.load("train", "{place}", config="{config.name}")')


if __name__ == "__main__":
    command.run(_main, _define_flags, takes_arguments=True)
