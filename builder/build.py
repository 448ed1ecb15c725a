"""Builds the shards of one configuration from an archive or a folder of patches.

The source is read once and never extracted; every format that is asked for is written
in the same pass:

  tfrecord  DATA_DIR/bigearthnet/<config>/<version>/, a complete TensorFlow Datasets
            directory for `tfds.load("bigearthnet/<config>", data_dir=DATA_DIR)`
  parquet   DATA_DIR/huggingface/, ready to upload to a hub, for
            `datasets.load_dataset("DATA_DIR/huggingface", "s2-43")`
  arrow     DATA_DIR/arrow/, mapped into memory by
            `datasets.load_from_disk("DATA_DIR/arrow")`

The folders of the config s2-random end in -random. DATA_DIR/patches.parquet
(patches-random.parquet) is the table of every patch that was read by the latest build;
each store keeps its own, too. Nothing appears under its final name before the whole
build is finished.

Example:
  python -m builder.build --source=BigEarthNet-S2-v1.0.tar.gz --data_dir=data
  python -m builder.build --source=BigEarthNet-v1.0 --data_dir=d --formats=parquet,arrow
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from absl import flags

from bigearthnet.config import CONFIGS, Config, get_config
from bigearthnet.encoding.manifest import write_records
from bigearthnet.encoding.pipeline import (
    BuildOptions,
    BuildResult,
    count_workers,
    encode,
)
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS, get_format, scheme_suffix
from bigearthnet.patch_index import PatchIndex, load_index
from bigearthnet.release import V1, Release
from bigearthnet.splits import COUNTRIES, SPLITS
from bigearthnet.stores import PATCHES, read_store
from builder import command
from builder.staging import find_leftovers, staging_folders
from builder.table import format_table


def find_targets(
    data_dir: Path, config: Config, formats: Sequence[str]
) -> dict[str, Path]:
    """Returns name of each format → the folder of the configuration's store in it.

    Raises:
        OptionError: If a format is unknown, or cannot store the configuration.
    """
    targets = {}
    for name in formats:
        form = get_format(name)
        if form.has_columns and not config.columns:
            raise OptionError(
                f"the config {config.name} cannot be built as {name}: expected "
                "tfrecord. The 8-bit pictures of the config s2 are its column preview."
            )
        targets[name] = form.store_folder(data_dir, config)
    if not targets:
        raise OptionError(f"no format: expected some of {', '.join(FORMATS)}.")
    return targets


def patches_file(data_dir: Path, config: Config) -> Path:
    """Returns the table of patches of a configuration's split scheme."""
    name = Path(PATCHES)
    return data_dir / f"{name.stem}{scheme_suffix(config)}{name.suffix}"


