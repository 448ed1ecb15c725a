"""Keeps what libraries print on standard error away from a command's own lines.

TensorFlow writes lines that look like failures to file descriptor 2 from C++, whatever
its log level is. They go to a file; `sys.stderr` stays with the terminal.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bigearthnet.errors import BigEarthNetError

LOG_NAME = "libraries.log"


@contextlib.contextmanager
def divert_libraries(find_folder: Callable[[], Path | None]) -> Iterator[None]:
    """Sends file descriptor 2 to a file, from now on until the process ends.

    What Python code prints to `sys.stderr` still comes out, and so does the traceback
    of a crash. The lines are added to `libraries.log` of a folder, or forgotten; but
    after an error that is not ours they stay in a temporary file, which is named.

    Args:
        find_folder: Returns the folder, once the block is done. Lines are forgotten if
            it is None or is not there.
    """
    sys.stderr.flush()
    handle, name = tempfile.mkstemp(prefix="bigearthnet-", suffix=f"-{LOG_NAME}")
    path = Path(name)
    terminal = os.dup(2)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, errors="backslashreplace")
    faulthandler.enable(sys.stderr)
    try:
        yield
    except (BigEarthNetError, KeyboardInterrupt):
        _keep(path, find_folder())
        raise
    except BaseException:
        print(f"what libraries printed: {path}", file=sys.stderr)
        raise
    _keep(path, find_folder())


def _keep(path: Path, folder: Path | None) -> None:
    """Adds a file to the one of a folder, if that is there, and deletes it."""
    if folder is not None and folder.is_dir():
        with (folder / LOG_NAME).open("ab") as file:
            file.write(path.read_bytes())
    path.unlink()
