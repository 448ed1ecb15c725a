from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import pipeline, stage_one, workers, workspace
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.workspace import open_workspace, workspace_folder
from bigearthnet.errors import JournalError, OptionError, PatchError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder import jobs
from builder.build import build

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

OPTIONS = BuildOptions(include_excluded=True, quiet=True, workers=1)
ALL = ("tfrecord", "parquet", "arrow")


@pytest.fixture
def source(fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path) -> Path:
    """An archive of the fake patches."""
    return write_archive(tmp_path, fake_patches)


def interrupt(
    module: Any, name: str, number: int, action: Callable[[], object]
) -> None:
    """Does something, and interrupts a call of a function, the first being number 1."""
    function, calls = getattr(module, name), iter(range(1, 1_000_000))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(module, name, call)
        with pytest.raises(KeyboardInterrupt):
            action()


def build_arrow(source: Path, data_dir: Path, **changes: Any) -> None:
    """Builds the Arrow store, or resumes doing so."""
    options = {
        name: changes.pop(name)
        for name in list(changes)
        if name in {field.name for field in dataclasses.fields(BuildOptions)}
    }
    chosen = {"config": S2, "formats": ("arrow",), **changes}
    config = chosen.pop("config")
    build(source, data_dir, config, dataclasses.replace(OPTIONS, **options), **chosen)


def begin(source: Path, data_dir: Path, **changes: Any) -> None:
    """Interrupts a build at its second shard."""
    interrupt(
        workers, "write_shard", 2, lambda: build_arrow(source, data_dir, **changes)
    )


def hash_files(folder: Path) -> dict[str, str]:
    """Returns path → sha256 of all files that tell nothing of time and command."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


@pytest.mark.parametrize(
    ("module", "name", "number"),
    [
        (stage_one, "decode_patch", 5),
        (workers, "write_shard", 2),
        (pipeline, "write_descriptions", 2),
        (jobs, "complete_store", 3),
        (Path, "rename", 30),
        (jobs, "complete_folders", 1),
        (workspace, "clear_folder", 2),
    ],
)
def test_a_build_goes_on_where_it_was(
    module: Any, name: str, number: int, source: Path, tmp_path: Path
) -> None:
    """Interrupted anywhere, the same build leaves the same files, and no others."""
    build_arrow(source, tmp_path / "expected", formats=ALL)

    def run_build() -> None:
        build_arrow(source, tmp_path / "data", formats=ALL)

    interrupt(module, name, number, run_build)
    run_build()

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "data")
    assert not workspace_folder(tmp_path / "data", S2).exists()


def test_every_moment_of_the_publication_goes_on(source: Path, tmp_path: Path) -> None:
    """Interrupted at any renaming of a store, all stores appear in the end."""
    build_arrow(source, tmp_path / "expected", formats=("parquet", "arrow"))
    rename = Path.rename
    for number in (1, 2):
        data_dir, calls = tmp_path / str(number), iter(range(1, 100))

        def end_at(
            self: Path, target: Path, number: int = number, calls: Any = calls
        ) -> Path:
            if self.is_dir() and next(calls) == number:
                raise KeyboardInterrupt
            return rename(self, target)

        with pytest.MonkeyPatch.context() as context:
            context.setattr(Path, "rename", end_at)
            with pytest.raises(KeyboardInterrupt):
                build_arrow(source, data_dir, formats=("parquet", "arrow"))

        assert number - 1 == sum(
            (data_dir / n).exists() for n in ("huggingface", "arrow")
        )

        build_arrow(source, data_dir, formats=("parquet", "arrow"))

        assert hash_files(tmp_path / "expected") == hash_files(data_dir)


def change_mtime(source: Path) -> None:
    """Writes a file again, as it was."""
    os.utime(source, ns=(1, 1))


def change_last_byte(source: Path) -> None:
    """Changes a byte, and nothing that the folder says of the file."""
    status, content = source.stat(), bytearray(source.read_bytes())
    content[-5] ^= 1
    source.write_bytes(content)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_size(source: Path) -> None:
    """Cuts a file off, and nothing else."""
    status = source.stat()
    os.truncate(source, status.st_size - 1)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "said"),
    [(change_mtime, "mtime_ns"), (change_last_byte, "ends"), (change_size, "bytes")],
)
def test_a_changed_source_is_refused(
    change: Callable[[Path], None], said: str, source: Path, tmp_path: Path
) -> None:
    """Patches of two sources are not mixed."""
    begin(source, tmp_path / "data")
    before = hash_files(tmp_path / "data")
    change(source)

    with pytest.raises(OptionError, match=rf"\(sources: was .*{said}.*--restart"):
        build_arrow(source, tmp_path / "data")

    assert before == hash_files(tmp_path / "data")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"include_excluded": False}, "include_excluded: was true, is false"),
        ({"limit": 5}, "limit: was null, is 5"),
        ({"countries": ("Finland",)}, r'countries: was \[\], is \["Finland"\]'),
        (
            {"formats": ("arrow", "parquet")},
            r'formats: was \["arrow"\], is \["arrow", "parquet"\]',
        ),
    ],
)
def test_other_options_are_refused(
    changes: dict[str, Any], said: str, source: Path, tmp_path: Path
) -> None:
    """What is to be stored may not change on the way; the error says what has."""
    begin(source, tmp_path / "data")

    with pytest.raises(OptionError, match=rf"\({said}\).*--restart"):
        build_arrow(source, tmp_path / "data", **changes)


def test_another_version_of_a_package_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of two versions of a writer are not mixed."""
    begin(source, tmp_path / "data")
    monkeypatch.setattr("bigearthnet.engine.identity._find_version", lambda name: "0")

    with pytest.raises(OptionError, match=r'packages: was .*numpy.*is .*"numpy": "0"'):
        build_arrow(source, tmp_path / "data")


