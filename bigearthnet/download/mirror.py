"""Mirrors published stores into a data directory; resumes, and verifies every file.

Files are received in `incomplete.<folder>` beside the store's folder. It is renamed
when all of them have the sizes and the sha256 that the manifest says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bigearthnet.download.part import PartFile
from bigearthnet.errors import (
    ChecksumError,
    DiskSpaceError,
    OptionError,
    StoreError,
)
from bigearthnet.formats import Format, get_format
from bigearthnet.release import Digest
from bigearthnet.schema.configs import Config
from bigearthnet.store import MANIFEST, PATCHES, PROVENANCE, QUARANTINE, STATISTICS
from bigearthnet.store.remote import RemoteStore, part_place, read_remote_store
from bigearthnet.util.files import make_folder, sync_folder, sync_tree, write_bytes
from bigearthnet.util.remote import RemotePath, parse_url

# Bytes that are asked for at once.
_PIECE_NBYTES = 16 << 20
_CARD = "README.md"
# The pictures that a card shows; maps are PNG.
_PICTURE = re.compile(rb"pictures/\w+\.(?:jpg|png)", re.ASCII)
# The folder in which a store is received begins with this, as those of builds do.
_PREFIX = "incomplete."


@dataclass(frozen=True)
class Mirrored:
    """What was done for one store.

    Attributes:
        folder: The store.
        num_files: Files that were downloaded.
        nbytes: Their bytes.
        absent: Splits whose shards are not all there, since others were asked for.
    """

    folder: Path
    num_files: int
    nbytes: int
    absent: tuple[str, ...] = ()


def mirror(
    url: str,
    data_dir: Path,
    config: Config,
    *,
    formats: Sequence[str] = ("parquet",),
    splits: Sequence[str] = (),
    quiet: bool = False,
) -> list[Mirrored]:
    """Downloads the stores of a configuration; what is there already is left alone.

    Args:
        url: Where they are published; see `util.remote.parse_url`. The Parquet store is
            at this address, others are below it, as in a data directory.
        data_dir: The data directory; made if missing.
        config: The configuration; where its tables are those of parts, all of these.
        formats: Names of the formats.
        splits: Splits whose shards are downloaded; empty for all. The others can be
            downloaded later; until then, they cannot be read.
        quiet: Shows no progress.

    Raises:
        OptionError: If there is no such format or split, or another store stands where
            one would go.
        StoreError: If there is no such store, or it is of another configuration.
        ShardError: If its JSON files are damaged.
        ChecksumError: If a file is not what the manifest says; it is removed.
        DownloadError: If a file cannot be had; what was received is kept.
        DiskSpaceError: If the files do not fit on the disk.
        OSError: If one cannot be written.
    """
    place = parse_url(url)
    done = []
    for form in [get_format(name) for name in formats]:
        for part in (form.has_columns and config.parts) or (config,):
            remote = _find_store(place, form, part)
            target = form.store_folder(data_dir.absolute(), part)
            done.append(_mirror_store(remote, target, splits, quiet))
            if form.name == "parquet" and target.name == part.choice.part:
                _fetch_parts_card(place, remote, target)
    return done


def _fetch_parts_card(place: RemotePath, remote: RemoteStore, target: Path) -> None:
    """Downloads the card above a part, unless the address is that of the part."""
    if remote.folder != place:
        with contextlib.suppress(StoreError):  # there is none
            write_bytes((place / _CARD).read_bytes(), target.with_name(_CARD))


def _find_store(place: RemotePath, form: Format, config: Config) -> RemoteStore:
    """Returns the store of a format."""
    if form.name != "parquet":
        place = place / form.store_folder(Path(), config).as_posix()
    else:
        place = part_place(place, config)
    store = read_remote_store(place, config.release)
    if (store.config, store.format) != (config, form):
        raise StoreError(
            f"{place} is a store of config {store.config.name} in the format "
            f"{store.format.name}: expected config {config.name} in {form.name}."
        )
    return store


def _mirror_store(
    remote: RemoteStore, target: Path, splits: Sequence[str], quiet: bool
) -> Mirrored:
    """Downloads what is missing of a store, and gives it its name."""
    for split in splits:
        remote.check_split(split)
    manifest = (remote.folder / MANIFEST).read_bytes()
    _check_target(target, manifest, remote)
    files = [
        file
        for file in remote.manifest["files"]
        if (not splits or file["split"] in splits)
        and not _has(target / file["name"], file["bytes"])
    ]
    if target.exists() and not files:
        return Mirrored(target, 0, 0, _find_absent(remote, target))
    work = target.with_name(f"{_PREFIX}{target.name}")
    if work.exists() and not _is_same(work / MANIFEST, manifest):
        shutil.rmtree(work)  # of another build
    make_folder(work)
    write_bytes(manifest, work / MANIFEST)
    missing = [file for file in files if not _has(work / file["name"], file["bytes"])]
    _check_space(work, sum(file["bytes"] for file in missing))
    for file in missing:
        _fetch_shard(remote, file, work, quiet)
    nbytes = sum(file["bytes"] for file in missing)
    if not target.exists():
        nbytes += sum(_fetch_beside(remote, work))
        sync_tree(work)
        work.rename(target)
    else:
        for file in files:
            make_folder((target / file["name"]).parent)
            (work / file["name"]).replace(target / file["name"])
        shutil.rmtree(work)
        sync_tree(target)
    sync_folder(target.parent)
    return Mirrored(target, len(missing), nbytes, _find_absent(remote, target))


def _find_absent(remote: RemoteStore, target: Path) -> tuple[str, ...]:
    return tuple(
        split
        for split in remote.splits
        if not all((target / file["name"]).is_file() for file in remote.files(split))
    )


def _check_target(target: Path, manifest: bytes, remote: RemoteStore) -> None:
    if target.exists() and not _is_same(target / MANIFEST, manifest):
        raise OptionError(
            f"{target} is there already, and is not what {remote.place} is: it has "
            "another manifest. Delete it, or choose another data_dir."
        )


def _is_same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _has(path: Path, nbytes: int) -> bool:
    """Whether a file is there: it got its name when its checksum was right."""
    return path.is_file() and path.stat().st_size == nbytes


def _check_space(folder: Path, needed: int) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise DiskSpaceError(
            f"{folder} needs {needed:,} bytes more, {free:,} are free. Choose another "
            "data_dir, or fewer --splits."
        )


def _fetch_shard(
    remote: RemoteStore, file: Mapping[str, Any], work: Path, quiet: bool
) -> None:
    """Downloads a shard, or the rest of it, and verifies it."""
    source = dataclasses.replace(remote.folder / file["name"], nbytes=file["bytes"])
    path, digest = work / file["name"], Digest("sha256", file["sha256"])
    make_folder(path.parent)
    with contextlib.closing(PartFile(path, file["bytes"], digest)) as part:
        part.recover(quiet)
        is_resumed = part.nbytes > 0
        with part.shown:
            while True:
                while part.missing:
                    stop = part.nbytes + min(_PIECE_NBYTES, part.missing)
                    part.append(source.read_range(part.nbytes, stop))
                found = part.hash.hexdigest()
                if found == digest.hexdigest:
                    return part.finish()
                part.clear()
                if not is_resumed:  # else what was there before may be wrong
                    raise _not_published(source, digest.hexdigest, found)
                is_resumed = False


def _fetch_beside(remote: RemoteStore, work: Path) -> Iterator[int]:
    """Downloads what is beside the shards; yields the bytes of each file."""
    table = (remote.folder / PATCHES).read_bytes()
    expected = remote.manifest["patches"]["sha256"]
    found = hashlib.sha256(table).hexdigest()
    if found != expected:
        raise _not_published(remote.folder / PATCHES, expected, found)
    write_bytes(table, work / PATCHES)
    yield len(table)
    statistics = (remote.folder / STATISTICS).read_bytes()
    write_bytes(statistics, work / STATISTICS)
    yield len(statistics)
    names = [*_list_beside(remote)]
    for name in names:
        try:
            content = (remote.folder / name).read_bytes()
        except StoreError:  # missing: not every store has all of them
            continue
        make_folder((work / name).parent)
        write_bytes(content, work / name)
        yield len(content)
        if name == _CARD:
            names += sorted({path.decode() for path in _PICTURE.findall(content)})


def _list_beside(remote: RemoteStore) -> Iterator[str]:
    """Yields the names of files that the readers of a format want, or people."""
    yield PROVENANCE
    if remote.manifest["patches"]["quarantined"]:
        yield QUARANTINE
    if remote.format.name == "parquet":
        yield from (_CARD, "croissant.json")
    elif remote.format.name == "tfrecord":
        yield from ("dataset_info.json", "features.json")
        yield from (f"{f.name}.labels.txt" for f in remote.features if f.labels)
    else:
        yield "dataset_dict.json"
        for split in remote.splits:
            folder = PurePosixPath(remote.files(split)[0]["name"]).parent
            yield from (f"{folder}/dataset_info.json", f"{folder}/state.json")


def _not_published(path: RemotePath, expected: str, found: str) -> ChecksumError:
    return ChecksumError(
        f"{path} is not what its manifest says: expected sha256 {expected}, got "
        f"{found}. What was received is removed. It was changed after it was "
        "published, or is being replaced: try again later, or read another revision."
    )
