"""The errors this project raises; every module may import them, they import nothing.

Each class is also a built-in error, so that callers can catch either. A message
says what is wrong, what was expected, what came, where, and what to do.
"""

from __future__ import annotations


class BigEarthNetError(Exception):
    """Root of all errors that this project raises on purpose."""


class ArchiveError(BigEarthNetError, OSError):
    """Raised when a source archive or folder cannot be read to its end."""


class ChecksumError(ArchiveError):
    """Raised when a file's bytes are not those of the published release."""


class PatchError(BigEarthNetError, ValueError):
    """Raised when one patch of a source is not what the release promises.

    Attributes:
        patch_id: The patch (or the folder that should be one).
        file: The file within the patch, or None where the whole patch is meant.
    """

    def __init__(self, problem: str, *, patch_id: str, file: str | None = None) -> None:
        self.problem = problem
        self.patch_id = patch_id
        self.file = file
        where = f"{patch_id}/{file}" if file else patch_id
        super().__init__(f"{where}: {problem}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_patch_error, (self.problem, self.patch_id, self.file)


def _rebuild_patch_error(problem: str, patch_id: str, file: str | None) -> PatchError:
    """Keyword arguments do not survive pickling by themselves."""
    return PatchError(problem, patch_id=patch_id, file=file)


class LabelError(BigEarthNetError, ValueError):
    """Raised when a label or class id is not part of a nomenclature."""


class OptionError(BigEarthNetError, ValueError):
    """Raised when an option is invalid or cannot be fulfilled."""


class DiskSpaceError(BigEarthNetError, OSError):
    """Raised before a build that would not fit on its disk."""


class DownloadError(BigEarthNetError, OSError):
    """Raised when no server gives or takes a file, or another download of it runs."""


class PublishError(BigEarthNetError, OSError):
    """Raised when a build may not be published, or did not arrive as it was sent."""


class JournalError(BigEarthNetError, OSError):
    """Raised when the journal or a spool of an unfinished build is damaged."""


class EngineError(BigEarthNetError, RuntimeError):
    """Raised when an engine cannot be reached, gives up a task, or loses one."""


class QuarantineError(BigEarthNetError, ValueError):
    """Raised when more patches are bad than a build may set aside, or all are."""


class ShardError(BigEarthNetError, ValueError):
    """Raised when a stored file is damaged or missing."""

    @classmethod
    def unreadable(cls, path: object, cause: Exception) -> ShardError:
        """Returns the error for a shard that a library cannot read.

        Args:
            path: The shard.
            cause: What the library raised.
        """
        if isinstance(cause, FileNotFoundError):
            return cls(f"{path} is missing. Was it moved while it was in use?")
        return cls(
            f"{path} cannot be read ({str(cause)[:80]}). The shard is damaged: build "
            "or download it again."
        )


class StoreError(BigEarthNetError, OSError):
    """Raised when a store is missing, or was written by another version."""
