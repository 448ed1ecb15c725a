"""Child processes that do not import the user's program.

`multiprocessing` would run the user's main script again in each child, and fail where
that script has no `__main__` guard; forking is unsafe beside TensorFlow's threads. A
script of this package in a fresh interpreter has neither problem.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

# No child multiplies matrices; threads that NumPy starts for it, and that wait for work
# in a loop at first, cost 0.1 s of a core each.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


def start_script(
    script: str, *arguments: object, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts a Python script with unbuffered pipes to its standard input and output.

    The script gets this process's module search path as its first argument, in JSON: it
    may have been changed since the start.

    Args:
        script: Path of the script.
        *arguments: Its other arguments.
        pass_fds: File descriptors that the script inherits.
    """
    # -P: the script's folder must not shadow installed packages.
    path = json.dumps([str(entry) for entry in sys.path])
    command = [sys.executable, "-P", script, path, *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=pass_fds,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C is the parent's to handle
        bufsize=0,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a process, waits for it, and closes its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
