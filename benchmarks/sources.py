"""What the programs read: a synthetic archive, and what is made of it, each once."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import measure
from benchmarks.environments import ENVIRONMENTS, SetupError
from benchmarks.extracted import extract, make_metadata
from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import get_config
from bigearthnet.source.archive_index import index_file
from builder.build import build
from builder.index import index
from builder.jobs import make_source
from builder.synthesize import write_archive, write_archives

_PROGRAMS = Path(__file__).parent / "programs"
_TIMEOUT_S = 3600.0
# The official table, which peers read beside the folders.
_METADATA = "metadata.parquet"
# Names of each train shard that engines read: enough files for several workers, and
# long enough to be measured.
_COPIES = 4


def make_stores(work: Path, num_patches: int, formats: Sequence[str]) -> Path:
    """Makes stores of the official splits of a synthetic archive, once.

    Args:
        work: Folder for archive and stores; made if missing.
        num_patches: Patches of the archive.
        formats: Names of the formats.

    Returns:
        The data directory.
    """
    data_dir = work / f"data-{num_patches}"
    if not data_dir.exists():
        unfinished, archive = work / "unfinished", work / "synthetic.tar.gz"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_archive(archive, num_patches, seed=0)
        config, options = get_config("s2", RELEASES), BuildOptions(quiet=True)
        build(archive, unfinished, config, options, formats=formats)
        unfinished.rename(data_dir)
    return data_dir


def make_parts(work: Path, num_patches: int, sizes: Sequence[int]) -> dict[int, Path]:
    """Makes an archive with an index for each size of parts, and a store, once.

    Args:
        work: Folder for them.
        num_patches: Patches of the archive.
        sizes: Patches of a part.

    Returns:
        Size → the archive. What is to be read is in `data` of the folder.
    """
    stores, plain = make_stores(work, num_patches, ["parquet"]), work / "plain.tar"
    if not plain.exists():
        unfinished = work / "unfinished.tar"
        with gzip.open(work / "synthetic.tar.gz") as file, unfinished.open("wb") as out:
            shutil.copyfileobj(file, out)
        unfinished.rename(plain)
    archives = {size: work / f"parts-of-{size}.tar" for size in sizes}
    patches = load_index(V1, "official")
    for size, path in archives.items():
        if not path.exists():
            os.link(plain, path)
        if not index_file(path).exists():
            index(make_source(V1.archive("s2"), path), patches, size, 1)
    folder = work / "data" / "huggingface" / "s2"
    if not folder.exists():
        folder.mkdir(parents=True)
        for path in sorted(stores.glob("huggingface/s2/train-*")):
            for number in range(_COPIES):
                os.link(path, folder / f"{path.stem}-{number}.parquet")
    return archives


class Sources:
    """Makes sources when they are first asked for, and keeps them."""

    def __init__(
        self, work: Path, environments: Path, num_patches: int, num_few: int
    ) -> None:
        """Says where and how much.

        Args:
            work: Folder for archives and stores.
            environments: Folder of the peers' virtual environments.
            num_patches: Patches of the archive.
            num_few: Patches of the one for slow peers.
        """
        self.work, self.environments = work, environments
        self._counts = {"": num_patches, "_few": num_few}
        self._makers: dict[str, Callable[[Path, str], None]] = {
            "archive": self._make_archive,
            "paired": self._make_paired,
            "folder": self._make_folder,
            "data": self._make_data,
            "folders": self._make_folders,
            "data_v2": self._make_data_v2,
            "lmdb": self._make_lmdb,
            "lmdb_v2": self._make_lmdb_v2,
            "builtin": self._make_builtin,
        }

    def get(self, name: str) -> tuple[Path, int]:
        """Returns a source and how many patches it has, made if need be.

        Args:
            name: `archive`, `paired` (a folder of those of v2.0), `folder` (extracted),
                `folders` (of v2.0, extracted), `data` and `data_v2` (our stores of the
                official splits), `huggingface` and `arrow` (two of these stores),
                `lmdb_file`, `lmdb_v2` or `builtin` (what these peers made); with `_few`
                at the end of the small archive.

        Raises:
            SetupError: If a peer's source cannot be made.
        """
        kind, few = name.removesuffix("_few"), "_few" if name.endswith("_few") else ""
        if kind == "lmdb_file":
            path, count = self.get(f"lmdb{few}")
            return path / "s2.lmdb", count
        if kind in ("huggingface", "arrow"):
            data, count = self.get(f"data{few}")
            form = "parquet" if kind == "huggingface" else "arrow"
            return FORMATS[form].store_folder(data, get_config("s2", RELEASES)), count
        path = self.work / f"{kind}{few}-{self._counts[few]}"
        if kind == "archive":
            path = path.with_suffix(".tar.gz")
        if not path.exists():
            print(f"making {path.name}", file=sys.stderr, flush=True)
            unfinished = path.with_name(f"unfinished-{path.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            self.work.mkdir(parents=True, exist_ok=True)
            self._makers[kind](unfinished, few)
            unfinished.rename(path)
        return path, self._counts[few]

    def _make_archive(self, path: Path, few: str) -> None:
        write_archive(path, self._counts[few], seed=0)

    def _make_paired(self, path: Path, few: str) -> None:
        write_archives(path, self._counts[few], seed=0, quiet=True)

    def _make_folder(self, path: Path, few: str) -> None:
        archive, _ = self.get(f"archive{few}")
        with tarfile.open(archive) as file:
            file.extractall(path, filter="data")

    def _make_data(self, path: Path, few: str) -> None:
        archive, _ = self.get(f"archive{few}")
        options = BuildOptions(quiet=True)
        build(archive, path, get_config("s2", RELEASES), options, formats=list(FORMATS))
        build(archive, path, get_config("s2-rgb", RELEASES), options)

    def _make_folders(self, path: Path, few: str) -> None:
        archives, _ = self.get(f"paired{few}")
        extract(archives, path)
        pq.write_table(make_metadata(path), path / _METADATA)

    def _make_data_v2(self, path: Path, few: str) -> None:
        archives, _ = self.get(f"paired{few}")
        options = BuildOptions(quiet=True)
        for name, formats in (("v2-s2", ["tfrecord"]), ("v2-s1s2", list(FORMATS))):
            config = get_config(name, RELEASES)
            build(archives, path, config, options, formats=formats)

    def _make_lmdb(self, path: Path, few: str) -> None:
        self._run_peer("encode_lmdb", "lmdb", f"folder{few}", path)

    def _make_lmdb_v2(self, path: Path, few: str) -> None:
        name = f"folders{few}"
        self._run_peer("encode_lmdb_v2", "lmdb", name, path, "--archives=s2,s1")
        shutil.copy(self.get(name)[0] / _METADATA, path)

    def _make_builtin(self, path: Path, few: str) -> None:
        self._run_peer("encode_tfds_builtin", "tfds-builtin", f"archive{few}", path)

    def _run_peer(
        self, program: str, environment: str, name: str, path: Path, *arguments: str
    ) -> None:
        """Runs the program of a peer that encodes, and keeps what it writes."""
        source, patches = self.get(name)
        python = ENVIRONMENTS[environment].prepare(self.environments)
        path.mkdir()
        command: list[str | Path] = [
            python,
            _PROGRAMS / f"{program}.py",
            f"--source={source}",
            f"--work={path}",
            f"--patches={patches}",
            *arguments,
        ]
        try:
            measure.run(command, {}, timeout_s=_TIMEOUT_S, watch_memory=False)
        except measure.RunError as error:
            raise SetupError(f"{program} failed: {error}") from None
