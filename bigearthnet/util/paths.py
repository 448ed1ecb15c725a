"""Paths as people give them: `~`, `file://` URLs, and URLs of other places, refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bigearthnet.errors import OptionError

# How a URL begins (RFC 3986, 3.1). One slash is what pathlib leaves of two.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def local_path(value: os.PathLike[str] | str, name: str) -> Path:
    """Returns the path on this machine that somebody gave.

    `~` is the home folder: shells expand it at the start of a word only, which it is
    not in `--data_dir=~/data`. `file://` URLs are understood as text: pathlib makes
    one path of a host and what lies there.

    Args:
        value: A path, or a `file://` URL (RFC 8089) of this machine.
        name: Name of the option, for the error message.

    Raises:
        OptionError: If it is a URL of another place, or no path at all.
    """
    if isinstance(value, str) and value[:6].lower() == "file:/":
        return _parse_file_url(value, name)
    check_path(value, name)
    try:
        return Path(value).expanduser()
    except RuntimeError:  # `~name`, and nobody has that name
        raise OptionError(f"{name}: there is no home folder for {value!s}.") from None


def check_path(value: os.PathLike[str] | str, name: str) -> None:
    """Refuses what cannot be meant as a path on this machine; takes `~` literally.

    Args:
        value: The path.
        name: Name of the option, for the error message.

    Raises:
        OptionError: If it is a URL, or no path at all.
    """
    text = os.fspath(value)
    if not text or "\0" in text:
        raise OptionError(f"{name}: expected a path, got {text!r}.")
    if _URL.match(text):
        hint = (
            "" if "://" in text else " A local folder of that name: give all its path."
        )
        raise OptionError(
            f"{name}: expected a path on this machine or a file:// URL, got {text!r}. "
            "Copy what lies there to a local folder, or mount it; what a build makes "
            f"can be copied there once it is finished.{hint}"
        )


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is that of a folder, or below it; links are followed.

    Args:
        path: A path; nothing needs to be there.
        folder: The folder; nothing is inside one that does not exist.
    """
    real = Path(os.path.realpath(path))
    return os.path.exists(folder) and any(
        os.path.exists(above) and os.path.samefile(above, folder)
        for above in (real, *real.parents)
    )


def _parse_file_url(text: str, name: str) -> Path:
    try:
        url = urlsplit(text)
    except ValueError as cause:  # brackets that hold no address
        raise OptionError(f"{name}: {text!r} is no URL: {cause}.") from None
    path = unquote(url.path, errors="surrogateescape")  # as os.fsdecode
    is_local = url.netloc.lower() in ("", "localhost")
    if not is_local or not path or "\0" in path or url.query or url.fragment:
        raise OptionError(
            f"{name}: expected file:///absolute/path, of this machine, in which ?, # "
            f"and % are written as %3F, %23 and %25; got {text!r}."
        )
    return Path(path)
