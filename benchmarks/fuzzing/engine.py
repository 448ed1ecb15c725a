"""Child process: runs one target under atheris until it is told to stop.

Run by `benchmarks.fuzzing`, since libFuzzer ends its process. Arguments: the target,
and libFuzzer's own.
"""

from __future__ import annotations

import importlib
import sys


def main(target: str, arguments: list[str]) -> None:
    """Fuzzes a target; never returns."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["bigearthnet"]):
        module = importlib.import_module(f"benchmarks.fuzzing.{target}")

    def run_once(data: bytes) -> None:
        module.check(data)

    atheris.Setup([sys.argv[0], *arguments], run_once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
