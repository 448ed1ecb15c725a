"""The part of a card that people read, in Markdown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from string import Template
from typing import Final

from bigearthnet.formats.parquet import read_footer
from bigearthnet.release import Release
from bigearthnet.release.texts import read_citation, read_description
from bigearthnet.store import PATCHES, QUARANTINE, Store
from builder.card.gallery import Shown, make_gallery
from builder.card.header import PATCH_VIEW, TITLE
from builder.card.patches import PatchTable
from builder.card.provenance import describe_provenance
from builder.card.tables import (
    compare_with_paper,
    is_of_paper,
    make_band_table,
    make_class_table,
    make_coarser_table,
    make_column_table,
    make_split_table,
    make_table,
)

_PAPER: Final = "[Sumbul et al., 2019](https://doi.org/10.1109/IGARSS.2019.8900532)"


def make_text(store: Store, patches: PatchTable, pictures: Sequence[Shown]) -> str:
    """Returns the part of a card that people read.

    Args:
        store: A Parquet store.
        patches: Its table of patches.
        pictures: What its gallery shows.
    """
    release = store.config.release
    sections = [
        f"# {TITLE}",
        *make_warnings(store),
        *([make_gallery(pictures)] if pictures else []),
        read_description(release),
        "## Load it",
        _describe_loading(store),
        "## Traps of the programs",
        _read("traps.md"),
        "## Checksums",
        _describe_checksums(store),
        "## Splits",
        f"Split scheme: {store.manifest['split_scheme']}.",
        make_split_table(store),
        "## Columns",
        make_column_table(store),
        "## Classes",
        *_describe_classes(store, patches),
        "## Bands",
        f"Mean and standard deviation of {_name_values(store)} over the train split.",
        make_band_table(store),
        "## Where it comes from",
        describe_provenance(store),
        *read_release(release),
        "## Cite",
        f"```bibtex\n{read_citation(release)}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _name_values(store: Store) -> str:
    is_radar = any("float" in group.dtype for group in store.config.groups)
    return "what is stored" if is_radar else "digital numbers"


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8").strip()


def read_release(release: Release) -> Iterator[str]:
    """Yields what is to be said of a release: traps, versions, licence."""
    with contextlib.suppress(FileNotFoundError):
        yield _read(f"releases/{release.name}.md")


def _describe_loading(store: Store) -> str:
    config, labels = store.config, store.config.release.label_sets[0]
    group = config.groups[0]
    pixels = sum(stored.nbytes for stored in config.groups)
    return Template(_read("loading.md")).substitute(
        view=next(iter(config.views)),
        views=make_view_table(store),
        config=config.name,
        base=config.choice.base,
        ids=labels.ids,
        vector=labels.vector,
        group=group.name,
        dtype=group.dtype,
        scale=" / 10_000" if group.dtype == "uint16" else "",
        size=round(pixels / 1_000) + 5,
    )


def make_view_table(store: Store) -> str:
    """Returns the columns of each view of a store."""
    views = store.config.views
    everything = dict.fromkeys(f.name.partition("/")[0] for f in store.config.columns)
    rows: list[tuple[str, str]] = []
    for view, names in views.items():
        left_out = [name for name in everything if name not in names]
        short = len(left_out) > len(names)
        text = f"only {_quote(names)}" if short else f"all but {_quote(left_out)}"
        mark = "" if rows else " (default)"
        rows.append((f"`{view}`{mark}", text if left_out else "everything"))
    footer = read_footer(store.folder / PATCHES)
    table = _quote(footer.schema.to_arrow_schema().names)
    rows.append((f"`{PATCH_VIEW}`", f"of every patch that was read, {table}"))
    return make_table("ll", ("config", "columns"), rows)


def _describe_checksums(store: Store) -> str:
    default = next(iter(store.config.views))
    return f"""Each page of these files has a checksum. Unless they are told to,
`datasets`, pyarrow, polars and DuckDB do not look at it: after a bad copy or download
they give other pixels, silently. Compare the sha256 of each file with `manifest.json`,
as `python -m builder.verify --quick` does, or have the pages checked (`datasets` 4.2):

```python
import pyarrow.dataset
from datasets import load_dataset

folder = "..."  # as above
checks = pyarrow.dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
train = load_dataset(folder, "{default}", split="train", fragment_scan_options=checks)
```

In pyarrow it is `read_table(file, page_checksum_verification=True)`; polars and DuckDB
have no switch of their own, but read a pyarrow data set with these options."""


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def make_warnings(store: Store) -> Iterator[str]:
    """Yields what is to be known before anything else of the patches of a store."""
    synthetic = store.manifest["patches"]["synthetic"]
    if synthetic:
        yield (
            f"**SYNTHETIC: {synthetic:,} of the patches are made up. They are for "
            "trying out programs and say nothing about the Earth.**"
        )
    quarantined = store.manifest["patches"]["quarantined"]
    if quarantined:
        yield (
            f"**{quarantined:,} bad patches of the source were set aside and are not "
            f"here; {QUARANTINE} lists them.**"
        )
    kept = store.config.release.kept_splits
    missing = [split for split in kept if split not in store.splits]
    if missing:
        yield f"Without a patch, and so left out: {', '.join(missing)}."


def _describe_classes(store: Store, patches: PatchTable) -> Iterator[str]:
    first, *others = [s.nomenclature for s in store.config.release.label_sets]
    names = [nomenclature.name.upper() for nomenclature in others]
    text = f"Patches with each class of {first.name.upper()}, in the order of class ids"
    if others:
        text += f", and the class of {' and of '.join(names)} that it is part of"
    text += ". `read` counts every patch of the source, stored or not"
    if is_of_paper(store):
        text += f", `paper` is Table 2 of {_PAPER}, of the whole archive. "
        text += compare_with_paper(store, patches)
    else:
        text += "."
    yield text
    yield make_class_table(store, patches)
    for other, name in zip(others, names, strict=True):
        yield f"Patches with each class of {name}:"
        yield make_coarser_table(store, patches, other)
