"""The checks of `builder.verify` that read no record: files, and what they describe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bigearthnet.errors import ShardError
from bigearthnet.store import MANIFEST, PATCHES, QUARANTINE, Store
from bigearthnet.store.dataset_dict import make_dataset_dict
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.util.files import hash_file, read_json_object
from bigearthnet.util.progress import Progress
from bigearthnet.util.wording import count_of
from builder.card import CARD, make_header
from builder.croissant import CROISSANT, make_croissant
from builder.findings import Damaged, Finding, Skipped

# What reading a small file raises that is damaged in any way.
UNREADABLE = (OSError, ValueError, LookupError, TypeError)


def check_files(
    store: Store, damaged: set[str], *, quiet: bool = False
) -> Iterator[Finding]:
    """Checks size and checksum of every file that the manifest names, and strays.

    Args:
        store: The store.
        damaged: Gets the names of files that are not what was written.
        quiet: Shows no progress.
    """
    expected = {file["name"]: file for file in store.manifest["files"]}
    expected[PATCHES] = store.manifest["patches"]
    with Progress(
        f"{store.config.name} {store.format.name} files",
        total_nbytes=sum(file.get("bytes", 0) for file in expected.values()),
        first_nbytes=0,
        quiet=quiet,
    ) as progress:
        for name, file in expected.items():
            path = store.folder / name
            problem = _find_damage(path, file["sha256"], file.get("bytes"))
            progress.add(0, file.get("bytes", 0))
            if problem is None:
                yield None
            else:
                damaged.add(name)
                yield Damaged(path, f"{name}{problem}")
    for path in sorted(store.folder.rglob("*")):
        name = path.relative_to(store.folder).as_posix()
        is_shard = ".tfrecord" in name or path.suffix in (".parquet", ".arrow")
        # `datasets` keeps the orders of shuffled data beside what it maps, and a hub's
        # download what it knows of each file.
        is_cache = path.match("cache-*.arrow") or name.startswith(".cache/")
        if is_shard and not is_cache and name not in expected:
            yield f"{name} is not part of the build: delete it"


def _find_damage(path: Path, sha256: str, nbytes: int | None) -> str | None:
    """Returns what is wrong with a file, to be put behind its name."""
    try:
        if not path.is_file():
            return " is missing"
        found = path.stat().st_size
        if nbytes not in (None, found):
            return f": expected {nbytes} bytes, got {found}"
        digest = hash_file(path)
    except OSError as cause:
        return f" cannot be read ({cause.strerror})"
    return None if digest == sha256 else f": expected sha256 {sha256}, got {digest}"


def check_descriptions(store: Store, damaged: set[str]) -> Iterator[Finding]:
    """Checks what has no checksum: the list of bad patches, and what readers want.

    Args:
        store: The store.
        damaged: Names of files that are damaged; gets the list's, if it is.
    """
    yield from _check_list(store, damaged)
    checks = {"tfrecord": _check_tfds, "parquet": _check_card, "arrow": _check_dict}
    yield from checks[store.format.name](store, damaged)


def _check_list(store: Store, damaged: set[str]) -> Iterator[Finding]:
    path, expected = store.folder / QUARANTINE, store.manifest["patches"]["quarantined"]
    try:
        found = len(read_quarantine(path))
    except ShardError as error:
        problem = str(error)
    else:
        if found == expected:
            yield None
            return
        problem = (
            f"{QUARANTINE} has {count_of(found, 'patch')}, the manifest says {expected}"
        )
    damaged.add(QUARANTINE)
    yield Damaged(path, problem)


def _check_tfds(store: Store, _: set[str]) -> Iterator[Finding]:
    """Checks what TensorFlow Datasets reads beside the shards."""
    expected = {split: store.rows(split) for split in store.splits}

    def check_lengths(path: Path) -> bool:
        splits = json.loads(path.read_text(encoding="utf-8"))["splits"]
        return expected == {
            split["name"]: [int(length) for length in split["shardLengths"]]
            for split in splits
        }

    yield _compare(store, "dataset_info.json", check_lengths)
    yield _compare(store, "features.json", lambda path: bool(read_json_object(path)))
    for feature in store.features:
        if feature.labels:
            text = "".join(f"{label}\n" for label in feature.labels)
            yield _compare(
                store,
                f"{feature.name}.labels.txt",
                lambda path, text=text: path.read_text(encoding="utf-8") == text,  # type: ignore[misc]
            )


def _check_card(store: Store, damaged: set[str]) -> Iterator[Finding]:
    """Checks that the card would be written in the same way again.

    Only what `load_dataset` needs of it: people may add to the rest.
    """
    import yaml

    path = store.folder / CARD
    try:
        header = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        found = {key: header[key] for key in ("configs", "dataset_info")}
    except (*UNREADABLE, yaml.YAMLError) as cause:
        yield name_unreadable(path, CARD, cause)
        return
    files = [*(file["name"] for file in store.manifest["files"]), PATCHES]
    if lost := tuple(name for name in files if name in damaged):
        yield Skipped(lost, len(found))
        return
    expected = make_header(store)
    for key, value in found.items():
        problem = f"{CARD}: {key} are of another build"
        yield None if value == expected[key] else Damaged(path, problem)
    yield _compare(store, CROISSANT, lambda path: _describes(store, path))


def _describes(store: Store, path: Path) -> bool:
    """Whether croissant.json names the files and columns of a store."""
    found, expected = read_json_object(path), make_croissant(store)
    return all(found[key] == expected[key] for key in ("distribution", "recordSet"))


def _check_dict(store: Store, _: set[str]) -> Iterator[Finding]:
    """Checks what `load_from_disk` reads beside the shards."""
    for name, content in make_dataset_dict(store).items():
        yield _compare(
            store,
            name,
            lambda path, content=content: read_json_object(path) == content,  # type: ignore[misc]
        )


def _compare(store: Store, name: str, is_right: Callable[[Path], bool]) -> Finding:
    """Checks one file, which may be damaged in any way."""
    path = store.folder / name
    try:
        good = is_right(path)
    except UNREADABLE as cause:
        return name_unreadable(path, name, cause)
    return None if good else Damaged(path, f"{name} is of another build")


def name_unreadable(path: Path, name: str, cause: Exception) -> Damaged:
    """Returns what is found of a file that cannot be read."""
    if isinstance(cause, FileNotFoundError):
        return Damaged(path, f"{name} is missing")
    return Damaged(path, f"{name} cannot be read: {cause!r}")


def check_shared_tables(
    data_dir: Path, stores: Sequence[Store], unread: Sequence[Path]
) -> Iterator[Finding]:
    """Checks that the tables at the top of a data directory are those of a store.

    Args:
        data_dir: The data directory.
        stores: Its stores.
        unread: Folders of stores of which nothing is known.
    """
    known = {store.manifest["patches"]["sha256"] for store in stores}
    for path in sorted(data_dir.glob("patches*.parquet")):
        if hash_file(path) in known:
            yield None
        elif unread:
            yield Skipped(tuple(str(folder / MANIFEST) for folder in unread))
        else:
            yield (
                f"{path.name} is of another build, or damaged: put the {PATCHES} of a "
                "store in its place"
            )
