r"""Makes stores of other formats, or without some patches, of the store that is there.

The archive is not needed: what is made is, byte for byte, what a build from it would
have made with the same packages. Any store that has the bands will do, in whatever
format; every part of it that is read is compared with its checksum. A conversion that
was interrupted is resumed when the same command is run again.

Tables of v2-s1s2 are made part by part, each of the store of that part.

--drop names a file of patch ids, one a line. They are left out of all stores that are
made, and listed in quarantine.jsonl, as a build does with bad patches: the other files
are those of a build that had set the same patches aside. The stores of a data directory
have the same patches, so that --output must be another one.

Example:
  python -m builder.convert --data_dir=data --formats=tfrecord,arrow
  python -m builder.convert --data_dir=data --formats=tfrecord --config=s2-rgb
  python -m builder.convert --data_dir=data --formats=parquet --drop=doubtful.txt \
    --output=checked
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from bigearthnet.engine.job import Job, list_parts
from bigearthnet.engine.options import BuildOptions, count_workers
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.store.nearby import is_store
from bigearthnet.store.remote import open_origin
from bigearthnet.store.result import BuildResult
from bigearthnet.util import command
from builder.jobs import find_targets, run_job, telling_how_to_resume
from builder.summary import summarize


def convert(
    data_dir: Path,
    config: Config,
    formats: Sequence[str],
    options: BuildOptions,
    *,
    output: Path | None = None,
    drop: Sequence[str] = (),
    restart: bool = False,
) -> BuildResult:
    """Makes stores of one that is there, or resumes doing so.

    Args:
        data_dir: The data directory that has a store, or the folder of a store.
        config: What to make.
        formats: Names of the formats to make.
        options: Workers and progress; the others have no meaning here.
        output: The data directory that the stores go to; None for the one that has the
            store.
        drop: Ids of the patches that are left out, and set aside.
        restart: Deletes an interrupted conversion first.

    Returns:
        What was read and written.

    Raises:
        OptionError: If there is no store that has the bands of the configuration, a
            result is there already, or what is made would not fit the other stores of
            the data directory, or the list of patches the store.
        StoreError, ShardError: If a store is damaged, or not what it says it is.
        DiskSpaceError, JournalError: As in `build`.
    """
    target = output or data_dir
    find_targets(target, config, formats)
    store = open_origin(data_dir, config)
    if is_store(target):
        raise OptionError(
            f"{target} is a store, in which nothing else is written: name the data "
            "directory for what is made with --output."
        )
    if drop and target.absolute() == data_dir.absolute():
        raise OptionError(
            f"drop: the other stores of {data_dir} have these patches. Name another "
            "data directory for what is made with --output."
        )
    if not options.quiet:
        print(
            f"converts {store.place} to {', '.join(formats)} in {target}, by "
            f"{options.workers} workers",
            file=sys.stderr,
        )
    job = Job(config, (), tuple(formats), options, store, tuple(drop))
    return run_job(job, target, restart=restart)


def read_list(path: Path) -> list[str]:
    """Reads patch ids, one a line; empty lines, and what follows a #, are passed over.

    Raises:
        OptionError: If the file cannot be read, or has none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise OptionError(f"drop: {path} cannot be read: {cause}.") from None
    ids = [line.partition("#")[0].strip() for line in lines]
    if not (found := [patch_id for patch_id in ids if patch_id]):
        raise OptionError(f"drop: {path} is empty: expected patch ids, one a line.")
    return found


def _define_flags() -> None:
    command.define_path(
        "data_dir", None, "Data directory, or folder, of the store.", required=True
    )
    command.define_path("output", None, "Where the result goes; default: data_dir.")
    flags.DEFINE_list(
        "formats", None, f"Formats to write: {', '.join(FORMATS)}.", required=True
    )
    command.define_choice("config", "s2", [*list_configs(RELEASES)], "What to store.")
    command.define_path("drop", None, "File of patch ids to leave out, one a line.")
    flags.DEFINE_bool("restart", False, "Discard an unfinished build, and start again.")
    flags.DEFINE_integer("workers", count_workers(), "Processes that write shards.")


def _main() -> None:
    values = flags.FLAGS
    config = get_config(values.config, RELEASES)
    target = values.output or values.data_dir
    drop = read_list(values.drop) if values.drop else []
    find_targets(target, config, values.formats)
    for part in list_parts(config, values.formats):
        made, formats = part.config, [*part.stores.values()]
        with telling_how_to_resume(target, made):
            result = convert(
                values.data_dir,
                made,
                formats,
                BuildOptions(workers=values.workers),
                output=values.output,
                drop=drop,
                restart=values.restart,
            )
        print(summarize(result, find_targets(target, made, formats)))
    print(f"next: python -m builder.verify --data_dir={target} --quick")


if __name__ == "__main__":
    command.run(_main, _define_flags)
