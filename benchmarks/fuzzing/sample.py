"""The files of the real sample patches, from which seeds are made."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builder.sample import write_sample


@functools.cache
def read_sample() -> Mapping[str, bytes]:
    """Reads the six real patches; returns file name → content.

    Raises:
        OptionError: If the extra `[sample]` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(write_sample(Path(folder)).glob("*/*"))
        return {file.name: file.read_bytes() for file in files}
