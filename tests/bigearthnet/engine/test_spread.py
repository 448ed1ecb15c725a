from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import tries
from bigearthnet.engine.engines import Engine, LocalEngine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import (
    ArchiveError,
    ChecksumError,
    EngineError,
    OptionError,
    PatchError,
)
from bigearthnet.release import RELEASES
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.source.archive_index import write_index
from builder.build import build
from tests.archives import write_cut
from tests.bigearthnet.engine.engines.cases import read_stores

S2 = get_config("s2", RELEASES)
FORMATS = ("tfrecord", "parquet", "arrow")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


class Twice:
    """Runs every task twice, as an engine does that suspects a machine to be slow."""

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields each result once."""
        for value in values:
            result = task(value)
            task(value)
            yield result


class Dying:
    """Gives up at its task of some number."""

    def __init__(self, end_at: int) -> None:
        self._left = end_at

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields results until its end has come."""
        for value in values:
            self._left -= 1
            result = task(value)
            if not self._left:
                raise EngineError("the engine is gone.")
            yield result


class AtOnce:
    """Runs every task twice at the same time."""

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields each result once."""
        with ThreadPoolExecutor(2) as pool:
            for value in values:
                first, _ = pool.map(task, [value, value])
                yield first


class Late:
    """Runs every task twice, once in a thread that pauses before its end."""

    def __init__(self, pause: Callable[[], Any]) -> None:
        self._pause, self.threads = pause, list[threading.Thread]()
        self.errors: list[Exception] = []
        self._is_paused = threading.Event()

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields each result once."""
        for value in values:
            self._is_paused.clear()
            self.threads.append(threading.Thread(target=self._run, args=(task, value)))
            self.threads[-1].start()
            assert self._is_paused.wait(60)
            yield task(value)

    def _run(self, task: Callable[[Any], Any], value: Any) -> None:
        try:
            task(value)
        except Exception as error:
            self.errors.append(error)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function after which these threads pause."""

        def call(*args: Any) -> Any:
            result = function(*args)
            if threading.current_thread() in self.threads:
                self._is_paused.set()
                self._pause()
            return result

        return call


class Older:
    """Runs tasks of a build that was given up before its own, which have to fail."""

    def __init__(self, task: Callable[[Any], Any], values: Sequence[Any]) -> None:
        self._task, self._values = task, values

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields the results of its own."""
        for value in values:
            for older in self._values:
                # A part that is spooled by now is left alone.
                if not (older[1].spool / f"{older[0]}.json").exists():
                    with pytest.raises(FileNotFoundError):
                        self._task(older)
            yield task(value)


def run(source: Path, data_dir: Path, engine: Engine | None, **options: Any) -> None:
    """Builds a source in every format."""
    known = {"include_excluded": True, "quiet": True, "workers": 1}
    settings = BuildOptions(**{**known, **options})
    build(source, data_dir, S2, settings, formats=FORMATS, engine=engine)


