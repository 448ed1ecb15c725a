"""Files at a URL, read through fsspec in the ranges that are asked for.

Nothing here says a token, or what a library or a server says: both may quote requests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from bigearthnet.errors import BigEarthNetError, DownloadError, OptionError
from bigearthnet.util import remote_clients
from bigearthnet.util.remote_clients import PACKAGES
from bigearthnet.util.remote_errors import explain, wrong_size

# Seconds to wait before a request to a web server is repeated; the clients of hubs and
# object stores repeat theirs.
_WAITS_S = (0.5, 2.0, 8.0)
_Value = TypeVar("_Value")


def is_url(place: object) -> bool:
    """Whether a place is a URL, of another machine."""
    pattern = r"(?!file:)[a-z][a-z0-9+.-]*://"
    return isinstance(place, str) and bool(re.match(pattern, place, re.IGNORECASE))


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at a URL: as much of a `Path` as readers need.

    Can be sent to another process, which makes connections of its own.

    Attributes:
        url: The URL as it was given.
        target: The URL that is read, of one revision.
        revision: The commit that it is of; None where there are none.
        nbytes: Size that the file must have; None for any.
    """

    url: str
    target: str
    revision: str | None = None
    nbytes: int | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it lies in."""
        url, target = (text.rpartition("/")[0] for text in (self.url, self.target))
        return RemotePath(url, target, self.revision)

    def __truediv__(self, name: str) -> RemotePath:
        return dataclasses.replace(
            self, url=f"{self.url}/{name}", target=f"{self.target}/{name}"
        )

    def read_bytes(self) -> bytes:
        """Reads all of a small file.

        Raises:
            StoreError: If there is no such file.
            DownloadError: If it cannot be had.
        """
        return repeat(lambda: remote_clients.read_all(self.target), self)

    def read_files(self, names: Sequence[str], most_nbytes: int) -> dict[str, bytes]:
        """Reads some small files below a folder at once; those not there are left out.

        Args:
            names: Their paths below it.
            most_nbytes: How much is read of each.

        Raises:
            DownloadError: If one cannot be had.
        """
        targets = [f"{self.target}/{name}" for name in names]
        found = repeat(lambda: remote_clients.read_files(targets, most_nbytes), self)
        return {
            name: content
            for name, content in zip(names, found, strict=True)
            if content is not None
        }

    def read_text(self, encoding: str = "utf-8") -> str:
        """Reads a text file; see `read_bytes`."""
        return self.read_bytes().decode(encoding)

    def read_range(self, start: int, stop: int) -> bytes:
        """Reads bytes `start` to `stop` of a file, and not one more.

        Raises:
            StoreError, DownloadError: As in `read_bytes`.
            ShardError: If the file is too short.
        """

        def read() -> bytes:
            content = remote_clients.read_range(self.target, start, stop, self.nbytes)
            if len(content) < stop - start:
                raise EOFError  # a connection that was cut, or the end of the file
            if len(content) > stop - start:
                raise DownloadError(
                    f"{self} cannot be read in parts: the server knows no ranges. "
                    "Publish it on another one, or copy all of it."
                )
            return content

        return repeat(read, self)

    def find_nbytes(self) -> int:
        """Returns the size of a file in bytes.

        Raises:
            StoreError, DownloadError: As in `read_bytes`.
        """
        return repeat(lambda: remote_clients.find_nbytes(self.target), self)

    def check_nbytes(self) -> None:
        """Checks that a file has the size that it must have.

        Raises:
            StoreError, DownloadError: As in `read_bytes`.
            ShardError: If it has another one.
        """
        if self.nbytes is not None and (found := self.find_nbytes()) != self.nbytes:
            raise wrong_size(str(self), self.nbytes, found)

    def open(self, ranges: Iterable[tuple[int, int]] = ()) -> RangeFile:
        """Opens a file of which parts are to be read.

        Args:
            ranges: First and last byte + 1 of what is read now, one request each.

        Raises:
            ShardError, StoreError, DownloadError: As in `read_range`.
        """
        return RangeFile(self, ranges)


# Where files lie: on this machine, or at a URL.
Place: TypeAlias = Path | RemotePath
SomePlace = TypeVar("SomePlace", Path, RemotePath, Place)


class RangeFile(io.RawIOBase):
    """A file object that has parts of a file; every other read is one request."""

    def __init__(self, path: RemotePath, ranges: Iterable[tuple[int, int]]) -> None:
        self._path, self._position = path, 0
        self._nbytes = path.nbytes or path.find_nbytes()
        self._parts = {
            (start, stop): memoryview(path.read_range(start, stop))
            for start, stop in ranges
        }

    def __str__(self) -> str:
        return str(self._path)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Sets and returns the position."""
        self._position = offset + (0, self._position, self._nbytes)[whence]
        return self._position

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def read(self, count: int = -1) -> bytes | memoryview:
        """Reads bytes from the position on."""
        start, rest = self._position, max(0, self._nbytes - self._position)
        end = self._position = start + (rest if count < 0 else min(count, rest))
        for (first, stop), part in self._parts.items():
            if first <= start and end <= stop:
                return part[start - first : end - first]
        return self._path.read_range(start, end) if end > start else b""


