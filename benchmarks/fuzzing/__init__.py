"""Coverage-guided fuzzing of the readers of untrusted bytes.

Each target is a module with a function `check`: bytes → whether our reader accepted
them. It fails with `Finding` if our reader accepts what its oracle (`tarfile`,
rasterio, `json`) reads otherwise; what our reader refuses must be an error of ours. The
oracle, which is slow, is asked only about what our reader accepts.
"""

from __future__ import annotations


class Finding(AssertionError):
    """Raised when a reader and its oracle disagree."""


def expect_equal(expected: object, found: object, what: str) -> None:
    """Compares an answer of a reader with its oracle's.

    Raises:
        Finding: If they differ.
    """
    if expected != found:
        raise Finding(f"{what}: expected {expected!r:.200}, got {found!r:.200}")