@pytest.fixture(scope="module")
def indexed(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A tar of the six fake patches with an index, three parts."""
    path = write_archive(tmp_path_factory.mktemp("indexed"), fake_patches, kind="tar")
    write_index(path, S2.archives[0], patch_index, size=2)
    return path


@pytest.fixture(scope="module")
def expected(
    indexed: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What one machine makes of it."""
    data_dir = tmp_path_factory.mktemp("expected")
    run(indexed, data_dir, None)
    return read_stores(data_dir)


@pytest.mark.parametrize("engine", [LocalEngine(), Twice(), AtOnce()])
def test_parts_make_the_same_bytes(
    engine: Engine, indexed: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Stores are those of one machine, however often each part is built."""
    run(indexed, tmp_path, engine)
    assert read_stores(tmp_path) == expected


def test_tries_of_a_discarded_build_leave_nothing(
    indexed: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """A task that runs on after its build was given up cannot touch the next one."""
    given: list[Any] = []

    class First(Dying):
        def map(self, task: Any, values: Sequence[Any]) -> Iterator[Any]:
            given.append((task, values))
            return super().map(task, values)

    with pytest.raises(EngineError):
        run(indexed, tmp_path, First(2))
    options = BuildOptions(include_excluded=True, quiet=True)
    engine = Older(*given[0])
    build(indexed, tmp_path, S2, options, formats=FORMATS, restart=True, engine=engine)
    assert read_stores(tmp_path) == expected


def test_a_slow_try_that_nobody_waits_for(
    indexed: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A try that ends while stores are published fails alone, and leaves nothing."""
    may_end = threading.Event()
    engine = Late(lambda: may_end.wait(60))
    monkeypatch.setattr(tries, "hash_file", engine.wrap(tries.hash_file))
    monkeypatch.setattr(tries, "write_shard", engine.wrap(tries.write_shard))
    publish = Workspace.publish

    def publish_late(work: Workspace, targets: dict[str, Path]) -> None:
        may_end.set()
        for thread in engine.threads:
            thread.join(60)
        publish(work, targets)

    monkeypatch.setattr(Workspace, "publish", publish_late)
    run(indexed, tmp_path, engine)
    assert read_stores(tmp_path) == expected
    assert {type(error) for error in engine.errors} == {FileNotFoundError}
    assert len(engine.errors) == len(engine.threads)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_compressed_archive(
    is_indexed: bool,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    expected: dict[str, bytes],
    tmp_path: Path,
) -> None:
    """A .tar.gz makes the same bytes in the parts of its index, or as one part."""
    path = write_archive(tmp_path, fake_patches, kind="tar.gz")
    if is_indexed:
        pytest.importorskip("rapidgzip")
        write_index(path, S2.archives[0], patch_index, size=2)
    run(path, tmp_path / "data", LocalEngine())
    assert read_stores(tmp_path / "data") == expected


def test_what_is_named_like_the_published_file(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A file of the published name with another checksum is refused in a part, too."""
    path = write_archive(tmp_path, fake_patches, kind="tar.gz")
    path = path.rename(tmp_path / S2.archives[0].filenames[0])
    with pytest.raises(ChecksumError, match="is not the published file"):
        run(path, tmp_path / "data", LocalEngine())


def test_several_archives_of_one_source(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A folder with two archives of a source is refused with an engine, too."""
    (tmp_path / "both").mkdir()
    for kind in ("tar", "tar.gz"):
        write_archive(tmp_path / "both", fake_patches, kind=kind)
    with pytest.raises(ArchiveError, match="several sources of s2"):
        run(tmp_path / "both", tmp_path / "data", LocalEngine())


@pytest.mark.parametrize("kind", ["tar", "tar.zst"])
def test_a_cut_archive(
    kind: str,
    sample_folder: Path,
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Real patches in two parts make the same bytes, by one machine or by an engine."""
    names = list(sample_patches)
    halves = [{n: sample_patches[n] for n in some} for some in (names[:2], names[2:])]
    source = write_cut(tmp_path / "cut", halves, write_archive, kind)
    nbytes = sum(path.stat().st_size for path in source.iterdir())
    run(sample_folder, tmp_path / "folder", None)
    for name, engine in (("whole", None), ("parts", LocalEngine())):
        run(tmp_path, tmp_path / name, engine)
        assert read_stores(tmp_path / name) == read_stores(tmp_path / "folder")
        for path in (tmp_path / name).rglob("provenance.json"):
            found = json.loads(path.read_bytes())
            told = found["source"], found["source_bytes"], found["source_sha256"]
            assert told == ("cut", nbytes, None)


@pytest.mark.parametrize("is_good", [True, False])
def test_a_patch_of_two_parts(
    is_good: bool, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """It ends the build, which names it, even if its other copy was set aside."""
    name, files = next(iter(fake_patches.items()))
    again = files if is_good else dict(list(files.items())[:5])
    source = write_cut(
        tmp_path / "cut", [fake_patches, {name: again}], write_archive, "tar"
    )
    with pytest.raises(ArchiveError, match=f"holds 1 patch that another .*{name}"):
        run(source, tmp_path / "data", LocalEngine(), max_bad=1)


@pytest.mark.parametrize("engine", [Dying(2), Dying(3)])
def test_a_part_that_was_exchanged(
    engine: Dying, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A build of a cut archive is gone on with only if all parts are those it had."""
    halves = [{name: files} for name, files in fake_patches.items()][:2]
    source = write_cut(tmp_path / "cut", halves, write_archive, "tar")
    with pytest.raises(EngineError):
        run(source, tmp_path / "data", engine)
    first, second = sorted(source.iterdir())
    first.rename(tmp_path / "other")
    second.rename(first)
    (tmp_path / "other").rename(second)
    with pytest.raises(OptionError, match="unfinished build of something else"):
        run(source, tmp_path / "data", LocalEngine())


def test_a_folder_in_parts(sample_folder: Path, tmp_path: Path) -> None:
    """A folder of real patches makes the same bytes in parts."""
    run(sample_folder, tmp_path / "whole", None)
    run(sample_folder, tmp_path / "parts", LocalEngine())
    assert read_stores(tmp_path / "parts") == read_stores(tmp_path / "whole")


def test_what_lies_in_a_folder_beside_patches(
    fake_patches: Patches, tmp_path: Path
) -> None:
    """Litter is counted, and a stranger set aside or refused, as by one machine."""
    source, stranger = tmp_path / "source", "S2A_MSIL2A_20170613T101031_99_99"
    for name, files in {**fake_patches, stranger: {"a.tif": b""}}.items():
        (source / name).mkdir(parents=True)
        for file, content in files.items():
            (source / name / file).write_bytes(content)
    for place in (source, source / next(iter(fake_patches))):
        (place / ".DS_Store").touch()
    with pytest.raises(PatchError, match=stranger):
        run(source, tmp_path / "failed", LocalEngine())
    for name, engine in (("whole", None), ("parts", LocalEngine())):
        run(source, tmp_path / name, engine, max_bad=1)
    assert read_stores(tmp_path / "parts") == read_stores(tmp_path / "whole")
    for path in (tmp_path / "parts").rglob("provenance.json"):
        assert json.loads(path.read_bytes())["source_litter"] == {".DS_Store": 2}


@pytest.mark.parametrize("end_at", [2, 5])
def test_a_build_goes_on(
    end_at: int, indexed: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """What was done before the engine was gone, in either stage, is not done again."""
    with pytest.raises(EngineError, match="gone"):
        run(indexed, tmp_path, Dying(end_at))
    (folder,) = tmp_path.glob("incomplete.*")
    summaries = {path: path.stat().st_ino for path in folder.glob("spool-s2/*.json")}
    assert len(summaries) == min(end_at, 3)
    with pytest.raises(EngineError, match="gone"):
        run(indexed, tmp_path, Dying(1))
    assert {path: path.stat().st_ino for path in summaries} == summaries
    run(indexed, tmp_path, LocalEngine())
    assert read_stores(tmp_path) == expected


@pytest.mark.parametrize("is_cut", [True, False])
def test_bad_patches_are_counted_over_parts(
    is_cut: bool,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """A bad patch of a part ends the build, or is set aside as by one machine."""
    patches = {name: dict(files) for name, files in fake_patches.items()}
    name = next(iter(patches))
    patches[name].popitem()
    if is_cut:
        bad, good = {name: patches.pop(name)}, patches
        path = write_cut(tmp_path / "cut", [good, bad], write_archive, "tar")
    else:
        path = write_archive(tmp_path, patches, kind="tar")
        write_index(path, S2.archives[0], patch_index, size=2)
    with pytest.raises(PatchError, match=name):
        run(path, tmp_path / "failed", LocalEngine())
    run(path, tmp_path / "whole", None, max_bad=1)
    run(path, tmp_path / "parts", LocalEngine(), max_bad=1)
    assert read_stores(tmp_path / "parts") == read_stores(tmp_path / "whole")


@pytest.mark.parametrize("options", [{"limit": 1}, {"decompressors": 2}])
def test_what_an_engine_cannot_do_is_refused(
    options: dict[str, int], indexed: Path, tmp_path: Path
) -> None:
    """An option that parts cannot honour is an error that names it, and no build."""
    with pytest.raises(OptionError, match=f"--{next(iter(options))}"):
        run(indexed, tmp_path / "data", LocalEngine(), **options)
    assert not (tmp_path / "data").exists()
