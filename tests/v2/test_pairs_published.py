"""The card above two parts, and a pair that is published and read where it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.download.mirror import mirror
from bigearthnet.errors import OptionError, PublishError
from bigearthnet.release import Release
from bigearthnet.schema.configs import Config
from bigearthnet.store import read_store
from bigearthnet.store.remote import open_anywhere
from bigearthnet.store.search import open_store
from builder.publish import publish
from builder.verify import verify
from tests.hub import Hub
from tests.hub.published import URL, publish_folder
from tests.v2.made import make_patches
from tests.v2.pairs import (
    FORMATS,
    PARTS,
    hash_files,
)
from tests.v2.test_building import config_of


def test_the_card_above_loads_both_parts(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Unmodified `datasets` finds all views there, and those of a part in the part."""
    import datasets

    top, cache = stores / "huggingface-v2", str(tmp_path)
    names = datasets.get_dataset_config_names(str(top))
    loaded = {
        name: datasets.load_dataset(str(top), name, split="train", cache_dir=cache)
        for name in ("v2-s2-19", "v2-s1")
    }
    radar = loaded["v2-s1"].select_columns(["bands_s1"])
    pair = datasets.concatenate_datasets([loaded["v2-s2-19"], radar], axis=1)

    assert ["v2-s2-19", "v2-10m", "preview", "v2-s1", "patches"] == names
    assert loaded["v2-s2-19"]["patch_id"] == loaded["v2-s1"]["patch_id"]
    for row in pair.with_format("numpy"):
        made = make_patches()[str(row["patch_id"])].groups
        for group in ("bands_s1", "bands_10m", "reference_map"):
            assert (made[group] == row[group]).all()
    for part, view in (("s2", "v2-10m"), ("s1", "v2-s1")):
        assert view in datasets.get_dataset_config_names(str(top / part))
    table = datasets.load_dataset(str(top), "patches", cache_dir=cache)["patches"]
    assert len(make_patches()) == len(table)


def test_programs_of_the_card_run(stores: Path, tmp_path: Path) -> None:
    """What the card above the parts tells people to run, runs."""
    top = stores / "huggingface-v2"
    blocks = (top / "README.md").read_text().split("```python\n")[1:]

    assert 2 == len(blocks)
    for block in blocks:
        program = block.partition("```")[0].replace('"..."', f'"{top}"')
        environment = {"HF_DATASETS_CACHE": str(tmp_path), "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        assert "patch_id" in done.stdout or "S2" in done.stdout


def test_a_pair_is_published_with_its_card(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """Parts lie below the card, as in a data directory, and are loaded by it."""
    import datasets

    to, options = (
        tmp_path / "to",
        {"allow": ["incomplete", "synthetic"], "releases": [release]},
    )
    publish(stores, f"file://{to}", config="v2-s1s2", quiet=True, **options)  # type: ignore[arg-type]
    names = {path.name for path in to.iterdir()}
    loaded = datasets.load_dataset(
        str(to), "v2-s1", split="test", cache_dir=str(tmp_path / "cache")
    )

    assert {"README.md", "s1", "s2"} == names
    assert (stores / "huggingface-v2/README.md").read_bytes() == (
        to / "README.md"
    ).read_bytes()
    assert [m.split for m in make_patches().values()].count("test") == len(loaded)
    assert PARTS[::-1] == tuple(
        read_store(path, [release]).config.name for path in sorted(to.glob("s?"))
    )


def test_a_published_pair_is_mirrored_and_read_in_place(
    stores: Path, release: Release, both: Config, hub: Hub, tmp_path: Path
) -> None:
    """A configuration says which folder is meant; both parts come with their card."""
    from huggingface_hub import HfFileSystem

    HfFileSystem.clear_instance_cache()  # it keeps the address of another hub
    folder, data_dir = tmp_path / "published", tmp_path / "data"
    shutil.copytree(stores / "huggingface-v2", folder)
    shutil.copytree(stores / "arrow-v2", folder / "arrow-v2")
    publish_folder(hub, folder)
    done = mirror(URL, data_dir, both, formats=FORMATS, quiet=True)
    results = verify(data_dir, releases=[release], quick=True, quiet=True)

    assert ["s2", "s1", "s2", "s1"] == [store.folder.name for store in done]
    assert hash_files(stores) == hash_files(data_dir)
    assert [] == [line for result in results for line in result.shown]
    for url in (URL, f"{URL}/s1"):
        store = open_anywhere(url, config_of("v2-s1", release))
        assert open_store(stores, store.config, "parquet").manifest == store.manifest
    HfFileSystem.clear_instance_cache()


def test_a_pair_without_one_part_is_not_published(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """The part that is missing is named; the other can be published alone."""
    shutil.copytree(stores / "huggingface-v2/s2", tmp_path / "d/huggingface-v2/s2")
    options: dict[str, Any] = {
        "releases": [release],
        "allow": ["incomplete", "synthetic"],
    }
    with pytest.raises(OptionError, match="no parquet store of v2-s1: build it"):
        publish(tmp_path / "d", f"file://{tmp_path}/a", config="v2-s1s2", **options)
    publish(tmp_path / "d", f"file://{tmp_path}/a", quiet=True, **options)

    assert "v2-s1" not in (tmp_path / "a/README.md").read_text().split("---")[1]


def test_the_card_names_all_that_is_there(
    stores: Path, release: Release, tmp_path: Path
) -> None:
    """A part is not published alone beside the other, which the card would not name."""
    to, options = (
        tmp_path / "to",
        {"allow": ["incomplete", "synthetic"], "releases": [release], "quiet": True},
    )
    publish(stores, f"file://{to}", config="v2-s2", **options)  # type: ignore[arg-type]
    before = hash_all(to)
    with pytest.raises(PublishError, match=r"v2-s2 is there in s2/.*=v2-s1s2\."):
        publish(stores, f"file://{to}", config="v2-s1", **options)  # type: ignore[arg-type]
    assert before == hash_all(to)
    publish(stores, f"file://{to}", config="v2-s1s2", **options)  # type: ignore[arg-type]
    card = stores / "huggingface-v2/README.md"
    assert card.read_bytes() == (to / "README.md").read_bytes()


def hash_all(folder: Path) -> dict[Path, bytes]:
    """Path → content of all files in a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
