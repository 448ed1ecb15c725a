"""Virtual environments of the peers, installed from the package index by pip."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Characters of pip's output that an error keeps.
_TAIL = 400


class SetupError(Exception):
    """Raised when a peer cannot be installed or prepared; the message says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: Short name, also of its folder.
        steps: Arguments of `pip install`, one call after the other.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]

    def prepare(self, folder: Path) -> Path:
        """Makes the environment if it is not there, and returns its interpreter.

        Args:
            folder: Folder of all environments.

        Raises:
            SetupError: If pip fails.
        """
        path = folder / self.name
        python, stamp = path / "bin" / "python", path / ".complete"
        if stamp.is_file() and stamp.read_text() == repr(self.steps):
            return python
        print(f"installing {self.name}: {self.steps}", file=sys.stderr, flush=True)
        venv.create(path, with_pip=True, clear=True)
        for step in self.steps:
            done = subprocess.run(
                [python, "-m", "pip", "install", "--quiet", *step],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SetupError(f"pip install {step}: {done.stderr[-_TAIL:]}")
        stamp.write_text(repr(self.steps))
        return python


def find_versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Returns the versions of some packages of an environment."""
    code = (
        "import importlib.metadata as m, sys\n"
        "for p in sys.argv[1:]: print(p, m.version(p))"
    )
    done = subprocess.run(
        [python, "-c", code, *packages], capture_output=True, text=True, check=False
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


# The environment of the benchmark itself, which has our package.
OURS = "ours"

ENVIRONMENTS: Mapping[str, Environment] = {
    environment.name: environment
    for environment in (
        # Ours must not be there: it registers the same name with TFDS. TFDS imports
        # importlib_resources, and its builder Beam and Pillow, without declaring them.
        Environment(
            "tfds-builtin",
            (
                (
                    "tensorflow-cpu",
                    "tensorflow-datasets",
                    "importlib_resources",
                    "apache-beam",
                    "pillow",
                ),
            ),
        ),
        Environment(
            "tfds-plain",
            (
                (
                    "tensorflow-cpu",
                    "tensorflow-datasets",
                    "importlib_resources",
                    "pillow",
                    "rasterio",
                ),
            ),
        ),
        Environment("datasets-rasterio", (("datasets", "rasterio"),)),
        Environment("datasets", (("datasets", "pillow", "tensorflow-cpu"),)),
        Environment("lmdb", (("lmdb", "numpy", "pyarrow", "rasterio", "safetensors"),)),
        # Version 0.3.0 imports fastcore.dispatch, which moved in 1.8.
        Environment("bigearthnet-encoder", (("bigearthnet-encoder", "fastcore<1.8"),)),
        # torchgeo imports requests without declaring it, and reads the table of v2.0
        # with pyarrow; the version of PyTorch is that of the recipes.
        Environment(
            "torchgeo", (("torch==2.13.0", "torchgeo", "requests", "pyarrow"),)
        ),
    )
}
