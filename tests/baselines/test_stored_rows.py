from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from baselines.stored_rows import open_random_access, open_rows
from bigearthnet.errors import OptionError, ShardError, StoreError
from bigearthnet.store import PATCHES

ALL = "train+validation+test+excluded"


@pytest.mark.parametrize("form", ["arrow", "bigearthnet"])
def test_ids_are_those_of_the_rows(
    form: str, many_shards: Path, tmp_path: Path
) -> None:
    """Each row has the id and labels that its shard holds, split after split."""
    shutil.copytree(many_shards / form, tmp_path / form)
    store = open_random_access(tmp_path, "s2")
    reader, ids, vectors = open_rows(store, ALL)
    vector = store.config.release.label_sets[0].vector
    batch = reader.gather(range(len(reader)), ["patch_id", vector])
    stored = batch["patch_id"]

    assert 6 == len(ids)
    assert ids == [i.decode() if isinstance(i, bytes) else i for i in stored]
    np.testing.assert_array_equal(batch[vector], vectors)


@pytest.mark.parametrize("form", ["arrow", "bigearthnet/s2/2.0.0"])
def test_the_folder_of_a_store_is_opened(form: str, many_shards: Path) -> None:
    """A store folder is as good as its data directory; of Parquet, it is named."""
    store = open_random_access(many_shards / form, "s2")

    assert 6 == len(open_rows(store, ALL).patch_ids)
    with pytest.raises(OptionError, match="huggingface: parquet cannot"):
        open_random_access(many_shards / "huggingface", "s2")
    with pytest.raises(StoreError, match=r"expected config s2-random.*config=\"s2\""):
        open_random_access(many_shards / form, "s2-random")


def test_parquet_alone_is_refused(many_shards: Path, tmp_path: Path) -> None:
    """Where there is no random access, the error has the command that makes it."""
    shutil.copytree(many_shards / "huggingface", tmp_path / "huggingface")

    with pytest.raises(
        OptionError, match=r"parquet cannot.*Make arrow of it"
    ) as raised:
        open_random_access(tmp_path, "s2")
    _, _, command = str(raised.value).partition("python -m ")
    module, *arguments = command.split()
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)
    (store,) = open_random_access(tmp_path, "s2").parts
    assert "arrow" == store.format.name


def test_what_is_missing_is_an_error(all_stores: Path, tmp_path: Path) -> None:
    """A split that was not built is named, with those that are there."""
    store = open_random_access(all_stores, "s2")

    with pytest.raises(OptionError, match=r"'validation'.*expected one of train, test"):
        open_rows(store, "validation")
    with pytest.raises(StoreError, match="no store"):
        open_random_access(tmp_path, "s2")


def test_a_table_of_other_patches_is_refused(many_shards: Path, tmp_path: Path) -> None:
    """Shards and the table of patches must have as many patches."""
    shutil.copytree(many_shards / "arrow", tmp_path / "arrow")
    stores = open_random_access(tmp_path, "s2")
    path = tmp_path / "arrow" / PATCHES
    table = pq.read_table(path)
    pq.write_table(table.filter(pc.equal(table["split"], "train")), path)

    with pytest.raises(ShardError, match=r"hold 1 patch, its patches\.parquet 0"):
        open_rows(stores, ALL)
