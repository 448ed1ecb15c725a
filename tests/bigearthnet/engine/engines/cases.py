"""Small sources of every kind, and what one machine makes of them."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backports import zstd

from bigearthnet.engine.engines import Engine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, Archive
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.source.archive_index import write_index
from builder.build import build
from builder.synthesize import write_archives
from tests.conftest import HAS_TFDS, Patches, compress, write_tar
from tests.v2.made import NUM_PATCHES, SEED

CONFIGS = ("s2", "v2-s1s2")
KINDS = ("folder", "tar", "tar.gz")

# The environments of Spark and Beam lack TensorFlow Datasets.
_FORMATS = [name for name in FORMATS if name != "tfrecord" or HAS_TFDS]

FindCase = Callable[[str, str], "Case"]

# Patches of a part: several parts of every source.
SIZE = 3


def read_stores(data_dir: Path) -> dict[str, bytes]:
    """Path → content of every file that does not say when and of what it was made."""
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for path in sorted(data_dir.rglob("*"))
        if path.is_file() and path.name not in ("provenance.json", "README.md")
    }


@dataclass(frozen=True)
class Case:
    """A source to build.

    Attributes:
        config: What to store of it.
        source: Its file or folder, or the folder of its archives.
        formats: Names of the formats.
    """

    config: Config
    source: Path
    formats: Sequence[str] = tuple(_FORMATS)

    def build(self, data_dir: Path, engine: Engine | None = None) -> None:
        """Builds it in this process."""
        options = BuildOptions(include_excluded=True, quiet=True, workers=1)
        build(
            self.source,
            data_dir,
            self.config,
            options,
            formats=self.formats,
            engine=engine,
        )

    def run(
        self, data_dir: Path, *options: str, program: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Builds it as a user does.

        Args:
            data_dir: Where the result goes.
            options: Further arguments of the command.
            program: Arguments of Python in place of the command.
        """
        command = [sys.executable, *(program or ("-m", "builder.build"))]
        command += [f"--source={self.source}", f"--data_dir={data_dir}"]
        command += [
            f"--config={self.config.name}",
            f"--formats={','.join(self.formats)}",
        ]
        command += ["--include_excluded", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @functools.cached_property
    def expected(self) -> dict[str, bytes]:
        """What one machine makes of it."""
        data_dir = self.source.with_name("expected")
        self.build(data_dir)
        return read_stores(data_dir)


def make_case(name: str, kind: str, folder: Path, patches: Patches) -> Case:
    """Writes a source.

    Args:
        name: Name of the configuration.
        kind: One of `KINDS`; archives have an index.
        folder: An empty folder for it.
        patches: The patches of v1.0; those of v2.0 are synthetic.
    """
    config, source = get_config(name, RELEASES), folder / "source"
    source.mkdir()
    if name == "s2":
        source = write_tar(source, patches, kind=kind)
        paths = {config.archives[0]: source}
    else:
        paths = _write_lanes(config, kind, source)
    index = load_index(config.release, config.choice.scheme)
    for archive, path in paths.items() if kind != "folder" else ():
        write_index(path, archive, index, SIZE)
    return Case(config, source)


def _write_lanes(config: Config, kind: str, folder: Path) -> dict[Archive, Path]:
    """Writes the archives of v2.0 to a folder; returns each with its file."""
    paths = {}
    for name, path in write_archives(folder, NUM_PATCHES, SEED, quiet=True).items():
        content = zstd.decompress(path.read_bytes())
        path.unlink()
        if kind == "folder":
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                tar.extractall(folder, filter="data")
            continue
        paths[config.release.archive(name)] = target = folder / f"{name}.{kind}"
        target.write_bytes(compress(content, kind))
    return paths
