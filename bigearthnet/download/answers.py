"""The rest of a file from an HTTP server, and what the answer means.

Source: RFC 9110, HTTP Semantics (8.8 validators, 13.1.5 If-Range, 14 range requests,
15 status codes).
"""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, responses
from types import TracebackType

from bigearthnet.download.errors import TryAgainError
from bigearthnet.download.http import send
from bigearthnet.errors import DownloadError

# Request timeout, too early, too many requests; any 5xx is likewise temporary.
_TEMPORARY = frozenset({408, 425, 429})
# 18 digits: more than any file, and less than what Python refuses to parse.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


@dataclass(frozen=True)
class Version:
    """What tells a file at a URL from what was there before.

    Attributes:
        url: Where the file was asked for, before redirects.
        etag: Its ETag, None if it had none.
        last_modified: Its Last-Modified, likewise.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def strong(self) -> str | None:
        """What `If-Range` may hold: a strong ETag, or a date where there is no ETag."""
        if self.etag is None:
            return self.last_modified
        return None if self.etag.startswith("W/") else self.etag

    def differs(self, other: Version) -> bool:
        """Whether the file has certainly changed, as far as both say anything."""
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") != other.etag.removeprefix("W/")
        dates = self.last_modified, other.last_modified
        return None not in dates and dates[0] != dates[1]


class Answer:
    """The bytes of a file from `start` on, as a server sends them; closes itself.

    Attributes:
        start: Position in the file of the first byte.
        stop: Position after the last byte that is announced; None if none is.
        total: Size of the file that is announced; None if none is.
        version: The file's version.
    """

    def __init__(
        self,
        response: HTTPResponse,
        version: Version,
        start: int,
        stop: int | None,
        total: int | None,
    ) -> None:
        self._response = response
        self.version = version
        self.start, self.stop, self.total = start, stop, total

    def read(self, nbytes: int) -> bytes:
        """Returns what has come, at most `nbytes`; nothing at the end.

        Raises:
            TryAgainError: If nothing comes in time, or the connection breaks.
        """
        try:
            return self._response.read1(nbytes)
        except TimeoutError:
            raise TryAgainError("the server sends nothing any more") from None
        except (OSError, HTTPException) as error:
            raise TryAgainError(f"the connection broke ({error!r:.200})") from None

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.close()


def ask(url: str, start: int, known: Version | None, timeout_s: float) -> Answer:
    """Asks a server for a file from a position on.

    Args:
        url: A checked URL.
        start: Position of the first byte that is missing.
        known: Version that the bytes before it are of; None if not of this URL.
        timeout_s: Seconds to wait for a connection, and for more bytes.

    Returns:
        The rest of the file; or all of it (`start` 0), if the server cannot give a part
        of it, does so wrongly, or has another version by now.

    Raises:
        DownloadError: If the server does not have the file, or not as it is.
        TryAgainError: If it may have it later.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "bigearthnet"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if known is not None and known.strong is not None:
            headers["If-Range"] = known.strong
    response = send(url, headers, timeout_s)
    try:
        answer = _parse_answer(response, url, start)
        if answer is not None and not (
            answer.start and known is not None and known.differs(answer.version)
        ):
            return answer
    except BaseException:
        response.close()
        raise
    response.close()
    return ask(url, 0, None, timeout_s)


def _parse_answer(response: HTTPResponse, url: str, start: int) -> Answer | None:
    """Returns an answer, or None if it is not what the request was for."""
    status, length = response.status, response.length
    if status in _TEMPORARY or status >= 500:
        raise TryAgainError(
            _describe(status),
            parse_retry_after(_header(response, "Retry-After")),
        )
    if status == 416 and start:
        return None
    if status != 200 and not (status == 206 and start):
        raise DownloadError(_describe(status))
    encoding = _header(response, "Content-Encoding") or "identity"
    if encoding.strip().lower() != "identity":
        raise DownloadError(
            f"the server sends the file in the encoding {encoding!r}, which it was "
            "asked not to do"
        )
    version = Version(
        url, _header(response, "ETag"), _header(response, "Last-Modified")
    )
    if status == 200:
        return Answer(response, version, 0, length, length)
    span = parse_content_range(_header(response, "Content-Range"))
    if span is None or span[0] != start or length not in (None, span[1] - start):
        return None
    return Answer(response, version, *span)


def _describe(status: int) -> str:
    """Names a status in the standard's words: the server's could hold anything."""
    return f"{status} {responses.get(status, '')}".strip()


def _header(response: HTTPResponse, name: str) -> str | None:
    """Returns a header field; None if it could not be sent back, or shown."""
    value = str(response.headers.get(name, ""))
    return value if value and value.isascii() and value.isprintable() else None


def parse_content_range(text: str | None) -> tuple[int, int, int | None] | None:
    """Returns start, stop (exclusive) and size of a file; None if they make no sense.

    Args:
        text: A Content-Range; its size is None where it does not say one.
    """
    match = _CONTENT_RANGE.fullmatch((text or "").strip())
    if match is None:
        return None
    start, stop = int(match[1]), int(match[2]) + 1
    total = None if match[3] == "*" else int(match[3])
    is_within = start < stop and (total is None or stop <= total)
    return (start, stop, total) if is_within else None


def parse_retry_after(text: str | None) -> float | None:
    """Returns the seconds from now that a Retry-After says; None if it says none.

    Args:
        text: Seconds, or a date.
    """
    text = (text or "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        date = email.utils.parsedate_tz(text)
        return (
            None
            if date is None
            else max(0.0, email.utils.mktime_tz(date) - time.time())
        )
    except (ValueError, OverflowError):  # a year of many digits
        return None
