"""What tests of the commands share with those of the second release."""

from __future__ import annotations

from tests.v2.conftest import downloads, release

__all__ = ["downloads", "release"]
