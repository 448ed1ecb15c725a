"""The checks of `builder.verify` that are of parts of the same tables, together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bigearthnet.errors import OptionError, StoreError
from bigearthnet.store import Store, pairs
from builder.card import CARD, make_header
from builder.card.header import PATCH_VIEW
from builder.file_checks import UNREADABLE, name_unreadable
from builder.findings import CheckResult, Damaged, Finding, Skipped


def check_pairs(stores: Sequence[Store]) -> Iterator[CheckResult]:
    """Checks that parts of the same tables fit: the first store of each with another.

    Args:
        stores: The stores; those of one configuration are compared elsewhere.
    """
    firsts = {store.config.name: store for store in reversed(stores)}
    for name, one in firsts.items():
        for other in [firsts[s.name] for s in one.config.siblings if s.name in firsts]:
            if name < other.config.name:
                title, forms = f"{name}, {other.config.name}", one.format.name
                result = CheckResult(title, forms, "pair", one.folder)
                result.run(_check_pair(one, other))
                yield result


def check_cards(
    stores: Sequence[Store], damaged: Mapping[Path, set[str]]
) -> Iterator[CheckResult]:
    """Checks the card above each folder of parts."""
    folders: dict[Path, list[Store]] = {}
    for store in stores:
        if (
            store.format.name == "parquet"
            and store.folder.name == store.config.choice.part
        ):
            folders.setdefault(store.folder.parent, []).append(store)
    for folder, parts in folders.items():
        lost = tuple(name for store in parts for name in damaged[store.folder])
        result = CheckResult("all", "all", "card of parts", folder)
        result.run(_check_parts_card(folder, parts, lost))
        yield result


def _check_pair(one: Store, other: Store) -> Iterator[Finding]:
    """Checks that two parts of the same tables have the same rows in the same order."""
    try:
        pairs.check_pairs((one, other), sorted({*one.splits, *other.splits}))
        yield None
    except (StoreError, OptionError) as error:
        yield str(error)


def _check_parts_card(
    folder: Path, parts: Sequence[Store], lost: tuple[str, ...]
) -> Iterator[Finding]:
    """Checks that the card above some parts loads them as it would be written again.

    Args:
        folder: The folder of the parts.
        parts: Those that are there; a card that was downloaded may name others.
        lost: Names of their files that are damaged.
    """
    import yaml

    path = folder / CARD
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        views = {c["config_name"]: c["data_files"] for c in found["configs"]}
        infos = {info["config_name"]: info for info in found["dataset_info"]}
    except (*UNREADABLE, yaml.YAMLError) as cause:
        yield name_unreadable(path, f"{folder.name}/{CARD}", cause)
        return
    if lost:
        yield Skipped(lost)
        return
    expected = make_header(*parts, is_above=True)
    for config, info in zip(expected["configs"], expected["dataset_info"], strict=True):
        name = config["config_name"]
        is_right = views.get(name) == config["data_files"] and infos.get(name) == info
        problem = f"{folder.name}/{CARD}: {name} is of another build"
        is_shared = name == PATCH_VIEW  # of whichever part is the first
        yield None if is_right or is_shared else Damaged(path, problem)
