from __future__ import annotations

import datetime
import email.utils

import pytest

from bigearthnet.download.answers import Version, parse_content_range, parse_retry_after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-0/1", (0, 1, 1)),
        ("bytes 5-9/12", (5, 10, 12)),
        (" bytes 5-9/* ", (5, 10, None)),
        ("bytes 9-5/12", None),
        ("bytes 5-12/12", None),
        ("bytes 0-0/0", None),
        ("bytes */12", None),
        ("bytes -1-5/12", None),
        ("items 5-9/12", None),
        ("bytes 5-9/12, bytes 1-2/12", None),
        ("bytes 5-\u0669/12", None),
        (f"bytes 5-{'9' * 19}/*", None),
        ("", None),
        (None, None),
    ],
)
def test_content_ranges(
    text: str | None, expected: tuple[int, int, int | None] | None
) -> None:
    """A range that lies within its file is understood, and no other."""
    assert expected == parse_content_range(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0.0),
        ("-1", None),
        (f"Fri, 31 Dec {'9' * 30} 23:59:59 GMT", None),
        ("1.5", None),
        ("9" * 5000, None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_times_to_wait(text: str | None, expected: float | None) -> None:
    """Seconds and dates are understood; a date in the past is now."""
    assert expected == parse_retry_after(text)


def test_a_date_to_wait_for() -> None:
    """A date in the future is as many seconds as it is away."""
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    seconds = parse_retry_after(email.utils.format_datetime(date, usegmt=True))

    assert seconds is not None
    assert 3000 < seconds <= 3600


@pytest.mark.parametrize(
    ("etag", "date", "expected"),
    [
        ('"a"', "Thu", '"a"'),
        ('W/"a"', "Thu", None),
        (None, "Thu", "Thu"),
        (None, None, None),
    ],
)
def test_what_is_strong(
    etag: str | None, date: str | None, expected: str | None
) -> None:
    """A strong ETag may be sent, a weak one not, a date only without an ETag."""
    assert expected == Version("http://a", etag, date).strong


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (('"a"', None), ('"a"', None), False),
        (('"a"', None), ('W/"a"', None), False),
        (('"a"', None), ('"b"', None), True),
        (('"a"', "Thu"), ('"a"', "Fri"), False),
        (('"a"', "Thu"), (None, "Fri"), True),
        (('"a"', "Thu"), (None, "Thu"), False),
        (('"a"', None), (None, "Fri"), False),
    ],
)
def test_what_differs(
    one: tuple[str | None, str | None],
    other: tuple[str | None, str | None],
    expected: bool,
) -> None:
    """Versions differ if their ETags do, or their dates where an ETag is missing."""
    assert expected == Version("http://a", *one).differs(Version("http://a", *other))
    assert expected == Version("http://a", *other).differs(Version("http://a", *one))
