r"""Counts what a data directory holds, and compares it with what was published.

Of a store's patches.parquet alone, in seconds: patches, classes, seasons, countries,
flags, dates and labels of a patch, by split. With --json as JSON, for programs.

With --check=paper (v1.0) or --check=v2 (v2.0) they are compared with what was published
of the whole release: classes, seasons and so on by their totals; split, country, season
and flags also patch by patch, against the official lists, so that a part of the archive
is judged, too. The exit status is 0 if all that was published is equal, 1 if something
differs, 3 if nothing differs and something could not be judged, which is named.

Example:
  python -m builder.stats --data_dir=data --check=paper
  python -m builder.stats --table=patches.parquet --json
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.util import command
from builder.figures.counting import ALL, count_figures
from builder.figures.judging import CHECKS, Judgement, judge
from builder.figures.tables import (
    Patches,
    choose_stores,
    read_patches,
    read_store_patches,
)
from builder.table import format_table

_DIFFERENT, _NOT_JUDGED = 1, 3


def read(data_dir: Path | None, table: Path | None, config: str | None) -> Patches:
    """Reads the patches that are meant.

    Args:
        data_dir: Data directory, or folder of a store; or None.
        table: A table of patches; or None.
        config: Name of the configuration; None where there is no choice.

    Raises:
        OptionError: If both or none of the first two are given, or there is a choice.
        StoreError, ShardError: If there is no store, or it cannot be read.
    """
    if (data_dir is None) == (table is None):
        raise OptionError("expected --data_dir, or --table; see --help.")
    if data_dir is not None:
        return read_store_patches(choose_stores(data_dir, config)[0])
    assert table is not None
    if config is not None:
        raise OptionError("config: a table says itself what it is of.")
    return read_patches(table)


def find_status(judged: Sequence[Judgement]) -> int:
    """Returns the exit status that some judgements make."""
    verdicts = {one.verdict for one in judged}
    if "different" in verdicts:
        return _DIFFERENT
    return _NOT_JUDGED if "not judged" in verdicts else 0


def make_json(
    patches: Patches, figures: Mapping[str, Any], judged: Sequence[Judgement] | None
) -> dict[str, Any]:
    """Returns what `--json` prints."""
    config = None if patches.store is None else patches.store.config.name
    about = {"table": str(patches.path), "release": patches.release.name}
    content: dict[str, Any] = {**about, "config": config, "figures": figures}
    if judged is not None:
        content["check"] = [asdict(one) for one in judged]
    return content


def format_figures(figures: Mapping[str, Any]) -> str:
    """Returns figures for people: a table for each kind."""
    groups = list(figures["patches"])
    lines = [("patches", *figures["patches"].values())]
    lines += [(n, *figures[n].values()) for n in ("snow", "cloud") if n in figures]
    texts = [format_table(("", *groups), lines)]
    named = {n: figures[n] for n in ("seasons", "countries") if n in figures}
    first = next(iter(figures["classes"]))
    for title, counts in {**named, first: figures["classes"][first]}.items():
        rows = [(v, *(counts[g].get(v, 0) for g in groups)) for v in counts[ALL]]
        texts.append(format_table((title, *groups), rows))
    texts.append(", ".join(f"{n}: {v:,}" for n, v in figures["labels"].items()))
    return "\n\n".join(texts)


def format_judgements(judged: Sequence[Judgement]) -> str:
    """Returns what differs and what could not be judged, and how much is equal."""
    counts = Counter(one.verdict for one in judged)
    lines = []
    for one in judged:
        if one.verdict == "different":
            reason = f": {one.reason}" if one.reason else ""
            lines.append(
                f"DIFFERENT {one.name}: published {one.expected:,}, found "
                f"{one.found:,}{reason}"
            )
    unjudged: dict[str, list[str]] = {}
    for one in judged:
        if one.verdict == "not judged":
            unjudged.setdefault(one.reason, []).append(one.name)
    for reason, names in unjudged.items():
        kinds = Counter(name.partition(" ")[0] for name in names)
        counted = ", ".join(f"{kind} ({count})" for kind, count in kinds.items())
        lines.append(f"not judged, since {reason}: {counted}")
    lines.append(
        f"{counts['equal']} figures equal, {counts['different']} different, "
        f"{counts['not judged']} not judged"
    )
    return "\n".join(lines)


def _define_flags() -> None:
    command.define_path("data_dir", None, "Data directory, or store, to count.")
    command.define_path("table", None, "Or a table of patches: patches.parquet.")
    flags.DEFINE_string("config", None, "Configuration, where there are several.")
    flags.DEFINE_bool("json", False, "Prints JSON.")
    command.define_choice("check", None, CHECKS, "What to compare with.")


def _main() -> int:
    values = flags.FLAGS
    patches = read(values.data_dir, values.table, values.config)
    figures = count_figures(patches)
    judged = judge(patches, figures, values.check) if values.check else None
    if values.json:
        print(json.dumps(make_json(patches, figures, judged), indent=2))
    else:
        print(f"{patches.path}: {patches.release.name}\n\n{format_figures(figures)}")
        if judged is not None:
            print(f"\n{format_judgements(judged)}")
    return find_status(judged or [])


if __name__ == "__main__":
    command.run(_main, _define_flags)
