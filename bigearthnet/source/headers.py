"""Parses the headers of tar members; no I/O.

A plain ustar or GNU header of a regular file is parsed by hand, its checksum
verified; any other header is parsed by `tarfile.TarInfo`.

Source of the format: POSIX.1-2001 pax interchange format; GNU tar manual, "Basic Tar
Format".
"""

from __future__ import annotations

import re
import tarfile
import zlib

from bigearthnet.source.limits import MAX_NAME

# Mode, owner and group, size and time, and checksum of a header, as GNU tar, libarchive
# and Python write them: octal digits with their usual ends. All are checked, since
# `tarfile` ends in silence at a header of which any is no number.
_PLAIN_NUMBERS = re.compile(
    rb"(?:[0-7]{6}[0-7 ][\0 ]){3}(?:[0-7]{11}[\0 ]){2}[0-7]{6}[\0 ]{2}"
)
# The numbers of a device, as they stand in a file's header.
_PLAIN_DEVICES = (bytes(16), b"0000000\0" * 2, b"000000 \0" * 2)
_PAX_NUMBER = re.compile(rb"[0-9]{1,18}")

# PAX records that say nothing of a file's content or name.
_HARMLESS_PAX = ("atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment")
# Records of a vendor, which readers that do not know them ignore; those of GNU tar mark
# sparse files and parts of archives, and one of star's is the size of a sparse file.
_VENDOR_PAX = re.compile(
    r"(?!GNU\.|SCHILY\.realsize\Z)[A-Z][A-Z0-9_-]*\..+|GNU\.volume\.label", re.S
)
# How names are written, and what is in a file: neither changes how both are read here.
# Names that are no UTF-8 are refused, whatever a header says of them.
_CHARSETS_PAX = ("charset", "hdrcharset")
_CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")

_FAST_TYPES = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.XHDTYPE,
)


class TarDamage(ValueError):
    """What is wrong with a tar file; its reader says where, as an ArchiveError."""


def parse_header(header: bytes) -> tuple[str, int, bytes]:
    """Parses the header of a member.

    Args:
        header: One block, 512 bytes.

    Returns:
        Name, size in bytes, and type of the member; `check_name` knows the name of
        one that is not UTF-8.

    Raises:
        TarDamage: If the checksum is wrong, or a number or the name is invalid.
    """
    if header.isascii() and _PLAIN_NUMBERS.fullmatch(header, 100, 156):
        # The checksum is the sum of all bytes, its own field taken as spaces. The low
        # half of Adler-32 is that sum modulo 65521, ten times as fast as sum(); 512
        # ASCII bytes sum to 65,024 at most.
        total = (zlib.adler32(header, 0) & 0xFFFF) - sum(header[148:156]) + 8 * 0x20
        if total != int(header[148:154], 8):
            raise TarDamage("a member's header has the wrong checksum")
        kind = header[156:157]
        name = header[:100].rstrip(b"\0")
        if header[345]:
            name = _parse_ustar_name(header)
        is_plain = kind in _FAST_TYPES and header[329:345] in _PLAIN_DEVICES
        if is_plain and b"\0" not in name:
            return name.decode("ascii"), int(header[124:135], 8), kind
    try:
        # The name may be cut within a character if the whole one stands elsewhere.
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as cause:
        raise TarDamage(f"a member's header is damaged ({cause})") from None
    if info.size < 0:
        raise TarDamage(f"{info.name!r} declares {info.size} bytes")
    return info.name, info.size, info.type


def _parse_ustar_name(header: bytes) -> bytes:
    """Returns prefix and name in a header; a NUL if there is no plain prefix.

    The older GNU headers have times where those of ustar have a prefix.
    """
    if header[257:263] != b"ustar\0":
        return b"\0"
    return header[345:500].rstrip(b"\0") + b"/" + header[:100].rstrip(b"\0")


def parse_pax(records: bytes) -> tuple[str | None, int | None]:
    """Parses the content of a PAX header.

    Returns:
        Path and size of the next member, where the records give them.

    Raises:
        TarDamage: If a record is damaged, or might change what a member contains.
    """
    path: str | None = None
    size: int | None = None
    start = 0
    while start < len(records):
        number = records[start : start + 19].partition(b" ")[0]
        length = int(number) if _PAX_NUMBER.fullmatch(number) else 0
        record = records[start + len(number) + 1 : start + length]
        start += length
        if not record.endswith(b"\n") or start > len(records):
            raise TarDamage("a PAX header is damaged")
        key, equals, value = record[:-1].partition(b"=")
        keyword = parse_name(key)
        if keyword == "path":
            path = parse_name(value)
        elif keyword == "size" and _PAX_NUMBER.fullmatch(value):
            size = int(value)
        elif not equals or not _is_harmless(keyword, value):
            raise TarDamage(f"unsupported PAX record {keyword[:80]!r}")
    return path, size


def parse_name(name: bytes) -> str:
    """Decodes a name.

    Raises:
        TarDamage: If it is not UTF-8.
    """
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise TarDamage(f"a name is not UTF-8: {name[:80]!r}") from None


def check_name(name: str) -> None:
    """Checks that a member's name leads to a place below the archive's top.

    Nothing is extracted, so that no name could do harm; but no honest archive has such
    names, and messages that show them must not steer a terminal.

    Raises:
        TarDamage: If the name is empty, absolute, too long, has a part `..`, or
            characters that cannot be shown.
    """
    problem = ""
    if not name:
        problem = "a member has no name"
    elif len(name) > MAX_NAME:
        problem = f"a name of {len(name)} characters: {name[:80]!r}"
    elif not name.isprintable():
        problem = f"a name with control characters, or not UTF-8: {name[:80]!r}"
    elif name[0] == "/":
        problem = f"an absolute name: {name[:80]!r}"
    elif ".." in name.split("/"):
        problem = f"a name that leads out of the archive: {name[:80]!r}"
    if problem:
        raise TarDamage(problem)


def _is_harmless(keyword: str, value: bytes) -> bool:
    """Whether a PAX record leaves name and content of a file as they are."""
    if keyword in _CHARSETS_PAX:
        return value in _CHARSETS
    return keyword in _HARMLESS_PAX or _VENDOR_PAX.fullmatch(keyword) is not None
