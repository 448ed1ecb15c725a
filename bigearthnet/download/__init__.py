"""Downloads that resume, and that are verified while they stream.

A file is received as `<name>.part`, with what is known of it in `<name>.part.json`, and
gets its name once it is whole, has the expected size and digest, and is durable. Its
bytes are hashed as they are written; only what an earlier run left is read again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.download.answers import Answer, ask
from bigearthnet.download.errors import TryAgainError
from bigearthnet.download.expected import Expected, check_file
from bigearthnet.download.http import check_url
from bigearthnet.download.part import PartFile
from bigearthnet.download.progress import ByteProgress
from bigearthnet.errors import ChecksumError, DownloadError, OptionError

__all__ = ["DownloadError", "Patience", "fetch"]

# Bytes asked of a connection at once; it gives what it has.
_PIECE_NBYTES = 1 << 20


@dataclass(frozen=True)
class Patience:
    """How long a download bears with a server.

    Attributes:
        timeout_s: Seconds to wait for a connection, and for more bytes.
        retries: Times that a request is repeated without getting any further.
        first_wait_s: Seconds before the first of them; doubled for each.
        longest_wait_s: The most seconds, even if the server asks for more.
    """

    timeout_s: float = 60.0
    retries: int = 8
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0

    def wait_s(self, failures: int, asked_s: float | None) -> float:
        """Returns how long to wait.

        Args:
            failures: Failures in a row, at least 1.
            asked_s: Seconds that the server asks for, if any.
        """
        wait = self.first_wait_s * 2.0 ** min(failures - 1, 60)
        return min(max(wait, asked_s or 0.0), self.longest_wait_s)


_PATIENCE = Patience()


def fetch(
    urls: Sequence[str],
    path: Path,
    *,
    nbytes: int | None,
    algorithm: str,
    digest: str,
    patience: Patience = _PATIENCE,
    quiet: bool = False,
) -> None:
    """Downloads a file and verifies it, going on where an earlier call was ended.

    A file that is there already is verified, and never downloaded again.

    Args:
        urls: Where the file is (http or https), the best first.
        path: The file to make; its folder is made if missing.
        nbytes: Size of the file in bytes; None if only the servers know it.
        algorithm: Name of the digest's algorithm, as `hashlib` has it.
        digest: Expected digest of the file, hexadecimal.
        patience: How long to bear with each server.
        quiet: Shows neither progress nor what servers do wrong.

    Raises:
        OptionError: If a URL or the digest is none.
        ChecksumError: If the file that is there, or what a server gave, has another
            size or digest. What was received is removed; what was there is not.
        DownloadError: If no server gives the file; what was received is kept for the
            next call. Also if another download of it is running.
        DiskSpaceError: If the file does not fit on the disk.
        OSError: If it cannot be written.
    """
    expected = Expected(nbytes, algorithm, digest)
    for url in urls:
        check_url(url)
    if not urls:
        raise OptionError(f"no URL to download {path.name} from.")
    if path.exists():
        _check_existing(path, expected, quiet)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with PartFile(path, expected) as part:
        if not path.exists():
            _recover(part, quiet)
            _fetch_from_any(urls, part, patience, quiet)
            return
    _check_existing(path, expected, quiet)  # another download has just finished


def _check_existing(path: Path, expected: Expected, quiet: bool) -> None:
    with ByteProgress(f"verify {path.name}", path.stat().st_size, quiet=quiet) as shown:
        check_file(path, expected, shown.update)


def _recover(part: PartFile, quiet: bool) -> None:
    nbytes = part.path.stat().st_size
    if nbytes:
        with ByteProgress(f"hash {part.path.name}", nbytes, quiet=quiet) as shown:
            part.recover(shown.update)


def _fetch_from_any(
    urls: Sequence[str], part: PartFile, patience: Patience, quiet: bool
) -> None:
    """Completes a file from the first server that can."""
    problems: list[DownloadError | ChecksumError] = []
    with ByteProgress(
        f"download {part.target.name}", part.total, done=part.nbytes, quiet=quiet
    ) as shown:
        for url in urls:
            try:
                _fetch_from(url, part, patience, shown)
                return
            except (DownloadError, ChecksumError) as problem:
                problems.append(problem)
                shown.note(str(problem))
    text = f"{part.target} was not downloaded. " + " ".join(map(str, problems))
    if part.nbytes:
        text += f" The {part.nbytes:,} bytes received are kept: run again to go on."
    # Wrong bytes need somebody's attention more than a server that is down.
    is_wrong = any(isinstance(problem, ChecksumError) for problem in problems)
    raise (ChecksumError if is_wrong else DownloadError)(text)


def _fetch_from(
    url: str, part: PartFile, patience: Patience, shown: ByteProgress
) -> None:
    """Completes a file from one server, and gives it its name.

    If bytes of several answers have the wrong digest together, nobody knows which are
    wrong, and all are fetched once more.
    """
    expected = part.expected
    for may_repeat in (True, False):
        _complete(url, part, patience, shown)
        if part.digest == expected.digest:
            part.finish()
            return
        found, is_pieced = part.digest, part.is_pieced
        part.clear()
        if not (is_pieced and may_repeat):
            raise ChecksumError(
                f"{url}: expected {expected.algorithm} {expected.digest}, got {found}; "
                "what was received is removed."
            )
        shown.note(f"{url}: the parts that were received do not fit: starting anew.")


def _complete(
    url: str, part: PartFile, patience: Patience, shown: ByteProgress
) -> None:
    """Asks a server for what is missing until nothing is.

    Raises:
        DownloadError: If the server has it not, or fails too often without any gain.
    """
    failures, furthest = 0, part.nbytes
    while not part.is_complete:
        try:
            _receive(url, part, patience, shown)
        except DownloadError as problem:
            raise DownloadError(f"{url}: {problem}.") from None
        except TryAgainError as problem:
            # A server that starts anew each time gains nothing before it gets further.
            failures = 0 if part.nbytes > furthest else failures
            furthest = max(furthest, part.nbytes)
            failures += 1
            if failures > patience.retries:
                raise DownloadError(
                    f"{url}: {problem}; gave up after {failures} attempts without gain."
                ) from None
            wait_s = patience.wait_s(failures, problem.wait_s)
            shown.note(f"{url}: {problem}; again in {wait_s:,.0f} s.")
            time.sleep(wait_s)


def _receive(url: str, part: PartFile, patience: Patience, shown: ByteProgress) -> None:
    """Sends one request, and appends what is answered."""
    version = part.version if part.version and part.version.url == url else None
    with ask(url, part.nbytes, version, patience.timeout_s) as answer:
        shown.total = total = _check_total(answer, part)
        part.check_space(total)
        if answer.start:
            part.go_on(answer.version)
        else:
            if part.nbytes:
                shown.note(
                    f"{url}: the server starts anew: it has no ranges, or another file."
                )
            part.begin(answer.version, total)
        # What comes beyond the end is never read.
        stop = total if answer.stop is None else min(answer.stop, total)
        while part.nbytes < stop:
            piece = answer.read(min(_PIECE_NBYTES, stop - part.nbytes))
            if not piece:
                raise TryAgainError(
                    f"the connection ended after {part.nbytes:,} of {total:,} bytes"
                )
            part.append(piece)
            shown.update(part.nbytes)


def _check_total(answer: Answer, part: PartFile) -> int:
    """Returns the size of the whole file, as far as the server's agrees.

    Raises:
        DownloadError: If it does not, or nobody knows it.
        TryAgainError: If what was received is of a file of another size.
    """
    expected = part.expected.nbytes
    if answer.total is None:
        total = part.total if answer.start else expected
    else:
        total = answer.total
    if total is None:
        raise DownloadError("the server does not say how large the file is")
    if expected not in (None, total):
        raise DownloadError(f"expected {expected:,} bytes, the server has {total:,}")
    if answer.start and part.total != total:
        part.clear()
        raise TryAgainError("the file has changed")
    return total
