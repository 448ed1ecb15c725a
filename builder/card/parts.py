"""The card of a folder of several Parquet stores, which are parts of one data set.

Each part has a card of its own, and is loaded alone; this one, above them, gives names
to the views of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from bigearthnet.release import Release
from bigearthnet.release.texts import read_citation, read_description
from bigearthnet.store import MANIFEST, Store, read_store
from bigearthnet.util.remote import RemotePath
from builder.card.header import TITLE, format_header, make_header
from builder.card.tables import make_split_table, make_table
from builder.card.text import make_view_table, make_warnings, read_release

_LOADING: Final = """`folder` is the path of this folder, or the address of this
repository:

```python
from datasets import load_dataset

folder = "..."
train = load_dataset(folder, "$view", split="train", streaming=True)
print(next(iter(train))["patch_id"])
```"""

_PAIR: Final = """Row *i* of a split is the same patch in all parts, whose manifests
have the same `ids_sha256`. So they can be put side by side:

```python
from datasets import concatenate_datasets, load_dataset

folder = "..."
first = load_dataset(folder, "$view", split="train")
other = load_dataset(folder, "$other", split="train")
both = concatenate_datasets([first, other.select_columns(["$group"])], axis=1)
print(both.column_names)
```"""


def find_parts(
    folder: Path,
    release: Release,
    apart: Mapping[Path, RemotePath] = MappingProxyType({}),
) -> list[Store]:
    """Returns the finished stores in a folder of parts, in the release's order.

    Args:
        folder: The folder.
        release: The release.
        apart: Folder of a store → where its shards are, if they are not there.

    Raises:
        ShardError, StoreError: If one of them cannot be read.
    """
    folders = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    parts = [read_store(place, [release], apart.get(place)) for place in folders]
    return sorted(parts, key=lambda store: release.choices.index(store.config.choice))


def make_parts_card(parts: Sequence[Store]) -> str:
    """Returns the card of a folder of stores.

    Args:
        parts: The Parquet stores, each in a folder of the name of its part.
    """
    first, release = parts[0], parts[0].config.release
    sections = [
        f"# {TITLE}",
        *make_warnings(first),
        read_description(release),
        "## Parts",
        _make_part_table(parts),
        "## Load it",
        *_describe_loading(parts),
        *_describe_views(parts),
        "## Splits",
        make_split_table(first),
        *read_release(release),
        "## Cite",
        f"```bibtex\n{read_citation(release)}\n```",
    ]
    header = format_header(make_header(*parts, is_above=True))
    return f"{header}\n" + "\n\n".join(sections) + "\n"


def _make_part_table(parts: Sequence[Store]) -> str:
    rows = []
    for store in parts:
        choice = store.config.choice
        splits = store.manifest["splits"].values()
        rows.append(
            (
                f"[{choice.part}]({choice.part}/README.md)",
                choice.description,
                f"{sum(split['rows'] for split in splits):,}",
                f"{sum(split['bytes'] for split in splits) / 1e6:,.1f}",
            )
        )
    return make_table("llrr", ("folder", "what it holds", "patches", "MB"), rows)


def _describe_loading(parts: Sequence[Store]) -> Iterator[str]:
    """Yields programs that load one part, and two side by side."""
    views = [next(iter(store.config.views)) for store in parts]
    yield Template(_LOADING).substitute(view=views[0])
    if len(parts) > 1:
        group = parts[1].config.groups[0].name
        yield Template(_PAIR).substitute(view=views[0], other=views[1], group=group)


def _describe_views(parts: Sequence[Store]) -> Iterator[str]:
    """Yields the views of each part."""
    for store in parts:
        yield f"Views of `{store.config.choice.part}`:"
        yield make_view_table(store)
