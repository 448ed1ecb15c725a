"""The part of a card that people read, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import resources

from bigearthnet.store import QUARANTINE, Store
from builder.card.header import TITLE
from builder.card.tables import (
    make_band_table,
    make_class_table,
    make_column_table,
    make_split_table,
    make_table,
)


def make_text(store: Store) -> str:
    """Returns the part of a card that people read, in Markdown."""
    package = resources.files("bigearthnet")
    description = (package / "README.md").read_text(encoding="utf-8")
    citation = (package / "CITATIONS.bib").read_text(encoding="utf-8")
    sections = [
        f"# {TITLE}",
        *_make_warnings(store),
        description.strip(),
        "## Load it",
        _describe_loading(store),
        "## Checksums",
        _describe_checksums(store),
        "## Splits",
        f"Split scheme: {store.manifest['split_scheme']}.",
        make_split_table(store),
        "## Columns",
        make_column_table(store),
        "## Classes",
        _describe_classes(store),
        make_class_table(store),
        "## Bands",
        "Mean and standard deviation of digital numbers over the train split.",
        make_band_table(store),
        "## Cite",
        f"```bibtex\n{citation.strip()}\n```",
        "## Licence",
        "The data set is published under CDLA-Permissive-1.0 by its authors.",
    ]
    return "\n\n".join(sections) + "\n"


def _describe_loading(store: Store) -> str:
    views = store.config.views
    default = next(iter(views))
    everything = dict.fromkeys(f.name.partition("/")[0] for f in store.config.columns)
    rows = []
    for view, names in views.items():
        left_out = [name for name in everything if name not in names]
        short = len(left_out) > len(names)
        text = f"only {_quote(names)}" if short else f"all but {_quote(left_out)}"
        mark = " (default)" if view == default else ""
        rows.append((f"`{view}`{mark}", text if left_out else "everything"))
    return f"""```python
from datasets import load_dataset

folder = "..."  # this folder, or the name of this repository on a hub
train = load_dataset(folder, "{default}", split="train", streaming=True).reshard()
```

`reshard()` (`datasets` 5.0) streams each row group by itself. Without it, threads of
pyarrow read ahead, and a program that stops before the last patch hangs at its end
(apache/arrow#45214).

{make_table("ll", ("config", "columns"), rows)}

All of them read the same files. Without `streaming=True`, `datasets` first copies
every split of a config into its cache, about 165 kB a patch; with
`filters=[("patch_id", "in", ids)]`, say, those patches alone, which needs
`verification_mode="no_checks"`: the sizes above are those of whole splits. For arrays,
choose columns of one type:
`select_columns(["bands_10m"]).with_format("numpy", dtype="uint16")`; without the dtype,
integers become int64, as they do when streamed, where no dtype can be given. polars
gives the bands as nested lists after `.ext.storage()`. The column `preview` is a lossy
8-bit picture for people; train on the bands."""


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


def _make_warnings(store: Store) -> Iterator[str]:
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


def _describe_classes(store: Store) -> str:
    first, *others = [
        s.nomenclature.name.upper() for s in store.config.release.label_sets
    ]
    text = f"Patches with each class of {first}, in the order of class ids"
    if others:
        text += f", and the class of {' and of '.join(others)} that it is part of"
    return f"{text}."