def test_another_configuration_is_another_build(source: Path, tmp_path: Path) -> None:
    """A second configuration has a workspace of its own, and both end well."""
    random = get_config("s2-random", RELEASES)
    begin(source, tmp_path / "data")
    begin(source, tmp_path / "data", config=random)
    build_arrow(source, tmp_path / "data")
    build_arrow(source, tmp_path / "data", config=random)

    assert ["arrow", "arrow-random", "patches-random.parquet", "patches.parquet"] == (
        sorted(path.name for path in (tmp_path / "data").iterdir())
    )


def test_restart_begins_anew(source: Path, tmp_path: Path) -> None:
    """What is there of another build is given up, and leaves no trace."""
    options = {"include_excluded": False}
    build_arrow(source, tmp_path / "expected", **options)
    begin(source, tmp_path / "data")
    build_arrow(source, tmp_path / "data", restart=True, **options)

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "data")


@pytest.mark.parametrize(
    ("module", "name"), [(stage_one, "decode_patch"), (workers, "write_shard")]
)
def test_litter_is_counted_once(
    module: Any,
    name: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """What was left out of a source is the same however often a build goes on."""
    patches = {i: {**files, "Thumbs.db": b"x"} for i, files in fake_patches.items()}
    source = write_archive(tmp_path, patches)

    def run_build() -> None:
        build_arrow(source, tmp_path / "data")

    interrupt(module, name, 2, run_build)
    run_build()
    provenance = tmp_path / "data" / "arrow" / "provenance.json"

    assert {"Thumbs.db": 6} == json.loads(provenance.read_text())["source_litter"]


@pytest.mark.parametrize("name", ["journal.jsonl", "build.json"])
def test_restart_helps_where_the_records_are_damaged(
    name: str, source: Path, tmp_path: Path
) -> None:
    """The way out that the error offers is one."""
    build_arrow(source, tmp_path / "expected")
    begin(source, tmp_path / "data")
    path = workspace_folder(tmp_path / "data", S2) / name
    path.write_bytes(b"?" + path.read_bytes())

    with pytest.raises(JournalError, match=f"{path} is damaged.*--restart"):
        build_arrow(source, tmp_path / "data")

    build_arrow(source, tmp_path / "data", restart=True)

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "data")


def test_restart_does_not_touch_a_finished_store(source: Path, tmp_path: Path) -> None:
    """What is finished is only ever deleted by people."""
    build_arrow(source, tmp_path / "data")
    before = hash_files(tmp_path / "data")

    with pytest.raises(OptionError, match=r"is there already\. Delete it"):
        build_arrow(source, tmp_path / "data", restart=True)

    assert before == hash_files(tmp_path / "data")


def test_debris_of_a_finished_build_is_removed(source: Path, tmp_path: Path) -> None:
    """What is left of a workspace goes with the next call; the store stays."""
    build_arrow(source, tmp_path / "data")
    before = hash_files(tmp_path / "data")
    folder = workspace_folder(tmp_path / "data", S2)
    (folder / "spool").mkdir(parents=True)

    with pytest.raises(OptionError, match="is there already"):
        build_arrow(source, tmp_path / "data")

    assert not folder.exists()
    assert before == hash_files(tmp_path / "data")


def test_two_builds_do_not_share_a_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one builds, another one into the same folder is refused."""
    monkeypatch.setattr("bigearthnet.engine.leftovers._LOCK_PATIENCE_S", 0.1)
    with open_workspace(workspace_folder(tmp_path / "data", S2), {}) as work:
        work.journal.append({"kind": "begun"})
        for restart in (False, True):
            with pytest.raises(OptionError, match="another process builds in"):
                build_arrow(source, tmp_path / "data", restart=restart)

        assert 1 == len(work.journal.entries)


def test_a_damaged_patch_can_be_set_aside_later(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A build that ended with a bad patch can be run again with quarantine."""
    bad = list(fake_patches)[4]
    files = {**fake_patches[bad], f"{bad}_B01.tif": b"nothing"}
    source = write_archive(tmp_path, {**fake_patches, bad: files})
    build_arrow(source, tmp_path / "expected", max_bad=1)
    for _ in range(2):
        with pytest.raises(PatchError, match=f"{bad}_B01.tif"):
            build_arrow(source, tmp_path / "data")
    build_arrow(source, tmp_path / "data", max_bad=1, workers=2)

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "data")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "builder.build", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_that_it_goes_on(source: Path, tmp_path: Path) -> None:
    """What is kept, what is refused and what is continued is told to people."""
    data_dir = tmp_path / "data"
    folder = workspace_folder(data_dir, S2)
    begin(source, data_dir)
    command = (f"--source={source}", f"--data_dir={data_dir}", "--formats=arrow")
    refused = run(*command, "--limit=2", "--include_excluded")
    done = run(*command, "--include_excluded")

    assert (1, 0) == (refused.returncode, done.returncode), done.stderr
    assert "limit: was null, is 2" in refused.stderr
    assert "--restart" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert f"resuming the build in {folder}" in done.stderr
    assert "6 stored" in done.stdout
    assert not folder.exists()
