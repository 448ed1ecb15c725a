"""Child process of stage two: writes the shards whose plans come on standard input.

Run as a script by `workers.Worker`. Messages are pickles of plain values between two
processes of the same program.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import threading
import time
from typing import Any, BinaryIO

# Patches between two reports of progress.
_REPORT_INTERVAL = 50
# Seconds between two checks that the parent is still running.
_WATCH_INTERVAL_S = 0.2


def main(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Writes shards until standard input ends."""
    from bigearthnet.engine.shards import write_shard

    # Imported modules stay in memory: the garbage collector need not visit them.
    gc.freeze()

    def send(kind: str, value: Any) -> None:
        """Sends a message to the parent."""
        pickle.dump((kind, value), stdout)
        stdout.flush()

    while True:
        try:
            task = pickle.load(stdin)
        except EOFError:
            return
        done = [0, 0]

        def count(nbytes: int, done: list[int] = done) -> None:
            """Counts a patch, and reports every few."""
            done[0] += 1
            done[1] += nbytes
            if done[0] == _REPORT_INTERVAL:
                send("progress", tuple(done))
                done[:] = 0, 0

        try:
            result = write_shard(task, count)
        except Exception as error:  # the parent raises it
            send("error", error)
        else:
            send("progress", tuple(done))
            send("done", result)


def end_with(parent: int) -> None:
    """Ends this process soon after its parent has ended.

    So a killed build can be resumed at once, and no worker of it writes meanwhile.
    """
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    sys.path[:] = json.loads(sys.argv[1])
    # Standard output carries messages; what libraries print goes to standard error.
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Registering the builder with TFDS takes half a second and is not needed here.
    sys.modules["tensorflow_datasets"] = None  # type: ignore[assignment]
    try:
        main(sys.stdin.buffer, messages)
    except BrokenPipeError:
        os._exit(1)  # the parent is gone; flushing at exit would fail again
