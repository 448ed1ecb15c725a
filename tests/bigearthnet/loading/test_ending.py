from __future__ import annotations

import subprocess
import sys

# A thread reads on and on, as TensorFlow's do, and a second generator is at rest. The
# function that was registered first is called last.
PROGRAM = """
import atexit, itertools, threading, time
atexit.register(lambda: print(len(ending._handed_over), asked < 1000))
from bigearthnet.loading import ending

def read():
    global asked
    for asked in itertools.count():
        time.sleep(0.05)
        yield {}

resting = ending.until_exit(iter([{}, {}]))
next(resting)
asked = 0
thread = threading.Thread(target=list, args=[ending.until_exit(read())], daemon=True)
thread.start()
"""


def test_generators_come_to_rest_before_the_interpreter_goes() -> None:
    """One that is being read ends; one that nobody asks is not waited for."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (0, "1 True\n") == (done.returncode, done.stdout), done.stderr
