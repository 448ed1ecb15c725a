from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.release import RELEASES
from bigearthnet.report.composites import make_picture
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.rgb import encode_jpeg
from bigearthnet.store import Store
from bigearthnet.store.search import open_store
from builder.card import write_card
from builder.card.gallery import choose_patches
from builder.card.patches import PatchTable, read_patch_table

S2 = get_config("s2", RELEASES)


def open_parquet(data_dir: Path) -> Store:
    """The Parquet store of a data directory."""
    return open_store(data_dir, S2, "parquet")


def list_shown(store: Store) -> dict[str, str]:
    """File → alternative text of the pictures of a card."""
    card = (store.folder / "README.md").read_text(encoding="utf-8")
    return {file: text for text, file in re.findall(r"!\[(.*?)\]\((.*?)\)", card)}


def list_files(store: Store) -> dict[str, bytes]:
    """The files that lie beside a card."""
    return {
        path.relative_to(store.folder).as_posix(): path.read_bytes()
        for path in (store.folder / "pictures").iterdir()
    }


def test_pictures_are_the_stored_previews(all_stores: Path) -> None:
    """Each patch of the sample is shown, by the bytes of its preview."""
    store = open_parquet(all_stores)
    previews = {}
    for split in store.splits:
        for path in store.shards(split):
            for row in pq.read_table(path, columns=["patch_id", "preview"]).to_pylist():
                name = f"pictures/{row['patch_id']}.jpg"
                previews[name] = row["preview"]["bytes"]
    found = list_files(store)

    assert previews == {name: found.get(name) for name in previews}
    assert set(found) == set(list_shown(store))
    for content in found.values():
        picture = Image.open(io.BytesIO(content))
        assert ("JPEG", (120, 120)) == (picture.format, picture.size)


def test_other_pictures_are_composites_of_stored_bands(all_stores: Path) -> None:
    """Beside each preview is the near infrared, beside it is said of which bands."""
    store = open_parquet(all_stores)
    found = list_files(store)
    for path in (path for split in store.splits for path in store.shards(split)):
        reader = ParquetReader([path], store.config.columns)
        batch = reader.gather(range(len(reader)), ["patch_id", "B08", "B04", "B03"])
        for number, patch_id in enumerate(batch.pop("patch_id")):
            bands = {name: values[number] for name, values in batch.items()}
            expected = encode_jpeg(make_picture(bands, "false_color"))
            assert expected == found.pop(f"pictures/{patch_id}_false_color.jpg")

    assert not [name for name in found if "_false_color" in name]
    card = (store.folder / "README.md").read_text(encoding="utf-8")
    assert "natural colours (B04, B03, B02); near infrared: vegetation is red (B08" in (
        card
    )


def test_a_picture_says_what_it_shows(all_stores: Path) -> None:
    """Its text has split, country, season and labels; the caption has them, too."""
    store = open_parquet(all_stores)
    name = "S2B_MSIL2A_20170924T93020_69_24"
    forest = "Coniferous forest", "Mixed forest", "Transitional woodland/shrub"
    labels = (*forest, "Peatbogs", "Water bodies")

    assert (
        f"{name}, train, Finland, autumn: {'; '.join(labels)}"
        == (list_shown(store)[f"pictures/{name}.jpg"])
    )
    caption = f"**train · Finland · autumn**<br>{'<br>'.join(labels)}"
    assert caption in (store.folder / "README.md").read_text(encoding="utf-8")


def test_a_gallery_shows_all_splits_and_many_classes(thousand_patches: Path) -> None:
    """12 patches of few labels are of each split in turn, and of most classes."""
    store = open_parquet(thousand_patches)
    patches = read_patch_table(store)
    chosen = choose_patches(patches, store.splits)
    rows = [patches.ids.to_pylist().index(name) for _, name in chosen]
    there, shown = (
        int(np.bitwise_or.reduce(patches.masks[kept])).bit_count()
        for kept in (patches.stored, rows)
    )

    assert 4 == len(store.splits)
    assert 3 * list(store.splits) == [split for split, _ in chosen]
    assert 12 == len(set(rows)) == len(list_shown(store)) / 2
    assert patches.stored[rows].all()
    assert np.bitwise_count(patches.masks[rows]).max() <= 5
    assert shown > 2 / 3 * there


def test_made_up_patches_are_marked_one_by_one(
    thousand_patches: Path, all_stores: Path
) -> None:
    """Every picture of a synthetic patch says so, and none of a real one."""
    made_up = list_shown(open_parquet(thousand_patches)).values()
    real = list_shown(open_parquet(all_stores)).values()

    assert all(", SYNTHETIC:" in text for text in made_up)
    assert not any("SYNTHETIC" in text for text in real)


def test_patches_that_are_not_stored_are_not_chosen() -> None:
    """A crowded patch is shown where a split has no other, one that is absent never."""
    patches = PatchTable(
        pa.chunked_array([["a", "b", "c", "d"]]),
        np.array(["train", "train", "test", "test"], np.object_),
        np.array([True, False, True, True]),
        np.array([2**9 - 1, 1, 1, 3], np.uint64),
    )

    chosen = choose_patches(patches, ["train", "test"])

    assert [("train", "a"), ("test", "d"), ("test", "c")] == chosen


def test_a_card_made_again_is_the_same(all_stores: Path) -> None:
    """Neither the text nor a picture depends on anything but the store."""
    store = open_parquet(all_stores)
    card = store.folder / "README.md"
    before = card.read_bytes(), list_files(store)
    write_card(store)

    assert before == (card.read_bytes(), list_files(store))
