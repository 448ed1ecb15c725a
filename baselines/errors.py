"""The errors of training and evaluation, beside those of `bigearthnet.errors`.

A flag that asks for what cannot be done is a `bigearthnet.errors.OptionError`.
"""

from __future__ import annotations

from bigearthnet.errors import BigEarthNetError


class WeightsError(BigEarthNetError, ValueError):
    """Raised when weights are missing, or are not those of the model."""


class CheckpointError(BigEarthNetError, OSError):
    """Raised when a training state cannot be read, or is of another run."""


class CacheError(BigEarthNetError, OSError):
    """Raised when cached features cannot be read, or are of other weights."""


class ResultError(BigEarthNetError, ValueError):
    """Raised when results cannot be read, or must not be compared."""


class ClusterError(BigEarthNetError, ConnectionError):
    """Raised when the hosts of a training have lost each other, or differ."""
