"""Example patches as pictures, with their labels and those that each model predicts.

The paper's Table 3 shows a few patches; which ones is a choice. Ours are drawn by seed,
from the patches on which the models differ where there are enough of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from baselines.comparison.entries import Entry, Group
from baselines.errors import ResultError
from baselines.stored_rows import open_random_access, open_rows
from bigearthnet.loading.labels import map_vectors
from bigearthnet.release import RELEASES
from bigearthnet.report.composites import KINDS, make_picture
from bigearthnet.report.page import Answer, Card, Cards
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.rgb import encode_png

_KIND: Final = "true_color"
_BANDS: Final = KINDS[_KIND].bands


def make_gallery(
    group: Group, *, count: int = 6, seed: int = 0, data_dir: Path | None = None
) -> Cards:
    """Makes cards of example patches.

    Args:
        group: The models.
        count: How many patches.
        seed: Seed of the draw.
        data_dir: Data directory of the patches; None for cards without pictures.

    Raises:
        ResultError: If the data directory holds other labels or not all of the patches.
        BigEarthNetError: If its store is missing or damaged.
    """
    differing = find_differing(group)
    rows = choose_examples(differing, count, seed)
    pictures = {} if data_dir is None else read_pictures(group, rows, data_dir)
    shown, total = int(differing[rows].sum()), int(differing.sum())
    caption = (
        f"Table 3: {len(rows)} patches, drawn at random with seed {seed}: {shown} of "
        f"the {total:,} on which models differ, {len(rows) - shown} of the "
        f"{len(differing) - total:,} others."
    )
    return Cards(caption, tuple(_make_card(group, row, pictures) for row in rows))


def find_differing(group: Group) -> npt.NDArray[np.bool_]:
    """Says on which patches models predict different classes, shape (patch,).

    Models with random weights do not count.
    """
    predicted = [
        entry.predicted
        for entry in group.entries
        if not entry.subject.has_random_weights
    ]
    differing = np.zeros(len(group.result.scores.patch_ids), np.bool_)
    for other in predicted[1:]:
        differing |= (predicted[0] != other).any(axis=1)
    return differing


def choose_examples(
    differing: npt.NDArray[np.bool_], count: int, seed: int
) -> list[int]:
    """Draws patches, those on which models differ first.

    Args:
        differing: Shape (patch,).
        count: How many to draw; all, if there are no more.
        seed: Seed of the draw.

    Returns:
        Their numbers.
    """
    order = np.random.default_rng(seed).permutation(len(differing))
    first = np.argsort(~differing[order], kind="stable")[:count]
    return [int(row) for row in order[first]]


def read_pictures(
    group: Group, rows: Sequence[int], data_dir: Path
) -> dict[str, bytes]:
    """Reads patches of a store and makes pictures of them.

    Args:
        group: The models, whose patches and labels the store must have.
        rows: Numbers of the patches.
        data_dir: The data directory.

    Returns:
        Patch id → PNG in natural colours, 120 × 120 pixels; see `rgb.STRETCH`. None if
        no model takes a store of such bands.

    Raises:
        ResultError: If a patch is not there or has other labels.
        BigEarthNetError: If the store is missing or damaged.
    """
    result = group.result
    config = _find_config(group)
    if config is None:
        return {}
    stores = open_random_access(data_dir, config)
    wanted = {result.scores.patch_ids[row]: result.scores.y_true[row] for row in rows}
    pictures: dict[str, bytes] = {}
    reader, ids, _ = open_rows(stores, result.subject.split)
    places = [place for place, patch in enumerate(ids) if patch in wanted]
    stored = stores.config.release.label_sets[0]
    batch = reader.gather(places, [stored.vector, *_BANDS])
    target = result.subject.nomenclature
    found = map_vectors(batch[stored.vector], stored.nomenclature, target)
    for number, place in enumerate(places):
        _check_labels(ids[place], wanted[ids[place]], found[number], data_dir)
        bands = {band: batch[band][number] for band in _BANDS}
        pictures[ids[place]] = encode_png(make_picture(bands, _KIND))
    missing = sorted(set(wanted) - set(pictures))
    if missing:
        raise ResultError(
            f"{data_dir} has no patch {missing[0]} in split {result.subject.split}: "
            "expected the store that was evaluated."
        )
    return pictures


def _find_config(group: Group) -> str | None:
    """Returns one of the configurations evaluated that has natural colours."""
    for name in dict.fromkeys(entry.subject.config for entry in group.entries):
        config = get_config(name, RELEASES)
        stored = [band.name for g in config.groups for band in g.bands]
        if set(_BANDS) <= set(stored):
            return name
    return None


def _check_labels(
    patch: str, expected: npt.NDArray[Any], found: npt.NDArray[Any], data_dir: Path
) -> None:
    # Synthetic patches have the ids of real ones.
    if not np.array_equal(expected, found):
        raise ResultError(
            f"{data_dir}: {patch} has other labels than in the evaluation: expected "
            "the store that was evaluated."
        )


def _make_card(group: Group, row: int, pictures: Mapping[str, bytes]) -> Card:
    result = group.result
    labels, truth = result.subject.nomenclature.labels, result.scores.y_true[row]
    patch = result.scores.patch_ids[row]
    true = "; ".join(labels[i] for i in np.flatnonzero(truth)) or "none"
    lines: list[tuple[str, str | tuple[Answer, ...]]] = [("Labels", true)]
    lines += [
        (_title(entry), _describe(labels, truth, entry.predicted[row]))
        for entry in group.entries
    ]
    return Card(patch, pictures.get(patch), tuple(lines))


def _title(entry: Entry) -> str:
    seed = f", seed {entry.seeds[0]}" if len(entry.seeds) > 1 else ""
    mark = ", random weights" if entry.subject.has_random_weights else ""
    return f"{entry.name}{seed}{mark}"


def _describe(
    labels: Sequence[str],
    truth: npt.NDArray[np.uint8],
    predicted: npt.NDArray[np.uint8],
) -> str | tuple[Answer, ...]:
    """Lists the labels predicted rightly, wrongly, and those missed."""
    right, wrong, missed = (
        "; ".join(labels[int(i)] for i in np.flatnonzero(chosen))
        for chosen in (truth & predicted, predicted & ~truth, truth & ~predicted)
    )
    answers = (
        Answer("right", right),
        Answer("wrong", wrong),
        Answer("missed", missed and f"missed: {missed}"),
    )
    return tuple(a for a in answers if a.text) or "nothing, rightly"
