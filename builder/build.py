"""Builds the shards of one configuration from an archive or a folder of patches.

The result is a complete TensorFlow Datasets directory,
DATA_DIR/bigearthnet/<config>/<version>/, that `tfds.load("bigearthnet/<config>",
data_dir=DATA_DIR)` reads, and a table of every patch that was read,
DATA_DIR/patches.parquet (patches-random.parquet for the config s2-random), of the
latest build; each build keeps its own beside its shards.

The source is read once and never extracted. Nothing appears under its final name
before the whole build is finished.

Example:
  python -m builder.build --source=BigEarthNet-S2-v1.0.tar.gz --data_dir=data
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from absl import flags

from bigearthnet.config import CONFIGS, DATA_VERSION, Config, get_config
from bigearthnet.encoding.files import sync_folder
from bigearthnet.encoding.manifest import PATCHES, write_records
from bigearthnet.encoding.pipeline import BuildOptions, BuildResult, encode
from bigearthnet.errors import OptionError
from bigearthnet.patch_index import PatchIndex, load_index
from bigearthnet.release import V1, Release
from bigearthnet.splits import COUNTRIES, SPLITS
from builder import command
from builder.table import format_table

FORMATS = ("tfrecord",)


def store_folder(data_dir: Path, config: Config) -> Path:
    """Returns the folder of a configuration's TFRecord shards."""
    return data_dir / "bigearthnet" / config.name / DATA_VERSION


def patches_file(data_dir: Path, config: Config) -> Path:
    """Returns the table of patches of a configuration's split scheme."""
    name = Path(PATCHES)
    suffix = "" if config.scheme == "official" else f"-{config.scheme}"
    return data_dir / f"{name.stem}{suffix}{name.suffix}"


def build(
    source: Path,
    data_dir: Path,
    config: Config,
    options: BuildOptions,
    *,
    release: Release = V1,
    patches: PatchIndex | None = None,
) -> BuildResult:
    """Builds one configuration into a data directory.

    Args:
        source: An archive or a folder.
        data_dir: Where the result goes; made if missing.
        config: What to store.
        options: Selection and workers. A file that has the name of the release's
            archive is also checked against the release's checksum.
        release: What the source is.
        patches: The release's patches in the config's scheme; loaded if None.

    Returns:
        What was read and written.

    Raises:
        OptionError: If the result is there already, or TFDS is not installed.
        ArchiveError, PatchError, ChecksumError, DiskSpaceError: See `encoding.encode`.
    """
    tfds_builder = _load_tfds_builder()
    target = store_folder(data_dir, config)
    if target.exists():
        raise OptionError(
            f"{target} is there already. Delete it to build it again, or choose "
            "another data_dir."
        )
    start = time.monotonic()
    if patches is None:
        patches = load_index(config.scheme, release)
    if source.is_file() and source.name in release.filenames:
        options = dataclasses.replace(options, expected_sha256=release.sha256)
    with _staging_folder(target) as staging:
        result = encode(
            source,
            staging,
            config=config,
            release=release,
            patches=patches,
            options=options,
        )
        write_records(
            staging,
            result,
            config=config,
            release=release,
            patches=patches,
            source=source.name,
            seconds=time.monotonic() - start,
        )
        info = tfds_builder.Builder(data_dir=data_dir, config=config.name).info
        tfds_builder.set_splits(info, staging, result.shards)
        info.write_to_directory(staging)
        _publish(staging, target)
    copy = patches_file(data_dir, config)
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    shutil.copyfile(target / PATCHES, unfinished)
    unfinished.rename(copy)
    return result


def _publish(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if target.exists():
            raise OptionError(
                f"{target} is there already: another build was finished first."
            ) from None
        raise error
    sync_folder(target.parent)


def _load_tfds_builder() -> ModuleType:
    try:
        from bigearthnet import bigearthnet_dataset_builder
    except ImportError as cause:
        raise OptionError(
            f"TFRecord shards need TensorFlow Datasets ({cause}): "
            "install the extra [tfds]; see the README."
        ) from None
    return bigearthnet_dataset_builder


@contextmanager
def _staging_folder(target: Path) -> Iterator[Path]:
    """Makes a folder beside the target; after an error nothing is left of it."""
    missing = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    # TFDS's own name for a build that is not finished; it never reads from one.
    staging = Path(
        tempfile.mkdtemp(
            prefix="incomplete.", suffix=f"_{target.name}", dir=target.parent
        )
    )
    staging.chmod(0o755)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):  # not empty: somebody else's by now
                folder.rmdir()
        raise


def find_leftovers(target: Path) -> list[Path]:
    """Finds folders of builds of the same thing that were killed, or still run."""
    return sorted(target.parent.glob(f"incomplete.*_{target.name}"))


def summarize(result: BuildResult, target: Path, release: Release = V1) -> str:
    """Returns what a build did, for people."""
    rows = []
    absent = []
    for split in SPLITS:
        shards = [shard for shard in result.shards if shard.split == split]
        if not shards:
            absent += [split] if split != "excluded" else []
            continue
        nbytes = sum(shard.nbytes for shard in shards)
        patches = sum(shard.num_patches for shard in shards)
        rows.append((split, patches, len(shards), nbytes / 1e6))
    lines = [format_table(("split", "patches", "shards", "MB"), rows)]
    read, stored = int(result.index.read.sum()), int(result.index.stored.sum())
    lines.append(
        f"{read:,} of the {release.num_patches:,} patches of {release.name} read, "
        f"{stored:,} stored in {target}"
    )
    if result.index.num_synthetic:
        lines.append(f"{result.index.num_synthetic:,} of them are SYNTHETIC, not real")
    if result.source_nbytes is not None and result.source_sha256 is None:
        lines.append("the source was not read to its end: its checksum is not checked")
    if absent:
        lines.append(f"without a patch, and so left out: {', '.join(absent)}")
    return "\n".join(lines)


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "Archive or folder of patches.", required=True)
    flags.DEFINE_string("data_dir", None, "Where the result goes.", required=True)
    flags.DEFINE_list(
        "formats", ["tfrecord"], f"Stores to write: {', '.join(FORMATS)}."
    )
    flags.DEFINE_enum("config", "s2", list(CONFIGS), "What to store.")
    flags.DEFINE_bool(
        "include_excluded",
        False,
        "Also store the patches with snow, clouds or without a BEN19 label, as split "
        "'excluded'.",
    )
    flags.DEFINE_integer("limit", None, "Stop after as many stored patches.")
    flags.DEFINE_list("countries", [], f"Only these: {', '.join(COUNTRIES)}.")
    flags.DEFINE_integer("workers", os.cpu_count() or 1, "Processes that write shards.")


def _main() -> None:
    values = flags.FLAGS
    for name in values.formats:
        if name not in FORMATS:
            raise OptionError(
                f"unknown format: expected some of {', '.join(FORMATS)}, got {name!r}."
            )
    data_dir, config = command.path_flag("data_dir"), get_config(values.config)
    options = BuildOptions(
        include_excluded=values.include_excluded,
        limit=values.limit,
        countries=tuple(values.countries),
        workers=values.workers,
    )
    for leftover in find_leftovers(store_folder(data_dir, config)):
        print(
            f"{leftover} is of a build that was killed, or still runs; if none runs, "
            "delete it.",
            file=sys.stderr,
        )
    result = build(command.path_flag("source"), data_dir, config, options)
    print(summarize(result, store_folder(data_dir, config)))


if __name__ == "__main__":
    command.run(_main, _define_flags)
