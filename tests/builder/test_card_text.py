from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bigearthnet.bigearthnet_dataset_builder import Builder
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.nomenclature import BEN19, CLC43, PAPER_COUNTS
from bigearthnet.schema.configs import get_config
from bigearthnet.store import Store
from bigearthnet.store.search import open_store
from builder.card import tables
from builder.card.patches import count_classes, read_patch_table
from builder.card.provenance import describe_provenance

S2 = get_config("s2", RELEASES)


@pytest.fixture
def store(all_stores: Path) -> Store:
    """The Parquet store of the real sample."""
    return open_store(all_stores, S2, "parquet")


def read_text(store: Store) -> str:
    """A card."""
    return (store.folder / "README.md").read_text(encoding="utf-8")


def test_classes_of_ben19_are_counted_by_patch(store: Store) -> None:
    """A patch with two classes that become one counts once."""
    counts: Counter[int] = Counter()
    for split in store.splits:
        for path in store.shards(split):
            for labels in pq.read_table(path, columns=["labels_19"])["labels_19"]:
                counts.update(labels.as_py())
    found = count_classes(read_patch_table(store).masks, CLC43, BEN19)

    assert [counts[number] for number in range(19)] == found
    assert "| 2 | Arable land | 1 | 1 | 1 | 3 |" in read_text(store)


def test_a_part_of_the_archive_is_not_compared_with_the_paper(store: Store) -> None:
    """The card says how many patches were read beside what the paper counted."""
    text = read_text(store)

    assert "Only 6 of its 590,326 patches were read here" in text
    assert "equal in every class" not in text


@pytest.mark.parametrize(
    ("more", "sentence"),
    [(0, "They are equal in every class."), (1, "They differ in Airports.")],
)
def test_the_whole_archive_is_compared_with_the_paper(
    more: int, sentence: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all patches were read, the card says whether the counts are the paper's."""
    patches = read_patch_table(store)
    counts = count_classes(patches.masks, CLC43, CLC43)
    counts[CLC43.ids["Airports"]] += more
    monkeypatch.setattr(tables, "PAPER_COUNTS", counts)
    release = dataclasses.replace(V1, num_patches=6)
    config = dataclasses.replace(store.config, release=release)
    store = dataclasses.replace(store, config=config)

    assert sentence == tables.compare_with_paper(store, patches)


def test_made_up_patches_do_not_stand_beside_the_paper(thousand_patches: Path) -> None:
    """A card of synthetic patches has no column of the paper's."""
    text = read_text(open_store(thousand_patches, S2, "parquet"))

    assert "| test | excluded | read |\n" in text
    assert "Table 2" not in text
    assert f"{PAPER_COUNTS[0]:,}" not in text


def describe(
    store: Store, folder: Path, provenance: dict[str, Any] | None
) -> tuple[str, ...]:
    """What a card says of sources, if that stands in provenance.json."""
    if provenance is not None:
        (folder / "provenance.json").write_text(json.dumps(provenance))
    lines = describe_provenance(dataclasses.replace(store, folder=folder))
    return tuple(lines.splitlines())


@pytest.mark.parametrize(
    ("sha256", "expected"),
    [
        (None, "patches without a checksum of their own."),
        ("ab" * 32, f"another archive, sha256 `{'ab' * 32}`."),
        (
            V1.archives[0].digest.hexdigest,
            "the published BigEarthNet-S2-v1.0.tar.gz, "
            f"sha256 `{V1.archives[0].digest.hexdigest}`.",
        ),
    ],
)
def test_a_source_is_named_by_its_checksum(
    sha256: str | None, expected: str, store: Store, tmp_path: Path
) -> None:
    """The published archive is known by its sha256, whatever its file was called."""
    lines = describe(store, tmp_path, {"source": "x.tgz", "source_sha256": sha256})

    assert f"- Source `s2`: {expected}" == lines[0]


def test_a_card_tells_nobody_where_and_how_it_was_built(
    store: Store, tmp_path: Path
) -> None:
    """Neither the command nor a path nor the machine is in the card, versions are."""
    secret = {
        "source": "/home/me/x.tgz",
        "command": ["build", "--source=/home/me/x.tgz"],
        "platform": "Linux of mine",
    }
    lines = "\n".join(describe(store, tmp_path, secret))

    assert "/home/me" not in lines
    assert "Linux" not in lines
    assert str(store.folder.parent) not in read_text(store)
    assert re.search(r"written by bigearthnet [\d.]+\S*, pyarrow [\d.]+, pillow", lines)


def test_a_store_without_provenance_has_a_card(store: Store, tmp_path: Path) -> None:
    """What is not known of the source is not said."""
    first, second, _ = describe(store, tmp_path, None)

    assert "- Source `s2`: patches without a checksum of their own." == first
    assert "Read: 6 patches of the 590,326 of v1.0; stored: 6." in second


def test_every_version_of_the_data_has_a_line(store: Store) -> None:
    """The table of versions has those of the release notes, and the one written."""
    versions = re.findall(r"^\| (\d+\.\d+\.\d+) \| \w", read_text(store), re.M)

    assert list(Builder.RELEASE_NOTES) == versions
    assert store.manifest["version"] in versions


@pytest.mark.parametrize(
    "sentence",
    [
        "modified Copernicus Sentinel data 2017–2018",
        "https://doi.org/10.1109/IGARSS.2019.8900532",
        "https://cdla.dev/permissive-1-0/",
        "https://bigearth.net",
        "60,886 patches of v2's test",
        "(DN − 1000) / 10000",
    ],
)
def test_the_card_says_what_must_be_known(sentence: str, store: Store) -> None:
    """Licence, sources, papers and the traps of the data are in every card of v1."""
    assert sentence in read_text(store)
