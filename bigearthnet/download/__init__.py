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
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ProtocolError

from bigearthnet.download.http import check_url, open_rest
from bigearthnet.download.part import PIECE_NBYTES, Expected, PartFile, check_file
from bigearthnet.encoding.progress import Progress
from bigearthnet.errors import ChecksumError, DownloadError, OptionError

__all__ = ["RETRIES", "DownloadError", "Expected", "fetch"]

# Waits 0, 2, 4, ... seconds, four minutes in all, if the server does not ask for more.
RETRIES = Retry(8, backoff_factor=1, backoff_max=120, retry_after_max=120)


def fetch(
    urls: Sequence[str],
    path: Path,
    expected: Expected,
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
        expected: Size and digest of the file.
        retries: How often and after which waits a failed request is repeated; counted
            from zero again whenever the server has sent further bytes of the file.
        timeout_s: Seconds to wait for a connection, and for more bytes.
        quiet: Shows neither progress nor what servers do wrong.

    Raises:
        OptionError: If a URL is invalid.
        ChecksumError: If the file that is there, or what a server sent, has another
            size or digest. What was received is removed; what was there is not.
        DownloadError: If no server gives the file; what was received is kept for the
            next call. Also if another download of it is running.
        DiskSpaceError: If the file does not fit on the disk.
        OSError: If it cannot be written.
    """
    for url in urls:
        check_url(url)
    if not urls:
        raise OptionError(f"no URL to download {path.name} from.")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(PartFile(path, expected)) as part:
            if not path.exists():  # else another download has just finished
                part.recover(quiet)
                _Download(part, retries, timeout_s, quiet).fetch_from_any(urls)
                return
    check_file(path, expected, quiet)


class _Download:
    """What the steps of one download share; see `fetch`."""

    def __init__(
        self, part: PartFile, retries: Retry, timeout_s: float, quiet: bool
    ) -> None:
        title, total = f"download {part.target.name}", part.expected.nbytes
        self._part, self._retries, self._timeout_s = part, retries, timeout_s
        self._shown = Progress(
            title, total_nbytes=total, first_nbytes=part.nbytes, quiet=quiet
        )

    def fetch_from_any(self, urls: Sequence[str]) -> None:
        """Completes the file from the first server that can."""
        kind: type[ChecksumError | DownloadError] = DownloadError
        text = f"{self._part.target} was not downloaded."
        with self._shown:
            for url in urls:
                try:
                    self._fetch_from(url)
                    return
                except (ChecksumError, DownloadError) as problem:
                    # Wrong bytes need attention more than a server that is down.
                    kind = kind if isinstance(problem, DownloadError) else ChecksumError
                    text += f" {url}: {problem}."
                    self._shown.note(f"{url}: {problem}.")
            if (nbytes := self._part.nbytes) > 0:
                text += f" The {nbytes:,} bytes received are kept: run again to resume."
            raise kind(text)

    def _fetch_from(self, url: str, *, may_restart: bool = True) -> None:
        """Completes the file from one server, and gives it its name.

        If bytes of several responses have the wrong digest together, nobody knows which
        are wrong, and all are fetched once more.
        """
        part, left, expected = self._part, self._retries, self._part.expected
        furthest, is_resumed = part.nbytes, part.nbytes > 0
        while part.missing:
            try:
                is_resumed = self._receive(url)
            except HTTPError as error:
                # A server that starts from zero each time must get further to count.
                if part.nbytes > furthest:
                    left, furthest = self._retries, part.nbytes
                left = self._wait(url, left, error)
        found, wanted = part.hash.hexdigest(), f"{expected.algorithm} {expected.digest}"
        if found == expected.digest:
            part.finish()
            return
        part.clear()
        if not (is_resumed and may_restart):
            raise ChecksumError(f"expected {wanted}, got {found}; what came is removed")
        self._shown.note(
            f"{url}: checksum mismatch after resuming; starting from zero."
        )
        self._fetch_from(url, may_restart=False)

    def _wait(self, url: str, retries: Retry, error: HTTPError) -> Retry:
        """Waits before the next request; returns the retries that are left.

        Raises:
            DownloadError: If none is left.
        """
        problem = f"failed after {self._part.nbytes:,} bytes ({error!r:.300})"
        try:
            retries = retries.increment("GET", error=error)
            asked_s = retries.parse_retry_after(getattr(error, "retry_after", "0"))
        except MaxRetryError:
            count = len(retries.history) + 1
            raise DownloadError(f"{problem}; gave up after {count} attempts") from None
        except (InvalidHeader, ValueError, OverflowError):  # an invalid Retry-After
            asked_s = 0.0
        wait_s = asked_s or retries.get_backoff_time()
        self._shown.note(f"{url}: {problem}; retrying in {wait_s:,.0f} s.")
        time.sleep(wait_s)
        return retries

    def _receive(self, url: str) -> bool:
        """Sends one request, and appends what is answered, but nothing beyond the end.

        Returns:
            Whether the response was the rest of the file, not all of it.
        """
        part = self._part
        response = open_rest(url, part.nbytes, part.expected.nbytes, self._timeout_s)
        with contextlib.closing(response):
            if response.status == 200:
                part.clear()
            while part.missing:
                nbytes = min(PIECE_NBYTES, part.missing)
                piece = response.read1(nbytes, decode_content=False)
                if not piece:
                    raise ProtocolError("the response ended early")
                part.append(piece)
                self._shown.update(0, part.nbytes)
        return response.status == 206
