"""Sources that were made to do harm, through the whole build."""

from __future__ import annotations

import io
import os
import struct
import tarfile
from pathlib import Path

import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ArchiveError, BigEarthNetError, PatchError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.build import build

S2 = get_config("s2", RELEASES)

Patches = dict[str, dict[str, bytes]]
Members = list[tuple[tarfile.TarInfo, bytes]]
Snapshot = dict[str, tuple[int, bytes | str]]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that a build could reach by a relative name, and a victim."""
    for name in ("cwd", "outside", "tmp", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "victim").write_text("precious")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def take_snapshot(sandbox: Path) -> Snapshot:
    """Lists everything but the data directory, with times and contents."""
    found: Snapshot = {}
    for path in sorted(sandbox.rglob("*")):
        if sandbox / "data" in (path, *path.parents):
            continue
        status = path.lstat()
        if path.is_symlink():
            content: bytes | str = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else ""
        found[str(path)] = (status.st_mtime_ns if path.is_file() else 0, content)
    return found


def make_members(patches: Patches) -> Members:
    """Makes the members of a good archive."""
    members = []
    for patch_id, files in patches.items():
        for name, content in files.items():
            info = tarfile.TarInfo(f"BigEarthNet-v1.0/{patch_id}/{name}")
            info.size = len(content)
            members.append((info, content))
    return members


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """Makes a link, device or pipe."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def escape(sandbox: Path, patches: Patches) -> dict[str, Members]:
    """Makes archives of which each would write outside if it were extracted."""
    good, victim = make_members(patches), str(sandbox / "outside" / "victim")
    patch_id = next(iter(patches))
    link = f"BigEarthNet-v1.0/{patch_id}/link"

    def rename(prefix: str) -> Members:
        members = make_members(patches)
        for info, _ in members:
            info.name = prefix + info.name
        return members

    return {
        "absolute": rename(f"{sandbox}/outside/"),
        "climbing": rename("../outside/"),
        "a climbing file": [*good, (tarfile.TarInfo("../outside/victim"), b"")],
        "an absolute file": [(tarfile.TarInfo(victim), b""), *good],
        "a link": [special(link, tarfile.SYMTYPE, victim), *good],
        "a hard link": [special(link, tarfile.LNKTYPE, victim), *good],
        "a link for a folder": [
            special("BigEarthNet-v1.0", tarfile.SYMTYPE, "../outside"),
            *good,
        ],
        "a device": [special(link, tarfile.CHRTYPE), *good],
        "a pipe": [special(link, tarfile.FIFOTYPE), *good],
    }


@pytest.mark.parametrize("max_bad", [None, 10])
@pytest.mark.parametrize("trick", escape(Path(), {"P": {}}))
def test_nothing_is_written_outside_of_the_data_directory(
    trick: str, max_bad: int | None, sandbox: Path, fake_patches: Patches
) -> None:
    """An archive that would break out if it were extracted is an error, no more."""
    source = sandbox / "a.tar"
    with tarfile.open(source, "w") as archive:
        for info, content in escape(sandbox, fake_patches)[trick]:
            archive.addfile(info, io.BytesIO(content))
    before = take_snapshot(sandbox)
    options = BuildOptions(quiet=True, workers=1, max_bad=max_bad)

    with pytest.raises(ArchiveError, match=r"a\.tar"):
        build(source, sandbox / "data", S2, options)

    assert before == take_snapshot(sandbox)
    assert "precious" == (sandbox / "outside" / "victim").read_text()
    assert [] == [path for path in sandbox.rglob("*.tfrecord*") if path.is_file()]


def test_a_good_build_writes_into_the_data_directory_alone(
    sandbox: Path, fake_patches: Patches
) -> None:
    """Not even a build that ends well leaves anything elsewhere."""
    source = sandbox / "a.tar"
    with tarfile.open(source, "w") as archive:
        for info, content in make_members(fake_patches):
            archive.addfile(info, io.BytesIO(content))
    before = take_snapshot(sandbox)
    options = BuildOptions(quiet=True, workers=1)

    build(source, sandbox / "data", S2, options)

    assert before == take_snapshot(sandbox)
    assert list((sandbox / "data").rglob("*.tfrecord*"))


VRT = (
    b'<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="UInt16" '
    b'band="1"><SimpleSource><SourceFilename>/etc/passwd</SourceFilename>'
    b"</SimpleSource></VRTRasterBand></VRTDataset>"
)

# Name of a file of the patch → content that is not what it should be.
CONTENTS = {
    "a VRT": ("B01.tif", VRT),
    "absurd dimensions": (
        "B01.tif",
        struct.pack("<2sHIH", b"II", 42, 8, 2)
        + struct.pack("<HHIIHHII", 256, 4, 1, 2**31, 257, 4, 1, 2**31)
        + bytes(2000),
    ),
    "an endless chain": ("B01.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(2000)),
    "a deep JSON": ("labels_metadata.json", b"[" * 100_000),
    "a JSON of NaN": ("labels_metadata.json", b'{"labels": NaN}'),
    "an empty file": ("B12.tif", b""),
}


@pytest.mark.parametrize("damage", CONTENTS)
@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_hostile_contents_name_patch_and_file(
    damage: str, kind: str, sandbox: Path, fake_patches: Patches
) -> None:
    """A patch of bad content ends the build with an error that says which it is."""
    suffix, content = CONTENTS[damage]
    patch_id, files = next(iter(fake_patches.items()))
    file = f"{patch_id}_{suffix}"
    patches = {**fake_patches, patch_id: {**files, file: content}}
    source = sandbox / "source"
    if kind == "archive":
        with tarfile.open(source, "w") as archive:
            for info, data in make_members(patches):
                archive.addfile(info, io.BytesIO(data))
    else:
        for info, data in make_members(patches):
            path = source / info.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    before = take_snapshot(sandbox)
    options = BuildOptions(quiet=True, workers=1)

    with pytest.raises(PatchError) as caught:
        build(source, sandbox / "data", S2, options)

    assert isinstance(caught.value, BigEarthNetError)
    assert (patch_id, file) == (caught.value.patch_id, caught.value.file)
    assert before == take_snapshot(sandbox)
