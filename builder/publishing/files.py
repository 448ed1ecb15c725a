"""What of a store is published, under which names, and how that differs from a remote.

The Parquet store of a build is the root of what is published, so that a hub finds its
card there; of parts, the folder of these is. Other stores keep the folders that they
have in a data directory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from bigearthnet.errors import PublishError
from bigearthnet.store import (
    MANIFEST,
    PATCHES,
    PROVENANCE,
    QUARANTINE,
    STATISTICS,
    Store,
)
from builder.card import CARD
from builder.card import parts as parts_card
from builder.card.gallery import PICTURES
from builder.croissant import CROISSANT

# What makes a store loadable, and so is sent last, by format.
LOADABLE = {
    "parquet": CARD,
    "tfrecord": "dataset_info.json",
    "arrow": "dataset_dict.json",
}
# What else is part of a store.
_BESIDE = {
    "parquet": (CROISSANT, f"{PICTURES}/*"),
    "tfrecord": ("features.json", "*.labels.txt"),
    "arrow": ("*/dataset_info.json", "*/state.json"),
}
_ALWAYS = (STATISTICS, PATCHES, PROVENANCE, QUARANTINE, MANIFEST)
_PICTURES = ("*.jpg", "*.png", "*.svg", "*.webp")  # of the card

# What is published of provenance.json: not the command, its paths, the time it took.
_PUBLIC = ("source_bytes", "source_sha256")


# The order in which files are sent.
_SHARD, _BESIDE_SHARDS, MANIFEST_RANK, _LOADABLE_RANK = range(4)


@dataclass(frozen=True)
class PublishedFile:
    """A file to publish.

    Attributes:
        path: Its path below the target.
        source: Where it is; or its content, if it is small.
        nbytes: Its size in bytes.
        sha256: Its checksum.
        rank: Its place in the order of sending: shards, what is beside them, the
            manifest, what makes the store loadable.
    """

    path: str
    source: Path | bytes
    nbytes: int
    sha256: str
    rank: int

    def read(self) -> bytes:
        """Returns its content."""
        source = self.source
        return source if isinstance(source, bytes) else source.read_bytes()


def target_folder(store: Store) -> str:
    """Returns the folder of a store below the target; `` for the target itself."""
    if store.format.name == "parquet":
        part = store.config.choice.part
        return f"{part}/" if part else ""
    return store.format.store_folder(Path(), store.config).as_posix() + "/"


def is_part(store: Store, path: str) -> bool:
    """Whether a path below the target is one that a store of this kind writes to."""
    folder = target_folder(store)
    return path.startswith(folder) and _is_known(store, path.removeprefix(folder))


def _is_known(store: Store, name: str) -> bool:
    form = store.format.name
    names = (*_ALWAYS, LOADABLE[form], *_BESIDE[form], _shard_pattern(store))
    return any(fnmatch(name, pattern) for pattern in names)


def _shard_pattern(store: Store) -> str:
    template = re.sub(r"{(split|number|count)[^}]*}", "*", store.format.shard)
    return template.format(base=store.config.choice.base)


def list_files(store: Store) -> list[PublishedFile]:
    """Returns the files of a store in the order in which they are sent.

    Raises:
        PublishError: If a file in the store's folder is not part of it, or one of it is
            missing.
    """
    shards = {file["name"]: file for file in store.manifest["files"]}
    files = []
    for name in sorted(_list_names(store)):
        path, rank = store.folder / name, _BESIDE_SHARDS
        if name in shards or name == PATCHES:
            sha256 = (shards.get(name) or store.manifest["patches"])["sha256"]
            size = path.stat().st_size
            rank = _SHARD if name in shards else rank
            files.append(PublishedFile(name, path, size, sha256, rank))
            continue
        if fnmatch(name, _shard_pattern(store)) or not _is_publishable(store, name):
            raise PublishError(
                f"{path} is not part of the build, and would be published with it: "
                "move it away."
            )
        if name in (MANIFEST, LOADABLE[store.format.name]):
            rank = MANIFEST_RANK if name == MANIFEST else _LOADABLE_RANK
        content = path.read_bytes()
        if name == PROVENANCE:
            content = _publish_provenance(content, store)
        files.append(_make_file(name, content, rank))
    _check_missing(store, {file.path for file in files})
    folder = target_folder(store)
    moved = (
        PublishedFile(f"{folder}{f.path}", f.source, f.nbytes, f.sha256, f.rank)
        for f in files
    )
    return sorted(moved, key=lambda file: (file.rank, file.path))


def make_parts_card(stores: Sequence[Store]) -> list[PublishedFile]:
    """Returns the card at the top of what is published of some parts, if there are any.

    Args:
        stores: The stores; of parts, it is their Parquet stores that have a card.
    """
    parts = [s for s in stores if s.format.name == "parquet" and s.config.choice.part]
    if not parts:
        return []
    content = parts_card.make_parts_card(parts).encode()
    return [_make_file(CARD, content, _LOADABLE_RANK)]


def _list_names(store: Store) -> Iterator[str]:
    """Yields the paths of the files in a store's folder, hidden ones left out."""
    for path in store.folder.rglob("*"):
        name = path.relative_to(store.folder)
        # `datasets` keeps the orders of shuffled data beside what it maps.
        is_cache = path.match("cache-*.arrow")
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not is_hidden and not is_cache:
            yield name.as_posix()


