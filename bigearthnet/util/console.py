"""The command `bigearthnet`: its verbs are the commands, run by the names of modules.

By name, so that the three packages do not import each other.
"""

from __future__ import annotations

import ast
import importlib.util
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

# Verb → the module that is run.
COMMANDS: Mapping[str, str] = {
    "download": "builder.download",
    "build": "builder.build",
    "convert": "builder.convert",
    "index": "builder.index",
    "repack": "builder.repack",
    "verify": "builder.verify",
    "stats": "builder.stats",
    "report": "builder.report",
    "publish": "builder.publish",
    "sample": "builder.sample",
    "synthesize": "builder.synthesize",
    "patch-table": "builder.patch_table",
    "manifest": "builder.manifest",
    "demo": "builder.demo",
    "fetch-weights": "baselines.fetch_weights",
    "import-weights": "baselines.import_weights",
    "train": "baselines.train",
    "evaluate": "baselines.evaluate",
    "compare": "baselines.compare",
    "predict": "baselines.predict",
    "export": "baselines.export",
    "publish-model": "baselines.publish",
}


def main() -> None:
    """Runs the command that the first argument names, with the other arguments."""
    verb, arguments = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if verb in ("-h", "--help", "help"):
        print(describe())
    elif verb in COMMANDS:
        sys.argv = [f"bigearthnet {verb}", *arguments]
        runpy.run_module(COMMANDS[verb], run_name="__main__", alter_sys=True)
    else:
        names = ", ".join(COMMANDS)
        problem = f"unknown command {verb!r}: expected one of {names}."
        sys.exit(f"error: {problem} See bigearthnet --help.")


def describe() -> str:
    """Returns the overview of all commands: the first sentence of each module."""
    lines = [
        f"  {verb:<14} {_read_summary(module)}" for verb, module in COMMANDS.items()
    ]
    return "\n".join(
        [
            "BigEarthNet, from the archive to fast exact loaders and trained models.",
            "",
            "usage: bigearthnet COMMAND [--flag=value ...]",
            "",
            *lines,
            "",
            "bigearthnet COMMAND --help explains a command and shows an example; the",
            "same as python -m MODULE:",
            "  bigearthnet build --source=BigEarthNet-S2-v1.0.tar.gz --data_dir=data",
        ]
    )


def _read_summary(module: str) -> str:
    """Returns the first line of a module's docstring, without importing it."""
    package, _, name = module.partition(".")
    spec = importlib.util.find_spec(package)
    (folder,) = (spec.submodule_search_locations or []) if spec else []
    text = Path(folder, f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
