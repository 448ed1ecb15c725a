from __future__ import annotations

import tarfile

import pytest

from bigearthnet.source.headers import (
    TarDamage,
    check_name,
    parse_header,
    parse_name,
    parse_pax,
)


def make_header(
    name: str = "p/a", *, format: int = tarfile.GNU_FORMAT, **fields: object
) -> bytearray:
    """Makes the header of a file of 700 bytes."""
    info = tarfile.TarInfo(name)
    info.size = 700
    for field, value in fields.items():
        setattr(info, field, value)
    return bytearray(info.tobuf(format))


def make_record(text: bytes) -> bytes:
    """Makes a PAX record, which begins with its own length."""
    length = len(text) + 3
    while len(record := b"%d %s\n" % (length, text)) != length:
        length = len(record)
    return record


def seal(header: bytearray) -> bytes:
    """Writes the right checksum into a header."""
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["p/a", "p" * 100, "x/" * 49 + "ab", "p/ä"])
def test_headers_say_what_tarfile_reads(format: int, name: str) -> None:
    """Name, size and type equal those of the standard library."""
    header = bytes(make_header(name, format=format))
    info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")

    assert (info.name, info.size, info.type) == parse_header(header)


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (100, b"000644 \0"),  # mode, as libarchive writes it
        (108, b"\x80\0\0\0\0\1\0\0"),  # owner of a large number
        (136, b"\xff" * 11 + b"\xfe"),  # a time before 1970
        (329, b"000000 \0" * 2),
    ],
)
def test_numbers_of_other_programs_are_read(place: int, field: bytes) -> None:
    """What other programs write into a header is no damage."""
    header = make_header()
    header[place : place + len(field)] = field

    assert ("p/a", 700, b"0") == parse_header(seal(header))


@pytest.mark.parametrize(
    ("place", "field"),
    [
        *[(100, b"../0000\0"), (108, b"00 0000\0"), (136, b"1 234567890\0")],
        *[(124, b"-0000000001\0"), (124, b"0000000001_\0"), (329, b"x" * 16)],
        (124, b"\xff" * 12),
    ],
)
def test_fields_that_are_no_numbers_are_damage(place: int, field: bytes) -> None:
    """No number of a header is guessed, even if it does not matter to us.

    `tarfile` ends in silence at such a header, so that members would be lost there.
    """
    header = make_header()
    header[place : place + len(field)] = field

    with pytest.raises(TarDamage, match=r"header is damaged|declares -"):
        parse_header(seal(header))


def test_times_of_old_gnu_headers_are_no_prefix_by_guess() -> None:
    """Where GNU has times and ustar a prefix, what `tarfile` makes of it counts."""
    header = make_header()
    header[345:357] = b"13227123456\0"
    sealed = seal(header)
    info = tarfile.TarInfo.frombuf(sealed, "utf-8", "strict")

    assert (info.name, 700, b"0") == parse_header(sealed)


def test_pax_records_give_path_and_size() -> None:
    """The last record of a key counts, and harmless ones are passed over."""
    records = (
        b"9 path=a\n14 mtime=1.25\n9 path=b\n11 size=42\n25 SCHILY.xattr.user.x=\n\n"
    )

    assert ("b", 42) == parse_pax(records)
    assert (None, None) == parse_pax(b"")


@pytest.mark.parametrize(
    "text",
    [
        *[
            "SCHILY.xattr.user.a=b",
            "LIBARCHIVE.creationtime=1.5",
            "RHT.security.selinux=s",
        ],
        *["GOLANG.pkg=x", "VENDOR.keyword=", "APPLE-X.a=1=2", "GNU.volume.label=x"],
        *["hdrcharset=BINARY", "hdrcharset=ISO-IR 10646 2000 UTF-8", "charset=BINARY"],
        *["comment=c", "atime=1.5", "SCHILY.xattr.a=x\ny"],
    ],
)
def test_pax_records_that_change_nothing_are_passed_over(text: str) -> None:
    """Those of any vendor, and of charsets in which names are UTF-8 all the same."""
    record = make_record(text.encode())

    assert ("Ä", None) == parse_pax(record + make_record("path=Ä".encode()) + record)


def test_names_are_utf8_whatever_a_header_says() -> None:
    """A binary name that is no UTF-8 is not guessed."""
    records = make_record(b"hdrcharset=BINARY") + make_record(b"path=\xe4")

    with pytest.raises(TarDamage, match="not UTF-8"):
        parse_pax(records)


@pytest.mark.parametrize(
    "text",
    [
        *[
            "GNU.sparse.map=0,1",
            "GNU.sparse.name=a",
            "GNU.volume.offset=1",
            "GNU.dumpdir=a",
        ],
        *[
            "SCHILY.realsize=1",
            "hdrcharset=ISO-IR 8859 1 1998",
            "hdrcharset=",
            "charset=x",
        ],
        *[
            "linkpath=a",
            "unknown=1",
            "vendor.keyword=1",
            "Vendor.a=1",
            ".a=1",
            "VENDOR.=1",
        ],
        *["realtime.a=1", "security.selinux=1", "size=x"],
    ],
)
def test_pax_records_that_may_change_something_are_damage(text: str) -> None:
    """Sparse files, parts of archives, links, charsets, and what is no vendor's."""
    with pytest.raises(TarDamage, match="unsupported PAX record"):
        parse_pax(make_record(text.encode()))


@pytest.mark.parametrize(
    "records",
    [
        *[b"0 path=a\n", b"8 path=a\n", b"20 path=a\n", b"9path=a\n", b"9 path=a"],
        *[b"-9 path=a\n", b"9 patha\n" + b"9", b"x", b"9 path=a\n\0", b"\xb2 a=b\n"],
        *[
            b"11 size=-1\n",
            b"12 size=1_0\n",
            b"8 size=\n",
            b"30 SCHILY.realsize=123456789\n",
        ],
        *[b"28 GNU.sparse.realsize=12\n", b"9 path=\xff\n"],
        b"14 linkpath=a\n",
    ],
)
def test_odd_pax_records_are_damage(records: bytes) -> None:
    """A record that is damaged, or may change the content, is never passed over."""
    with pytest.raises(TarDamage):
        parse_pax(records)


@pytest.mark.parametrize(
    "name",
    [
        *["", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", "a\0b", "a\nb"],
        *["a\x1b[2Jb", "a\u202egnp.b", "a/" * 2048 + "b", "\x7f"],
    ],
)
def test_names_that_lead_elsewhere_are_damage(name: str) -> None:
    """Absolute, climbing, endless and unprintable names are refused, safely shown."""
    with pytest.raises(TarDamage) as caught:
        check_name(name)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["a", "./a/b", "a..b/c..", "...", "Ä/ö b"])
def test_other_names_are_fine(name: str) -> None:
    """Two points within a name, spaces and umlauts do no harm."""
    check_name(name)

    assert name == parse_name(name.encode())


def test_a_name_that_is_cut_within_a_character_is_read() -> None:
    """Before the header, a long name may give the rest; alone, it is refused."""
    header = make_header("p/" + "a" * 97)
    header[99] = 0xC3
    name, _, _ = parse_header(seal(header))

    assert "p/" + "a" * 97 + "\udcc3" == name
    with pytest.raises(TarDamage, match=r"not UTF-8: 'p/aaa"):
        check_name(name)


def test_names_that_are_not_utf8_are_damage() -> None:
    """A name in another encoding is not guessed."""
    with pytest.raises(TarDamage, match=r"not UTF-8: b'\\xe4'"):
        parse_name(b"\xe4")
