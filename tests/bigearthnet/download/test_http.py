from __future__ import annotations

import pytest

from bigearthnet.download import DownloadError
from bigearthnet.download.http import check_url, follow
from bigearthnet.errors import OptionError


@pytest.mark.parametrize(
    "url",
    [
        "https://zenodo.org/records/1/files/a.tar.gz?download=1",
        "http://[::1]:8080/a",
        "HTTPS://host/%20",
    ],
)
def test_urls_of_the_web_are_accepted(url: str) -> None:
    """Http and https URLs pass, with port, query and escapes."""
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://host/a",
        "data:,a",
        "host/a",
        "https:///a",
        "https://user@host/a",
        "https://user:password@host/a",
        "https://host:port/a",
        "https://host:99999/a",
        "https://[::1/a",
        "https://host/a b",
        "https://host/a\r\nX: y",
        "https://h\u00f6st/a",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL of another kind, or one that could not be sent, is refused and shown."""
    with pytest.raises(OptionError) as raised:
        check_url(url)

    assert str(raised.value).startswith(f"{url!r} cannot be downloaded: expected")


@pytest.mark.parametrize(
    ("url", "location", "expected"),
    [
        ("http://a/b/c", "d?e#f", "http://a/b/d?e#f"),
        ("http://a/b/c", "/d", "http://a/d"),
        ("https://a/b", "//c/d", "https://c/d"),
        ("http://a/b", "https://c/d", "https://c/d"),
        ("http://a/b", "c d\u00e9\r\n", "http://a/c%20d%E9%0D%0A"),
        ("http://a/b", "c%20d", "http://a/c%20d"),
    ],
)
def test_redirects_lead_to_a_url(url: str, location: str, expected: str) -> None:
    """A redirect is relative to where it comes from, and escaped as a URL is."""
    assert expected == follow(url, location)


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
@pytest.mark.parametrize("location", ["http://a/b", "HTTP://a/b"])
def test_nothing_leads_from_https_to_http(scheme: str, location: str) -> None:
    """A redirect that gives up encryption is refused."""
    with pytest.raises(DownloadError, match="redirects from https to"):
        follow(f"{scheme}://a/b", location)
