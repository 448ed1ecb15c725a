from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.extracted import extract, make_metadata
from bigearthnet.release import V2
from bigearthnet.release.nomenclature import BEN19
from bigearthnet.release.splits import load_table
from builder.synthesize import write_archives
from tests.v2.made import CODES, NUM_PATCHES, SEED, make_patches

PROGRAMS = Path(benchmarks.__file__).parent / "programs"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the made-up archives of v2.0 are extracted to; not to be changed."""
    archives, folder = (tmp_path_factory.mktemp(x) for x in ("archives", "folders"))
    write_archives(archives, NUM_PATCHES, SEED, quiet=True)
    extract(archives, folder)
    return folder


def read_s1_names() -> dict[str, str]:
    """Patch id → name in Sentinel-1, of all patches."""
    table = load_table(V2, "official")
    names = (table[name].to_pylist() for name in ("patch_id", "s1_name"))
    return dict(zip(*names, strict=True))


def test_the_table_is_that_of_the_extracted_patches(folders: Path) -> None:
    """Labels, splits and names are the release's; excluded patches are left out."""
    rows = {row.pop("patch_id"): row for row in make_metadata(folders).to_pylist()}
    s1_names = read_s1_names()

    assert rows == {
        patch_id: {
            "labels": [BEN19.labels[index] for index in made.labels],
            "split": made.split,
            "s1_name": s1_names[patch_id],
        }
        for patch_id, made in make_patches().items()
        if not made.split.startswith("excluded")
    }
    assert 0 < len(rows) < NUM_PATCHES


def test_safetensors_in_lmdb_hold_every_pixel(folders: Path, tmp_path: Path) -> None:
    """All that the archives hold of a patch is there, under its names, bit for bit."""
    lmdb = pytest.importorskip("lmdb")
    load = pytest.importorskip("safetensors.numpy").load
    program = PROGRAMS / "encode_lmdb_v2.py"
    where = f"--source={folders}", f"--work={tmp_path}", f"--patches={NUM_PATCHES}"
    subprocess.run(
        [sys.executable, program, *where, "--archives=s2,s1,maps"], check=True
    )

    s1_names = read_s1_names()
    with lmdb.open(str(tmp_path / "ben.lmdb"), readonly=True).begin() as transaction:
        assert 3 * NUM_PATCHES == transaction.stat()["entries"]
        for patch_id, made in make_patches().items():
            ends = patch_id, s1_names[patch_id], f"{patch_id}_reference_map"
            s2, s1, maps = (load(transaction.get(key.encode())) for key in ends)
            (codes,) = maps.values()
            stored = np.vectorize(CODES.__getitem__)(made.groups["reference_map"])
            expected = {
                band.name: pixels
                for archive in V2.archives[:2]
                for group in archive.groups
                if not group.is_map
                for band, pixels in zip(
                    group.bands, made.groups[group.name], strict=True
                )
            }

            assert expected.keys() == (s2 | s1).keys()
            assert stored.tolist() == [codes.tolist()]
            for name, pixels in (s2 | s1).items():
                assert expected[name].dtype == pixels.dtype
                assert expected[name].tobytes() == pixels.tobytes()
