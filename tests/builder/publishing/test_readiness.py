from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import BigEarthNetError, OptionError, PublishError
from builder.publish import publish
from builder.publishing.readiness import ALLOWED
from tests.hub import Hub

TO = "hf://datasets/org/bigearthnet"
SHARD = "s2/test-00000-of-00001.parquet"


@pytest.fixture
def data_dir(all_stores: Path, tmp_path: Path) -> Path:
    """A data directory of its own, with a Parquet store."""
    source = all_stores / "huggingface"
    return shutil.copytree(source, tmp_path / "data/huggingface").parent


def tamper(folder: Path) -> None:
    """Changes a bit of a shard."""
    content = bytearray((folder / SHARD).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / SHARD).write_bytes(content)


def change_manifest(folder: Path) -> None:
    """Puts the manifest of a build of fewer patches there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [f for f in manifest["files"] if f["split"] != "test"]
    del manifest["splits"]["test"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_card(folder: Path) -> None:
    """Makes the card count a patch more."""
    text = (folder / "README.md").read_text()
    text = text.replace("num_examples: 4", "num_examples: 5")
    (folder / "README.md").write_text(text)


@pytest.mark.parametrize("allow", [["incomplete"], ["incomplete", "unverified"]])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (tamper, f"{SHARD}: expected sha256"),
        (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is missing"),
        (
            lambda folder: shutil.copy(folder / SHARD, folder / "s2/a.parquet"),
            "s2/a.parquet is not part of the build",
        ),
        (change_manifest, f"{SHARD} is not part of the build"),
        (
            lambda folder: (folder / "statistics.json").write_text("{}"),
            "statistics of .* another build",
        ),
        (lambda folder: (folder / "README.md").unlink(), "README.md"),
        (change_card, "README.md: .* are of another build"),
    ],
)
def test_a_damaged_build_is_not_published(
    change: Callable[[Path], object],
    message: str,
    allow: list[str],
    data_dir: Path,
    hub: Hub,
) -> None:
    """Each kind of damage is refused with its reason, before the hub is asked."""
    change(data_dir / "huggingface")
    with pytest.raises(BigEarthNetError, match=message):
        publish(data_dir, TO, allow=allow, endpoint=hub.endpoint, quiet=True)

    assert [] == hub.requests


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "train has 4 of 269,695 patches. .* --allow=incomplete"),
        ({"quarantined": 3}, "3 bad patches .* --allow=quarantined"),
        ({"synthetic": 6}, "made up: 6 patches. .* --allow=synthetic"),
    ],
)
def test_a_build_that_people_should_not_get_is_refused(
    facts: dict, message: str, data_dir: Path, hub: Hub
) -> None:
    """It says how much is wrong, and how to publish it all the same."""
    path = data_dir / "huggingface/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["patches"].update(facts)
    path.write_text(json.dumps(manifest))
    allow = ["incomplete"] if facts else []
    with pytest.raises(PublishError, match=message):
        publish(data_dir, TO, allow=allow, endpoint=hub.endpoint, quiet=True)

    assert [] == hub.requests


def test_only_known_reasons_can_be_allowed(data_dir: Path) -> None:
    """A reason that does not exist is refused, and all that do are named."""
    with pytest.raises(OptionError, match=re.escape(", ".join(ALLOWED))):
        publish(data_dir, TO, allow=["everything"])
