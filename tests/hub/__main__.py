"""Serves a store on a loopback hub, for trying and measuring without the real one.

The clients find it by the environment variables that are printed.

Example:
  python -m tests.hub --folder=data/huggingface --latency_ms=20
"""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from pathlib import Path

from absl import flags

from bigearthnet.util import command
from tests.hub import Hub


def _define_flags() -> None:
    command.define_path("folder", None, "Store that is published.", required=True)
    flags.DEFINE_float("latency_ms", 0, "Time until a request is answered.")


def _main() -> None:
    seconds = flags.FLAGS.latency_ms / 1000
    with tempfile.TemporaryDirectory() as home, Hub(Path(home) / "hub") as hub:
        variables = hub.environment(Path(home) / "home")
        os.environ.update(variables)  # before the client is imported
        from tests.hub.published import URL, publish_folder

        publish_folder(hub, flags.FLAGS.folder)
        hub.fail("", times=None, call=lambda: time.sleep(seconds))
        for name in ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "no_proxy"):
            print(f"export {name}={shlex.quote(variables[name])}", flush=True)
        print(f"# {URL} until it is interrupted", flush=True)
        time.sleep(10**9)


if __name__ == "__main__":
    command.run(_main, _define_flags)
