"""Fuzzes the readers of untrusted bytes with coverage-guided mutation.

Seeds are made of the real sample patches. The corpus grows in --work and is used again
by the next run; an input that shows a fault is kept there as finding-*, and ends the
run with status 1. Figures of the latest run of each target are written to --output.
Needs atheris, which is no part of the extra [dev]: pip install atheris.

Example:
  python -m benchmarks.fuzzing --target=tar --runs=1000000 --work=/tmp/fuzzing
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.util import command

TARGETS = ("tar", "tiff", "metadata", "patch_id")

# Longest input of each target, in bytes.
_MAX_NBYTES = {"tar": 16384, "tiff": 4096, "metadata": 2048, "patch_id": 64}

_STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def fuzz(target: str, runs: int, work: Path, seed: int) -> dict[str, object]:
    """Fuzzes one target.

    Args:
        target: One of TARGETS.
        runs: Executions.
        work: Folder for the corpus and the findings.
        seed: Seed of the mutations.

    Returns:
        The figures of the run.

    Raises:
        OptionError: If there is no such target, or atheris is not installed.
    """
    if target not in TARGETS:
        raise OptionError(f"target: expected one of {TARGETS}, got {target!r}.")
    if importlib.util.find_spec("atheris") is None:
        raise OptionError("fuzzing needs atheris: pip install atheris.")
    corpus = work / target
    _write_seeds(target, corpus)
    tokens = work / f"{target}.tokens"
    _write_tokens(target, tokens)
    start = time.monotonic()
    log = _run(
        target,
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={_MAX_NBYTES[target]}",
        f"-dict={tokens}",
        f"-artifact_prefix={work}/finding-{target}-",
        *["-timeout=10", "-rss_limit_mb=3072", "-print_final_stats=1"],
        str(corpus),
    )
    (work / f"{target}.log").write_text(log)
    status, executions = _STATUS.findall(log)[-1:], _EXECUTIONS.findall(log)
    edges, features, size = map(int, status[0]) if status else (0, 0, 0)
    return {
        "executions": int(executions[-1]) if executions else 0,
        "seconds": round(time.monotonic() - start),
        "edges": edges,
        "features": features,
        "corpus": size,
        "findings": len(list(work.glob(f"finding-{target}-*"))),
        "seed": seed,
        "python": platform.python_version(),
        "atheris": version("atheris"),
    }


def _write_seeds(target: str, corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for content in importlib.import_module(f"benchmarks.fuzzing.{target}").make_seeds():
        (corpus / hashlib.sha1(content).hexdigest()).write_bytes(content)


def _write_tokens(target: str, path: Path) -> None:
    """Writes the words that mutations put in, in libFuzzer's form."""
    words = importlib.import_module(f"benchmarks.fuzzing.{target}").TOKENS
    escaped = ["".join(f"\\x{byte:02x}" for byte in word) for word in words]
    path.write_text("".join(f'"{word}"\n' for word in escaped))


def _run(target: str, *arguments: str) -> str:
    """Runs the engine; what it says goes to the terminal, and is returned."""
    program = [sys.executable, "-m", "benchmarks.fuzzing.engine", target, *arguments]
    lines = []
    with subprocess.Popen(program, stderr=subprocess.PIPE, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "pulse" in line or line[:1] != "#":
                print(line, end="", file=sys.stderr)
    return "".join(lines)


def _define_flags() -> None:
    command.define_choice("target", None, list(TARGETS), "Reader.", required=True)
    flags.DEFINE_integer("runs", 100_000, "Executions.", lower_bound=1)
    flags.DEFINE_integer("seed", 1, "Seed of the mutations.", lower_bound=1)
    command.define_path(
        "work", "benchmarks-work/fuzzing", "Folder for corpus and findings."
    )
    command.define_path("output", None, "JSON that gets the figures.")


def _main() -> int:
    target = flags.FLAGS.target
    work = flags.FLAGS.work
    figures = fuzz(target, flags.FLAGS.runs, work, flags.FLAGS.seed)
    print(f"{target}: {json.dumps(figures)}")
    if flags.FLAGS.output:
        path = flags.FLAGS.output
        results = json.loads(path.read_text()) if path.exists() else {}
        results[target] = figures
        path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 1 if figures["findings"] else 0


if __name__ == "__main__":
    command.run(_main, _define_flags)