def build(
    source: Path,
    data_dir: Path,
    config: Config,
    options: BuildOptions,
    *,
    formats: Sequence[str] = ("tfrecord",),
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
        formats: Names of the formats to write; see `formats.FORMATS`.
        release: What the source is.
        patches: The release's patches in the config's scheme; loaded if None.

    Returns:
        What was read and written.

    Raises:
        OptionError: If a result is there already, a format cannot be built, or a
            package that it needs is not installed.
        ArchiveError, PatchError, ChecksumError, DiskSpaceError: See `encoding.encode`.
    """
    targets = find_targets(data_dir, config, formats)
    _check_installed(formats)
    start = time.monotonic()
    if patches is None:
        patches = load_index(config.scheme, release)
    if source.is_file() and source.name in release.filenames:
        options = dataclasses.replace(options, expected_sha256=release.sha256)
    with staging_folders(targets) as folders:
        result = encode(
            source,
            folders,
            config=config,
            release=release,
            patches=patches,
            options=options,
        )
        for form, folder in folders.items():
            write_records(
                folder,
                result,
                form=form,
                config=config,
                release=release,
                patches=patches,
                source=source.name,
                seconds=time.monotonic() - start,
            )
            _complete_store(form, folder, result, data_dir, config)
    copy = patches_file(data_dir, config)
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    shutil.copyfile(next(iter(targets.values())) / PATCHES, unfinished)
    unfinished.rename(copy)
    return result


def _check_installed(formats: Sequence[str]) -> None:
    if "tfrecord" in formats:
        _load_tfds_builder()
    if "parquet" in formats and find_spec("yaml") is None:
        raise OptionError(
            "the card of Parquet shards needs PyYAML: install the extra [hf]; see the "
            "README."
        )


def _load_tfds_builder() -> ModuleType:
    try:
        from bigearthnet import bigearthnet_dataset_builder
    except ImportError as cause:
        raise OptionError(
            f"TFRecord shards need TensorFlow Datasets ({cause}): "
            "install the extra [tfds]; see the README."
        ) from None
    return bigearthnet_dataset_builder


def _complete_store(
    form: str, folder: Path, result: BuildResult, data_dir: Path, config: Config
) -> None:
    """Writes what the readers of a format expect beside the shards."""
    if form == "tfrecord":
        tfds_builder = _load_tfds_builder()
        info = tfds_builder.Builder(data_dir=data_dir, config=config.name).info
        tfds_builder.set_splits(info, folder, result.shards)
        info.write_to_directory(folder)
    elif form == "parquet":
        from builder.card import write_card

        write_card(read_store(folder))
    else:
        from bigearthnet.encoding.arrow import write_dataset_dict

        write_dataset_dict(read_store(folder))


def summarize(
    result: BuildResult, targets: dict[str, Path], release: Release = V1
) -> str:
    """Returns what a build did, for people.

    Args:
        result: What was read and written.
        targets: Name of each format → the folder of its store.
        release: What the source is.
    """
    rows = []
    found = {shard.split for shard in result.shards}
    for form in targets:
        for split in SPLITS:
            shards = [shard for shard in result.shards if shard.split == split]
            if shards:
                nbytes = sum(shard.files[form].nbytes for shard in shards)
                patches = sum(shard.num_patches for shard in shards)
                rows.append((form, split, patches, len(shards), nbytes / 1e6))
    lines = [format_table(("format", "split", "patches", "shards", "MB"), rows)]
    read, stored = int(result.index.read.sum()), int(result.index.stored.sum())
    lines.append(
        f"{read:,} of the {release.num_patches:,} patches of {release.name} read, "
        f"{stored:,} stored in {', '.join(str(path) for path in targets.values())}"
    )
    if "parquet" in targets:
        lines.append(_describe_columns(targets["parquet"], stored))
    if result.index.num_synthetic:
        lines.append(f"{result.index.num_synthetic:,} of them are SYNTHETIC, not real")
    if result.source_nbytes is not None and result.source_sha256 is None:
        lines.append("the source was not read to its end: its checksum is not checked")
    absent = [split for split in SPLITS if split not in {*found, "excluded"}]
    if absent:
        lines.append(f"without a patch, and so left out: {', '.join(absent)}")
    return "\n".join(lines)


def _describe_columns(folder: Path, num_patches: int) -> str:
    """Says what bands, preview and the rest take in a Parquet store."""
    from bigearthnet.encoding.parquet import column_sizes

    sizes = column_sizes(sorted(folder.rglob("s2/*.parquet")))
    total, preview = sum(sizes.values()), sizes["preview"]
    bands = sum(size for name, size in sizes.items() if name.startswith("bands_"))
    parts = (bands, preview, total - bands - preview)
    texts = [f"{size / num_patches / 1e3:.1f} kB" for size in parts]
    return (
        f"a patch takes in Parquet: bands {texts[0]}, preview {texts[1]}, "
        f"metadata {texts[2]}"
    )


def _define_flags() -> None:
    flags.DEFINE_string("source", None, "Archive or folder of patches.", required=True)
    flags.DEFINE_string("data_dir", None, "Where the result goes.", required=True)
    flags.DEFINE_list(
        "formats", ["tfrecord"], f"Formats to write: {', '.join(FORMATS)}."
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
    flags.DEFINE_integer("workers", count_workers(), "Processes that write shards.")


def _main() -> None:
    values = flags.FLAGS
    data_dir, config = command.path_flag("data_dir"), get_config(values.config)
    options = BuildOptions(
        include_excluded=values.include_excluded,
        limit=values.limit,
        countries=tuple(values.countries),
        workers=values.workers,
    )
    targets = find_targets(data_dir, config, values.formats)
    leftovers = [path for target in targets.values() for path in find_leftovers(target)]
    for leftover in leftovers:
        print(
            f"{leftover} is of a build that was killed, or still runs; if none runs, "
            "delete it.",
            file=sys.stderr,
        )
    source = command.path_flag("source")
    result = build(source, data_dir, config, options, formats=values.formats)
    print(summarize(result, targets))


if __name__ == "__main__":
    command.run(_main, _define_flags)
