"""The card of a Parquet store: README.md, as the Hugging Face hub shows and reads it.

Its YAML makes `datasets.load_dataset` find the shards and their types; the text is for
people. Everything in it comes from the store itself.
"""

from __future__ import annotations

from bigearthnet.store import Store
from bigearthnet.util.files import write_text
from builder.card.gallery import write_pictures
from builder.card.header import format_header, make_header
from builder.card.patches import read_patch_table
from builder.card.text import make_text

__all__ = ["CARD", "make_header", "write_card"]

CARD = "README.md"


def write_card(store: Store) -> None:
    """Writes the card of a finished Parquet store and its pictures into its folder."""
    patches = read_patch_table(store)
    pictures = write_pictures(store, patches)
    header = format_header(make_header(store))
    text = f"{header}\n{make_text(store, patches, pictures)}"
    write_text(text, store.folder / CARD)
