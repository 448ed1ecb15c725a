"""Downloads that resume, and that are verified while they stream.

A file is received as `<name>.part`, and gets its name once it has the expected size and
digest, and is durable. Its bytes are hashed as they are written; only what an earlier
run left is read again. The digest alone decides whether bytes of several runs, servers
and responses belong together.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from urllib3 import Retry
from urllib3.exceptions import HTTPError, InvalidHeader, ProtocolError

from bigearthnet.download.http import TemporaryError, check_url, find_size, open_rest
from bigearthnet.download.part import PIECE_NBYTES, PartFile, check_digest, check_file
from bigearthnet.errors import ChecksumError, DownloadError, OptionError
from bigearthnet.release import Digest
from bigearthnet.store.outputs import check_output

__all__ = ["RETRIES", "DownloadError", "fetch"]

# Waits 0, 2, 4, ... seconds, four minutes in all, if the server does not ask for more.
RETRIES = Retry(8, backoff_factor=1, backoff_max=120, retry_after_max=120)


def fetch(
    urls: Sequence[str],
    path: Path,
    nbytes: int | None,
    digest: Digest,
    *,
    retries: Retry = RETRIES,
    timeout_s: float = 60.0,
    quiet: bool = False,
) -> None:
    """Downloads a file and verifies it, resuming an interrupted download.

    A file that is there already is verified, and never downloaded again.

    Args:
        urls: Where the file is (http or https), the best first.
        path: The file to make; its folder is made if missing.
        nbytes: Size of the file in bytes; None to ask the servers.
        digest: Its digest, of an algorithm that hashlib has.
        retries: How often and after which waits a failed request is repeated; counted
            from zero again whenever the server has sent further bytes of the file.
        timeout_s: Seconds to wait for a connection, and for more bytes.
        quiet: Shows neither progress nor failed requests.

    Raises:
        OptionError: If a URL or the digest is invalid, or the file cannot go to that
            path; see `store.outputs.check_output`.
        ChecksumError: If the file that is there, or what a server sent, has another
            digest. What was received is removed; what was there is not.
        DownloadError: If no server gives the file; what was received is kept for the
            next call. Also if another download of it is running.
        DiskSpaceError: If the file does not fit on the disk.
        OSError: If it cannot be written.
    """
    check_output(path, "output")
    check_digest(digest)
    for url in urls:
        check_url(url)
    if not urls:
        raise OptionError(f"no URL to download {path.name} from.")
    if not path.exists():
        nbytes = nbytes or _find_size(urls, path, timeout_s)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(PartFile(path, nbytes, digest)) as part:
            if not path.exists():  # else another download has just finished
                part.recover(quiet)
                with part.shown:
                    _fetch_from_any(urls, part, retries, timeout_s)
                return
    check_file(path, digest, quiet)


def _find_size(urls: Sequence[str], path: Path, timeout_s: float) -> int:
    """Asks one server after another for the size of a file."""
    problems = []
    for url in urls:
        try:
            return find_size(url, timeout_s)
        except (DownloadError, HTTPError) as problem:
            problems.append(f"{url}: {problem!s:.300}.")
    raise DownloadError(f"{path} was not downloaded. {' '.join(problems)}")


def _fetch_from_any(
    urls: Sequence[str], part: PartFile, retries: Retry, timeout_s: float
) -> None:
    """Completes a file from the first server that can."""
    kind: type[ChecksumError | DownloadError] = DownloadError
    text = f"{part.target} was not downloaded."
    for url in urls:
        try:
            _fetch_from(url, part, retries, timeout_s)
            return
        except (ChecksumError, DownloadError) as problem:
            # Wrong bytes need attention more than a server that is down.
            kind = kind if isinstance(problem, DownloadError) else ChecksumError
            text += f" {url}: {problem}."
            part.shown.note(f"{url}: {problem}.")
    if part.nbytes:
        text += f" The {part.nbytes:,} bytes received are kept: run again to resume."
    raise kind(text)


def _fetch_from(
    url: str, part: PartFile, retries: Retry, timeout_s: float, may_restart: bool = True
) -> None:
    """Completes a file from one server, and gives it its name.

    Raises:
        ChecksumError: If the server has other bytes.
        DownloadError: If it does not have the file, or fails too often in a row.
    """
    left, furthest, is_resumed = retries, part.nbytes, part.nbytes > 0
    while part.missing:
        try:
            is_resumed = _receive(url, part, timeout_s)
        except HTTPError as error:
            # A server that starts from zero each time must get further to count.
            if part.nbytes > furthest:
                left, furthest = retries, part.nbytes
            left = _wait(url, part, left, error)
    found, digest = part.hash.hexdigest(), part.digest
    if found == digest.hexdigest:
        part.finish()
        return
    part.clear()
    problem = f"expected {digest.algorithm} {digest.hexdigest}, got {found}"
    if not (is_resumed and may_restart):
        raise ChecksumError(f"{problem}; what was received is removed")
    # The bytes of several responses are wrong together: nobody knows which of them.
    part.shown.note(f"{url}: {problem}, after resuming; starting from zero.")
    _fetch_from(url, part, retries, timeout_s, may_restart=False)


def _wait(url: str, part: PartFile, retries: Retry, error: HTTPError) -> Retry:
    """Waits before the next request; returns the retries that are left.

    Raises:
        DownloadError: If none is left.
    """
    problem = f"failed after {part.nbytes:,} bytes ({error!r:.300})"
    if "CERTIFICATE_VERIFY_FAILED" in problem:  # a retry would fail as well
        raise DownloadError(problem)
    asked = error.args[1] if isinstance(error, TemporaryError) else "0"
    try:
        retries = retries.increment("GET", error=error)
        asked_s = retries.parse_retry_after(asked)
    except (InvalidHeader, ValueError, OverflowError):  # an invalid Retry-After
        asked_s = 0.0
    except HTTPError:
        count = len(retries.history) + 1
        raise DownloadError(f"{problem}; gave up after {count} attempts") from None
    wait_s = asked_s or retries.get_backoff_time()
    part.shown.note(f"{url}: {problem}; retrying in {wait_s:,.0f} s.")
    time.sleep(wait_s)
    return retries


def _receive(url: str, part: PartFile, timeout_s: float) -> bool:
    """Sends one request, and appends what is answered, but nothing beyond the end.

    Returns:
        Whether the response was the rest of the file, not all of it.
    """
    response = open_rest(url, part.nbytes, part.total, timeout_s)
    with contextlib.closing(response):
        if response.status == 200:
            part.clear()
        while part.missing:
            data = response.read1(min(PIECE_NBYTES, part.missing), decode_content=False)
            if not data:
                raise ProtocolError("the response ended early")
            part.append(data)
    return response.status == 206
