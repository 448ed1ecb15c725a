"""The clients of hubs, object stores and web servers, through fsspec.

What they raise, they raise here; `remote.repeat` makes errors of ours of it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from bigearthnet.errors import OptionError
from bigearthnet.util.extras import advise_install
from bigearthnet.util.remote_errors import is_beyond_end

# Scheme of a URL → the package that reads it, and the extra that installs it.
PACKAGES = {
    "hf": ("huggingface_hub", "hub"),
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "abfs": ("adlfs", "abfs"),
    "https": ("aiohttp", "hub"),
    "http": ("aiohttp", "hub"),
}
# Loggers of the clients, whose lines have the addresses that requests are signed with.
_LOGGERS = (
    *("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "aiohttp"),
    *("botocore", "aiobotocore", "s3fs", "gcsfs", "google", "fsspec"),
)


def connect(url: str) -> tuple[Any, str]:
    """Returns fsspec's file system of a URL, and what it calls the path.

    Raises:
        OptionError: If its package is not installed.
    """
    scheme = urlsplit(url).scheme
    _silence_clients()
    try:
        import fsspec

        # fsspec keeps one for each process and thread that needs one.
        system, path = fsspec.url_to_fs(url)
    except ImportError:
        package, extra = PACKAGES[scheme]
        raise OptionError(
            f"{scheme}:// needs fsspec and {package}: install the extra [{extra}], "
            f"{advise_install(extra)}"
        ) from None
    return system, path


@functools.cache
def _silence_clients() -> None:
    """Keeps the clients from logging requests, unless somebody has asked for that.

    absl, of TFDS and our commands, shows INFO.
    """
    for logger in map(logging.getLogger, _LOGGERS):
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def read_all(url: str) -> bytes:
    """Returns the content of a file."""
    system, path = connect(url)
    content: bytes = system.cat_file(path)
    return content


def read_files(urls: Sequence[str], most_nbytes: int) -> list[bytes | None]:
    """Reads some files at once; None for those that are not there."""
    system, _ = connect(urls[0])
    paths = [system._strip_protocol(url) for url in urls]
    found = system.cat_ranges(
        paths, [0] * len(paths), [most_nbytes] * len(paths), on_error="return"
    )
    contents: list[bytes | None] = []
    for content in found:
        if isinstance(content, FileNotFoundError):
            content = None
        elif isinstance(content, Exception) and is_beyond_end(content):
            content = b""
        elif isinstance(content, Exception):
            raise content
        contents.append(content)
    return contents


def read_range(url: str, start: int, stop: int, nbytes: int | None) -> bytes:
    """Returns bytes `start` to `stop` of a file of `nbytes`, None if nobody knows."""
    system, path = connect(url)
    if urlsplit(url).scheme != "hf":
        found: bytes = system.cat_file(path, start=start, end=stop)
        return found
    # The same of the hub's client reads ahead, and asks for the size first.
    with system.open(path, "rb", cache_type="none", size=nbytes) as file:
        file.seek(start)
        content: bytes = file.read(stop - start)
    return content


def find_nbytes(url: str) -> int:
    """Returns the size of a file in bytes."""
    system, path = connect(url)
    return int(system.size(path))
