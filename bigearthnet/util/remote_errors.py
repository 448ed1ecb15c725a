"""What clients of hubs, object stores and web servers raise → our errors.

Nothing here says what a library or a server says: both may quote requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bigearthnet.errors import (
    BigEarthNetError,
    DownloadError,
    ShardError,
    StoreError,
)

# Statuses of a request that may succeed later (RFC 9110, 15.5 and 15.6; RFC 6585, 4).
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


def explain(
    error: Exception,
    place: str,
    nbytes: int | None,
    find_nbytes: Callable[[], int],
    deed: str = "read",
) -> tuple[BigEarthNetError, bool]:
    """Returns the error for what a client raised, and whether to try again.

    Args:
        error: What was raised; EOFError for an answer that was too short.
        place: The URL as it was given.
        nbytes: Size that the file must have; None for any.
        find_nbytes: Asks for the size that it has.
        deed: What could not be done: `read`, `written`, `listed`, `deleted`.
    """
    reasons = list(_list_reasons(error))
    status = next((s for s in map(_find_status, reasons) if s), 0)
    if isinstance(error, EOFError) or status == 416:
        return _explain_end(place, nbytes, find_nbytes)
    if status in (401, 403) or any(isinstance(r, PermissionError) for r in reasons):
        answer = f" (status {status})" if status else ""
        return DownloadError(
            f"{place} may not be {deed}{answer}. If it is private, log in with the "
            "client of the place (`hf auth login` or HF_TOKEN, `aws configure`, "
            "`gcloud auth`), with a login that may do so; if not, check the name."
        ), False
    if status == 404 or any(isinstance(r, FileNotFoundError) for r in reasons):
        what = "file, folder or revision" if deed == "read" else "bucket or folder"
        advice = "; a store is published by python -m builder.publish"
        return StoreError(
            f"{place} is missing: there is no such {what}. Check the address"
            f"{advice if deed == 'read' else ''}."
        ), False
    what = f"status {status}" if status else type(reasons[-1]).__name__
    return DownloadError(
        f"{place} cannot be {deed} ({what}). Check network, address and login, and try "
        "again later."
    ), status in _TEMPORARY or (not status and any(map(_is_broken, reasons)))


def is_beyond_end(error: Exception) -> bool:
    """Whether a range was asked for of which a file has nothing, as one without bytes.

    Status 416 of RFC 9110, 15.5.17.
    """
    return any(_find_status(reason) == 416 for reason in _list_reasons(error))


def _explain_end(
    place: str, nbytes: int | None, find_nbytes: Callable[[], int]
) -> tuple[BigEarthNetError, bool]:
    """Returns the same for an answer that was too short."""
    found = nbytes
    with contextlib.suppress(Exception):
        found = find_nbytes()
    if nbytes is not None and found != nbytes:
        return wrong_size(place, nbytes, found or 0), False
    return DownloadError(
        f"{place} cannot be read: answers end early. Try again later; if it stays so, "
        "what lies there is damaged: publish it again."
    ), True


def wrong_size(place: str, expected: int, found: int) -> ShardError:
    """Returns the error for a file that has another size than its manifest says."""
    return ShardError(
        f"{place} has {found:,} bytes: expected {expected:,}, as its manifest says. "
        "It was not published whole: publish it again, or read another revision."
    )


def _is_broken(error: BaseException) -> bool:
    """Whether an error is of a connection, and not of what was asked for."""
    module = type(error).__module__.partition(".")[0]
    is_client = module.startswith(
        ("httpx", "httpcore", "aiohttp", "urllib3", "botocore")
    )
    is_off = "Offline" in type(error).__name__  # HF_HUB_OFFLINE
    return (is_client or isinstance(error, OSError)) and not is_off


def _list_reasons(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _find_status(error: BaseException) -> int:
    """Returns the HTTP status that a client's error tells of; 0 if none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        response = response.get("ResponseMetadata", {})
        return int(response.get("HTTPStatusCode", 0))
    found = getattr(response, "status_code", None) or getattr(error, "status", None)
    if type(error).__module__.startswith("gcsfs"):
        found = getattr(error, "code", None)
    return found if isinstance(found, int) else 0
