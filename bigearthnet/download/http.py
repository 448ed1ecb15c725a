"""One HTTP request: what may be asked, redirects, and how a failure is told.

Source: RFC 9110, HTTP Semantics (15.4 redirection).
"""

from __future__ import annotations

import ssl
import string
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, InvalidURL
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from bigearthnet.download.errors import TryAgainError
from bigearthnet.errors import DownloadError, OptionError

# Archives need one or two; browsers follow 20.
_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URL_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


def check_url(url: str) -> None:
    """Checks that a URL can be downloaded from.

    Raises:
        OptionError: If it is no http or https URL, or holds a user or password.
    """
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        is_valid = False
    if (
        not is_valid
        or parts.scheme not in ("http", "https")
        or parts.username is not None
        or not _URL_CHARACTERS.issuperset(url)
    ):
        raise OptionError(
            f"{url!r} cannot be downloaded: expected a URL as "
            "https://host/folder/file, without user and password."
        )


def send(url: str, headers: Mapping[str, str], timeout_s: float) -> HTTPResponse:
    """Sends a request, and follows redirects.

    Args:
        url: A checked URL.
        headers: Header fields of the request.
        timeout_s: Seconds to wait for a connection, and for more bytes.

    Returns:
        The answer, whatever its status.

    Raises:
        DownloadError: If it cannot be asked for, or redirects lead nowhere.
        TryAgainError: If the server does not answer.
    """
    target = url
    for _ in range(_MAX_REDIRECTS + 1):
        response = _send_once(target, headers, timeout_s)
        if response.status not in _REDIRECTS:
            return response
        location = response.headers.get("Location")
        response.close()
        target = follow(target, location)
    raise DownloadError(f"the server redirects more than {_MAX_REDIRECTS} times")


def follow(url: str, location: str | None) -> str:
    """Returns where a redirect leads.

    Raises:
        DownloadError: If that is not http or https, or was https and is no more.
    """
    if location is None:
        raise DownloadError("the server redirects without saying where to")
    try:
        # Headers are latin-1; a URL is ASCII.
        target = urljoin(url, quote(location, string.punctuation, "latin-1"))
        check_url(target)
    except ValueError:
        raise DownloadError(f"the server redirects to {location!r}") from None
    if urlsplit(url).scheme == "https" != urlsplit(target).scheme:
        raise DownloadError(f"the server redirects from https to {target}")
    return target


def _send_once(url: str, headers: Mapping[str, str], timeout_s: float) -> HTTPResponse:
    """Sends one request; proxies are those of the environment.

    The opener knows http and https alone, and leaves any status to its caller.
    """
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    try:
        return opener.open(Request(url, headers=dict(headers)), timeout=timeout_s)
    except InvalidURL as error:
        raise DownloadError(str(error)) from None
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"the server's certificate is wrong ({cause})"
            ) from None
        if isinstance(cause, TimeoutError):
            raise TryAgainError("the server does not answer") from None
        raise TryAgainError(f"the server cannot be reached ({cause!r:.200})") from None
