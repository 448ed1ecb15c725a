"""Requests the rest of a file from an HTTP server: ranges, redirects, proxies.

Source: RFC 9110, HTTP Semantics (14 range requests, 15 status codes).
"""

from __future__ import annotations

import contextlib
import re
import string
from http.client import responses
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import make_headers, parse_url

from bigearthnet.errors import DownloadError, OptionError

# Archives need one or two; browsers follow 20.
_MAX_REDIRECTS = 10


class TemporaryError(HTTPError):
    """Raised when a server answers with a status that a retry may change.

    Its arguments are the status in words, and what Retry-After says ("0" if nothing).
    """


def check_url(url: str) -> None:
    """Checks that a URL can be downloaded from.

    Raises:
        OptionError: If it is not an http or https URL, or has a user or password.
    """
    with contextlib.suppress(LocationParseError):  # invalid port, half an IPv6 address
        parts, is_http = parse_url(url), re.fullmatch("(?i)https?://[!-~]+", url)
        if is_http and parts.host and parts.auth is None:
            return
    raise OptionError(f"{url!r} cannot be downloaded: expected https://host/file.")


def find_size(url: str, timeout_s: float) -> int:
    """Asks a server for the size of a file in bytes.

    Raises:
        DownloadError: If the server does not have the file, or does not say its size.
        HTTPError: If the same request may succeed later.
    """
    with contextlib.closing(_send(url, 0, timeout_s)) as response:
        if response.status == 200 and response.length_remaining:
            return int(response.length_remaining)
        raise DownloadError(f"{response.status}, and no size of the file")


def open_rest(url: str, start: int, total: int, timeout_s: float) -> BaseHTTPResponse:
    """Asks a server for a file from a position on.

    Args:
        url: A checked URL.
        start: Position of the first byte that is missing.
        total: Expected size of the whole file in bytes.
        timeout_s: Seconds to wait for a connection, and for more bytes.

    Returns:
        The response, to be closed by the caller. Its status is 206 if it is the rest of
        the file, 200 if it is all of it, because the server cannot send the rest.

    Raises:
        DownloadError: If the server does not have the file, or another one.
        HTTPError: If the same request may succeed later.
    """
    response = _send(url, start, timeout_s)
    status, headers = response.status, response.headers
    nbytes = response.length_remaining
    encoding = (headers.get("Content-Encoding") or "identity").lower()
    span = rf"bytes {start}-[0-9]+/({total}|\*)"
    if status == 206 and start and re.fullmatch(span, headers.get("Content-Range", "")):
        return response
    if status == 200 and encoding == "identity" and nbytes in (None, total):
        return response
    response.close()
    if start and status in (206, 416):  # not the range that was asked for
        return open_rest(url, 0, total, timeout_s)
    # In the standard's words: the server's could hold anything.
    problem = f"{status} {responses.get(status, '')}".strip()
    if status in (408, 425, 429) or status >= 500:  # timeout, early, too many requests
        raise TemporaryError(problem, headers.get("Retry-After", "0"))
    if status == 200:
        problem = f"expected {total} bytes, got {nbytes} in the encoding {encoding!r}"
    raise DownloadError(problem)


def _send(url: str, start: int, timeout_s: float) -> BaseHTTPResponse:
    """Sends a request, and follows redirects; the answer may have any other status."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "bigearthnet"}
    if start:
        headers["Range"] = f"bytes={start}-"
    for _ in range(_MAX_REDIRECTS + 1):
        response = _make_pool(url, timeout_s).request(
            "GET", url, headers=headers, redirect=False, preload_content=False
        )
        if (location := response.get_redirect_location()) is False:
            return response
        response.close()
        url = follow(url, location or "")
    raise DownloadError(f"the server redirects more than {_MAX_REDIRECTS} times")


def _make_pool(url: str, timeout_s: float) -> PoolManager:
    """Returns a pool that uses the proxy of the environment, if there is one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return PoolManager(timeout=timeout_s, retries=False)
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    auth = make_headers(proxy_basic_auth=unquote(parse_url(proxy).auth or ""))
    return ProxyManager(proxy, proxy_headers=auth, timeout=timeout_s, retries=False)


def follow(url: str, location: str) -> str:
    """Returns where a redirect leads.

    Raises:
        DownloadError: If that is not http or https, or no longer https.
    """
    try:
        # Headers are latin-1; a URL is ASCII.
        target = urljoin(url, quote(location, string.punctuation, "latin-1"))
        check_url(target)
    except ValueError:
        raise DownloadError(f"the server redirects to {location!r}") from None
    if urlsplit(url).scheme == "https" != urlsplit(target).scheme:
        raise DownloadError(f"the server redirects from https to {target}")
    return target