def parse_url(text: str) -> RemotePath:
    """Returns the place of a URL; of a hub, in the commit that it is at now.

    `hf://datasets/ORG/NAME`, with `@REVISION` if another than the main branch is
    wanted; `s3://`, `gs://` and `https://` with the folder. Logins and addresses of
    servers are those of the clients: their own files and environment variables.

    Raises:
        OptionError: If it is no URL that can be read, or a package is not installed.
        StoreError: If there is no such repository or revision.
        DownloadError: If that cannot be found out.
    """
    parts = urlsplit(text)
    if parts.scheme not in PACKAGES:
        raise OptionError(
            f"{parts.scheme}:// cannot be read: expected a path on this machine, or "
            f"one of {', '.join(f'{scheme}://' for scheme in PACKAGES)}."
        )
    # Before an @ abfs has the container, whose account follows.
    has_login = parts.password or (parts.username and parts.scheme != "abfs")
    if not parts.netloc or parts.query or parts.fragment or has_login:
        raise OptionError(
            f"{parts.scheme}: expected the address of a folder, without user, password "
            "or query, which would be shown in messages. Give logins to the clients."
        )
    url = f"{parts.scheme}{text[len(parts.scheme) :]}".rstrip("/")
    found = RemotePath(url, url)
    return repeat(lambda: _pin(found), found) if parts.scheme == "hf" else found


def _pin(path: RemotePath) -> RemotePath:
    """Names the commit of a hub, so that all that is read is of one."""
    system, name = remote_clients.connect(path.target)
    resolved = system.resolve_path(name)
    if not hasattr(resolved, "repo_id"):  # a bucket, which has no commits
        return path
    from huggingface_hub import HfApi

    kind, repo = resolved.repo_type, resolved.repo_id
    found = HfApi(endpoint=system.endpoint).repo_info(
        repo, repo_type=kind, revision=resolved.revision
    )
    below = f"/{resolved.path_in_repo}" if resolved.path_in_repo else ""
    target = f"hf://{kind}s/{repo}@{found.sha}{below}"
    return dataclasses.replace(path, target=target, revision=found.sha)


def repeat(call: Callable[[], _Value], path: RemotePath, deed: str = "read") -> _Value:
    """Calls a function, again if it may succeed later.

    Args:
        call: What is done with a client.
        path: What it is done to.
        deed: What cannot be done, for the error.

    Raises:
        StoreError: If there is no such file.
        ShardError: If it is too short.
        DownloadError: If it cannot be done.
    """
    waits_s = _WAITS_S if path.target.startswith("http") else ()
    for wait_s in (*waits_s, None):
        try:
            return call()
        except (BigEarthNetError, MemoryError):
            raise
        except Exception as error:
            problem, is_temporary = explain(
                error,
                str(path),
                path.nbytes,
                lambda: remote_clients.find_nbytes(path.target),
                deed,
            )
        with contextlib.suppress(Exception):  # also keeps what was not found
            remote_clients.connect(path.target)[0].invalidate_cache()
        if wait_s is None or not is_temporary:
            raise problem  # here, so that it does not keep the client's error
        time.sleep(wait_s)
    raise AssertionError
