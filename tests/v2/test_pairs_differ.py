"""Parts that are no pair are found: by readers, verification and publishing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.engine.beside import find_beside
from bigearthnet.errors import StoreError
from bigearthnet.release import Release
from builder.convert import convert
from builder.publish import publish
from builder.verify import verify
from tests.v2.conftest import QUIET
from tests.v2.made import make_patches
from tests.v2.test_building import config_of


def make_unequal(stores: Path, release: Release, data_dir: Path) -> None:
    """A pair whose parts have other patches."""
    shutil.copytree(stores / "huggingface-v2", data_dir / "huggingface-v2")
    shutil.rmtree(data_dir / "huggingface-v2/s1")
    first = next(iter(make_patches()))
    s1 = config_of("v2-s1", release)
    convert(
        stores, s1, ["parquet"], QUIET, output=data_dir.with_name("o"), drop=[first]
    )
    (data_dir.with_name("o") / "huggingface-v2/s1").rename(
        data_dir / "huggingface-v2/s1"
    )


def test_parts_under_the_names_of_each_other_are_found(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Readers would not find them: neither does verification, nor a build beside."""
    for name, part in (("s1", "s2"), ("s2", "s1")):
        shutil.copytree(stores / f"arrow-v2/{part}", tmp_path / f"arrow-v2/{name}")

    message = r"arrow-v2/s1 is a store of config v2-s2 .*: move it to .*arrow-v2/s2,"
    with pytest.raises(StoreError, match=message):
        find_beside(tmp_path, config_of("v2-s2", release))
    found = verify(tmp_path, releases=[release], quick=True, quiet=True)
    lines = [line for result in found for line in result.shown]
    assert any(re.search(message, line) for line in lines)


def test_parts_that_differ_are_found_and_not_published(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Verification says so, and nothing is published."""
    data_dir = tmp_path / "data"
    make_unequal(stores, release, data_dir)
    results = verify(data_dir, releases=[release], quick=True, quiet=True)
    (found,) = [r.shown for r in results if r.check == "pair"]
    assert "are no pair" in found[0]
    with pytest.raises(Exception, match="damaged, or not as it was built"):
        publish(
            data_dir,
            f"file://{tmp_path}/to",
            config="v2-s1s2",
            allow=["incomplete", "quarantined", "synthetic", "unverified"],
            releases=[release],
            quiet=True,
        )


def change_card(data_dir: Path) -> str:
    """Lets the card above the parts name other files."""
    path = data_dir / "huggingface-v2/README.md"
    path.write_text(path.read_text().replace("s1/v2-s1/train", "s2/v2-s1/train"))
    return "huggingface-v2/README.md: v2-s1 is of another build"


def remove_card(data_dir: Path) -> str:
    """Deletes it."""
    (data_dir / "huggingface-v2/README.md").unlink()
    return "huggingface-v2/README.md is missing"


def change_ids(data_dir: Path) -> str:
    """Gives a manifest the checksum of other ids."""
    path = data_dir / "huggingface-v2/s1/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"]["ids_sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    return f"train: expected ids of sha256 {'0' * 64}"


@pytest.mark.parametrize("change", [change_card, remove_card, change_ids])
def test_verification_reads_what_makes_a_pair(
    change: Callable[[Path], str], stores: Path, release: Release, tmp_path: Path
) -> None:
    """The card above the parts, and the checksums of ids, are compared."""
    shutil.copytree(stores / "huggingface-v2", tmp_path / "huggingface-v2")
    message = change(tmp_path)
    results = verify(tmp_path, releases=[release], quiet=True)

    assert any(message in line for result in results for line in result.shown)
