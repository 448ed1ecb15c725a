"""The engines that builds are tested on, each with two workers of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

_PACKAGES = {"dask": "distributed", "spark": "pyspark", "beam": "apache_beam"}

# Options of engines that a build starts itself.
_OPTIONS = {
    # A master and two executors, processes of their own.
    "spark": ["spark.master=local-cluster[2,1,512]", "spark.executor.memory=512m"],
    "beam": [],
    "beam, two processes": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}

FindEngine = Callable[[str], tuple[str, list[str]]]

# Those that need an environment of their own are for `make test-engines`.
ENGINES = ["dask", *(pytest.param(n, marks=pytest.mark.engines) for n in _OPTIONS)]


def check_installed(text: str) -> None:
    """Skips a test whose engine is not installed here."""
    name = text.partition("://")[0]
    if find_spec(_PACKAGES[name]) is None:
        pytest.skip(f"{name} is not installed")


@contextmanager
def start(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Starts what an engine needs; gives its name for `--engine`, and its options.

    Args:
        name: One of `ENGINES`.
        folder: An empty folder for its files.
    """
    text = name.partition(",")[0]
    check_installed(text)
    if text == "dask":
        with _start_dask(folder) as address:
            yield address, []
    else:
        yield text, _OPTIONS[name]


@contextmanager
def _start_dask(folder: Path) -> Iterator[str]:
    """Starts a scheduler and two workers on the loopback interface."""
    from distributed import Client

    file = folder / "scheduler.json"
    options = [f"--scheduler-file={file}", "--no-dashboard", "--host=127.0.0.1"]
    alone = ["--nworkers=2", "--nthreads=1", f"--local-directory={folder}"]
    with ExitStack() as stack:
        for arguments in (["scheduler", "--port=0", *options], ["worker", *options]):
            arguments += alone if arguments[0] == "worker" else []
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments], stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        yield address.replace("tcp", "dask")