def _is_publishable(store: Store, name: str) -> bool:
    is_picture = any(fnmatch(name, pattern) for pattern in _PICTURES)
    return is_picture or _is_known(store, name)


def _make_file(path: str, content: bytes, rank: int) -> PublishedFile:
    digest = hashlib.sha256(content).hexdigest()
    return PublishedFile(path, content, len(content), digest, rank)


def _publish_provenance(content: bytes, store: Store) -> bytes:
    """Returns what is published of provenance.json: size and checksum of the sources.

    The names of the sources stay only if they are those of published archives.
    """
    try:
        found = json.loads(content)
        assert isinstance(found, dict)
    except (ValueError, AssertionError):
        path = store.folder / PROVENANCE
        raise PublishError(f"{path} is damaged. Build again.") from None
    public = {name for a in store.config.archives for name in a.filenames}

    def choose(source: Mapping[str, Any], name: str, keys: Sequence[str]) -> Any:
        chosen = {name: source[name]} if source.get(name) in public else {}
        return chosen | {key: source[key] for key in keys if key in source}

    kept = choose(found, "source", _PUBLIC)
    others = [
        choose(other, "filename", ("archive", "nbytes", "sha256"))
        for other in found.get("other_sources", ())
    ]
    kept |= {"other_sources": others} if others else {}
    return f"{json.dumps(kept, indent=1)}\n".encode()


def _check_missing(store: Store, found: set[str]) -> None:
    names = [file["name"] for file in store.manifest["files"]]
    names += [MANIFEST, STATISTICS, PATCHES, LOADABLE[store.format.name]]
    for name in names:
        if name not in found:
            raise PublishError(f"{store.folder / name} is missing. Build again.")


@dataclass(frozen=True)
class Changes:
    """How a remote differs from what is published.

    Attributes:
        missing: Files that it lacks.
        other: Files that have other content there.
        extra: Paths of files there that stores of this kind have, and these do not.
        same: Files that are there already.
    """

    missing: Sequence[PublishedFile]
    other: Sequence[PublishedFile]
    extra: Sequence[str]
    same: Sequence[PublishedFile]

    @property
    def to_send(self) -> list[PublishedFile]:
        """What has to be sent, in order."""
        return sorted([*self.missing, *self.other], key=lambda f: (f.rank, f.path))

    def __bool__(self) -> bool:
        return bool(self.missing or self.other or self.extra)

    def describe(self) -> Iterator[str]:
        """Yields a line for each difference."""
        yield from (f"{file.path} is missing" for file in self.missing)
        yield from (f"{file.path} has other content" for file in self.other)
        yield from (f"{path} is not part of the build" for path in self.extra)


def compare(
    stores: Sequence[Store],
    files: Sequence[PublishedFile],
    found: Mapping[str, int],
    is_same: Callable[[PublishedFile], bool],
) -> Changes:
    """Compares what is published with what a remote has.

    Args:
        stores: The stores that are published.
        files: Their files.
        found: Path of each file of the remote → its size in bytes.
        is_same: Whether a file of the same size there has the same content.

    Raises:
        PublishError: If the remote has another part of the same tables, which the card
            above them would not name.
    """
    _check_card(stores, files, found)
    there = [file for file in files if file.path in found]
    same = [f for f in there if found[f.path] == f.nbytes and is_same(f)]
    equal, ours = {file.path for file in same}, {file.path for file in files}
    other = [file for file in there if file.path not in equal]
    missing = [file for file in files if file.path not in found]
    extra = [
        path
        for path in sorted(found)
        if path not in ours and any(is_part(store, path) for store in stores)
    ]
    return Changes(missing, other, extra, same)


def _check_card(
    stores: Sequence[Store], files: Sequence[PublishedFile], found: Mapping[str, int]
) -> None:
    """Refuses a card above parts that lacks one which is there."""
    named = {file.path for file in files}
    tables = [s.config for s in stores if s.format.name == "parquet"]
    for part in (config for config in tables if config.choice.part):
        for other in part.siblings:
            path = f"{other.choice.part}/{MANIFEST}"
            if part.whole and path in found and path not in named:
                raise PublishError(
                    f"{other.name} is there in {other.choice.part}/, and the card "
                    f"above {part.name} would not name it: publish both, with "
                    f"--config={part.whole.name}. What is there is not sent again."
                )


def is_data(path: str) -> bool:
    """Whether a published path holds patches, which never change in a version."""
    name = PurePosixPath(path)
    return ".tfrecord" in name.name or name.suffix in (".arrow", ".parquet")
