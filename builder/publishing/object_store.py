"""Publishes to an object store or a folder, where a published version never changes.

There is no commit here, so the order does it: shards, what is beside them, manifests,
and last what makes the stores loadable. Each object appears whole. Everything begins
with what is there, which is read and hashed, so that whatever was interrupted is
finished by the same command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bigearthnet.errors import BigEarthNetError, DiskSpaceError, PublishError
from bigearthnet.store import MANIFEST, Store
from bigearthnet.util.files import DurableFile, make_folder
from bigearthnet.util.progress import Progress
from bigearthnet.util.secrets import clients_silent, redact
from bigearthnet.util.wording import count_of
from builder.card import CARD
from builder.publishing.files import (
    MANIFEST_RANK,
    Changes,
    PublishedFile,
    compare,
    target_folder,
)

_Value = TypeVar("_Value")

# Bytes that a request sends or receives; the clients have ten of them at once.
_PIECE_NBYTES = 16 << 20
# Differences that an error shows.
_MOST_SHOWN = 5


class FolderPublisher:
    """Publishes the files of some stores below a URL of fsspec."""

    def __init__(
        self,
        url: str,
        stores: Sequence[Store],
        files: Sequence[PublishedFile],
        *,
        endpoint: str | None = None,
        quiet: bool = False,
    ) -> None:
        """Sends nothing yet.

        Args:
            url: `file://`, `s3://` or `gs://`, and a folder.
            stores: The stores, of one configuration.
            files: Their files.
            endpoint: Address of the server, if it is not the provider's own.
            quiet: Shows no progress.

        Raises:
            PublishError: If the store cannot be opened.
        """
        import fsspec

        self._url, self._stores, self._files = url.rstrip("/"), stores, files
        self._quiet = quiet
        # Another client may have cached what is there, or forks share connections.
        options: dict[str, Any] = {"skip_instance_cache": True}
        if endpoint is not None:
            options["endpoint_url"] = endpoint
        self._system, self._root = self._call(
            lambda: fsspec.url_to_fs(self._url, **options)
        )
        self._is_local = url.startswith("file://")

    def find_changes(self) -> Changes:
        """Returns what would change; reads and hashes what is there.

        Raises:
            PublishError: If it cannot be read, or another build is published there.
        """
        return self._call(self._find_changes)

    def publish(self) -> str:
        """Publishes, and reads back what was sent.

        Returns:
            What was done.

        Raises:
            PublishError: If another build is published there, it cannot be written, or
                did not arrive.
            DiskSpaceError: If a folder's disk has no room for it.
        """
        return self._call(self._publish)

    def _find_changes(self) -> Changes:
        sizes = self._list()
        files = [file for file in self._files if file.path in sizes]
        with self._show("compare", files) as shown:
            changes = compare(
                self._stores, self._files, sizes, lambda f: self._is_same(f, shown)
            )
        self._check_published(changes, sizes)
        return changes

    def _publish(self) -> str:
        files = self._find_changes().to_send
        self._check_space(files)
        # What did not arrive never becomes loadable.
        for is_last in (False, True):
            part = [f for f in files if (f.rank >= MANIFEST_RANK) == is_last]
            self._send_all(part)
            self._read_back(part)
        nbytes = sum(file.nbytes for file in files)
        done = f"{count_of(len(files), 'file')} of {nbytes / 1e6:,.1f} MB added"
        return f"{done if files else 'nothing had to be sent'}; {self._url} was read"

    def _send_all(self, files: Sequence[PublishedFile]) -> None:
        sent = 0
        with self._show("publish", files) as shown:
            for file in files:
                self._send(file, shown)
                sent += file.nbytes
                shown.update(0, sent)  # not every client tells what it has sent

    def _read_back(self, files: Sequence[PublishedFile]) -> None:
        sizes = self._list() if files else {}
        with self._show("read back", files) as shown:
            found = compare((), files, sizes, lambda f: self._is_same(f, shown))
        if problems := list(found.describe()):
            raise PublishError(
                f"{self._url} is not what was sent: "
                f"{'; '.join(problems[:_MOST_SHOWN])}. It cannot be loaded."
            )

    def _list(self) -> dict[str, int]:
        """Returns path of each file below the URL → its size in bytes."""
        self._system.invalidate_cache()
        found = self._system.find(self._root, detail=True)
        start = len(self._root.rstrip("/")) + 1
        return {path[start:]: int(info["size"]) for path, info in found.items()}

    def _is_same(self, file: PublishedFile, shown: Progress) -> bool:
        """Whether the content is what it should be; reads all of it."""
        digest = hashlib.sha256()
        with self._system.open(self._path(file), "rb", cache_type="none") as opened:
            while piece := opened.read(_PIECE_NBYTES):
                digest.update(piece)
                shown.add(0, len(piece))
        return digest.hexdigest() == file.sha256

    def _check_published(self, changes: Changes, sizes: dict[str, int]) -> None:
        """Refuses to change what is published, and to publish beside something else."""
        manifests = {f"{target_folder(store)}{MANIFEST}" for store in self._stores}
        problems = [f"{path} is not part of the build" for path in changes.extra]
        if published := sorted(manifests & sizes.keys()):
            # The card above parts names all of them, and so changes when one is added.
            is_added = bool(manifests - sizes.keys()) and all(
                store.config.choice.part for store in self._stores
            )
            problems += [
                f"{file.path} has other content"
                for file in changes.other
                if not (is_added and file.path == CARD)
            ]
        if problems:
            what = (
                f"another build is published at {self._url}"
                if published
                else f"{self._url} has files of something else"
            )
            raise PublishError(
                f"{what}: {'; '.join(problems[:_MOST_SHOWN])}. What is published does "
                "not change: publish to another address, or remove what is there. "
                "Nothing was published."
            )

    def _check_space(self, files: Sequence[PublishedFile]) -> None:
        if not self._is_local:
            return
        import shutil

        make_folder(Path(self._root))
        needed = sum(file.nbytes for file in files)
        if needed > (free := shutil.disk_usage(self._root).free):
            raise DiskSpaceError(
                f"{self._url} needs {needed:,} bytes more, {free:,} are free."
            )

    def _send(self, file: PublishedFile, shown: Progress) -> None:
        if self._is_local:
            self._copy(file, shown)
        elif isinstance(file.source, bytes):
            self._system.pipe_file(self._path(file), file.source)
        else:
            self._system.put_file(
                str(file.source),
                self._path(file),
                chunksize=_PIECE_NBYTES,
                callback=_make_callback(shown),
            )

    def _copy(self, file: PublishedFile, shown: Progress) -> None:
        """Writes a file beside its place, makes it durable, and renames it."""
        path = Path(self._path(file))
        make_folder(path.parent)
        with DurableFile(path.parent, path.name) as target:
            if isinstance(file.source, bytes):
                target.write(file.source)
            else:
                with file.source.open("rb") as source:
                    while piece := source.read(_PIECE_NBYTES):
                        target.write(piece)
                        shown.add(0, len(piece))
            target.finish()

    def _path(self, file: PublishedFile) -> str:
        return f"{self._root.rstrip('/')}/{file.path}"

    def _show(self, stage: str, files: Sequence[PublishedFile]) -> Progress:
        total = sum(file.nbytes for file in files)
        quiet = self._quiet or not files
        return Progress(stage, total_nbytes=total, first_nbytes=0, quiet=quiet)

    def _call(self, action: Callable[[], _Value]) -> _Value:
        """Turns what fsspec and its clients raise into errors without secrets."""
        try:
            with clients_silent():
                return action()
        except (BigEarthNetError, MemoryError):
            raise
        except Exception as error:
            text = redact(f"{type(error).__name__}: {error}")
        # Not while their error is handled: its text would be kept.
        raise PublishError(
            f"{self._url} cannot be written or read ({text}). Nothing incomplete can "
            "be loaded: once the cause is mended, run the same command again."
        )


def _make_callback(shown: Progress) -> Any:
    """Returns a callback of fsspec that adds the bytes sent."""
    from fsspec.callbacks import Callback

    class Shown(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            shown.add(0, inc)

    return Shown()
