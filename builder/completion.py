"""Writes what the readers of each format expect beside the shards of a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bigearthnet.engine.job import Job
from bigearthnet.engine.leftovers import PREFIX
from bigearthnet.formats import tables_suffix
from bigearthnet.schema.configs import Config
from bigearthnet.store import PATCHES, read_store
from bigearthnet.store.result import BuildResult
from bigearthnet.util import command
from bigearthnet.util.files import sync_folder, write_bytes
from bigearthnet.util.remote import RemotePath


def check_installed(formats: Sequence[str]) -> None:
    """Checks that the packages are there that stores of some formats need.

    Raises:
        OptionError: If one is missing.
    """
    if "tfrecord" in formats:  # TFDS imports the second without declaring it
        command.check_packages("tfds", "tensorflow_datasets", "importlib_resources")
    if "parquet" in formats:
        command.check_packages("hf", "yaml")  # of the card


def complete_store(
    form: str,
    folder: Path,
    result: BuildResult,
    data_dir: Path,
    shards: RemotePath | None = None,
) -> None:
    """Writes what the readers of a format expect beside the shards.

    Args:
        form: Name of the format.
        folder: The shards, with their manifest; the manifest alone, if they are at a
            URL.
        result: What was written of their configuration.
        data_dir: Where the store goes.
        shards: The folder at a URL that has the shards.
    """
    release = result.config.release
    if form == "tfrecord":
        from bigearthnet.bigearthnet_dataset_builder import Builder
        from bigearthnet.tfds_support import set_splits

        fields = {"RELEASES": (release,), "__module__": Builder.__module__}
        builder = type("Builder", (Builder,), fields)
        info = builder(data_dir=data_dir, config=result.config.name).info
        info.download_size = 0  # of this build, as TFDS has it
        set_splits(info, folder, result.shards)
        info.write_to_directory(folder)
    elif form == "parquet":
        from builder.card import write_card
        from builder.croissant import write_croissant

        store = read_store(folder, [release], shards)
        write_card(store)
        write_croissant(store)
    else:
        from bigearthnet.store.dataset_dict import write_dataset_dict

        write_dataset_dict(read_store(folder, [release]))


def complete_folders(
    data_dir: Path,
    job: Job,
    targets: Mapping[str, Path],
    find_shards: Callable[[str], RemotePath] | None = None,
) -> None:
    """Writes what stands above finished stores: table of patches, and card of parts.

    Args:
        data_dir: The data directory.
        job: What was built.
        targets: Name of each store → its final folder.
        find_shards: Returns where the shards of each are at a URL; None if they are in
            these folders.
    """
    apart = {targets[n]: find_shards(n) for n in targets} if find_shards else {}
    name = Path(PATCHES)
    for part in job.parts:
        config, folders = part.config, {part.stores[n]: targets[n] for n in part.stores}
        copy = data_dir / f"{name.stem}{tables_suffix(config)}{name.suffix}"
        content = (next(iter(folders.values())) / PATCHES).read_bytes()
        _replace(content, copy, job.config)
        if config.choice.part and "parquet" in folders:
            from builder.card import CARD
            from builder.card.parts import find_parts, make_parts_card

            above = folders["parquet"].parent
            card = make_parts_card(find_parts(above, config.release, apart))
            _replace(card.encode(), above / CARD, job.config)


def _replace(content: bytes, path: Path, config: Config) -> None:
    """Writes a file that another configuration may be replacing at the same time."""
    unfinished = path.with_name(f"{PREFIX}{config.name}-{path.name}")
    write_bytes(content, unfinished)
    unfinished.rename(path)
    sync_folder(path.parent)
