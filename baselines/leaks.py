"""Patches that a model was trained on, found again under another release or split.

v2.0 took the patches of v1.0, and drew its splits anew: 60,886 of the 119,825 patches
of its test split are in the official train split of v1.0, under other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from baselines.splits import split_names
from bigearthnet.release import RELEASES, Release
from bigearthnet.release.patch_ids import NAME_FIELDS
from bigearthnet.release.splits import get_split, join_ids, read_table
from bigearthnet.schema.configs import get_config

if TYPE_CHECKING:
    import pyarrow as pa

    from baselines.workdir import Run

_V1_IDS = NAME_FIELDS["s2v1_name"]


class Training(NamedTuple):
    """What a model was trained on.

    Attributes:
        config: Name of the configuration.
        split: Splits of it, joined by +.
    """

    config: str
    split: str


def list_trainings(run: Run) -> Iterator[Training]:
    """Yields what a run was trained on, then what the weights were that it began with.

    Whole splits, though a run may have taken a part of their patches.
    """
    yield Training(run.settings.config, run.settings.train_split)
    initial: Mapping[str, Any] | None = run.initial_weights
    while initial:
        if initial["config"] is not None:
            yield Training(initial["config"], initial["train_split"])
        initial = initial.get("initial_weights")


def share_splits(one: str, other: str) -> bool:
    """Whether the splits of two configurations hold the same patches."""
    a, b = get_config(one, RELEASES), get_config(other, RELEASES)
    return (a.release, a.choice.scheme) == (b.release, b.choice.scheme)


def join_train_splits(run: Run) -> str:
    """Returns the splits that a model has seen, those of its first weights included.

    Args:
        run: Its run; splits of other releases and schemes than its own are left out,
            whose patches `count_seen_elsewhere` counts.
    """
    config = run.settings.config
    splits = [t.split for t in list_trainings(run) if share_splits(t.config, config)]
    return "+".join(dict.fromkeys("+".join(splits).split("+")))


def count_seen_elsewhere(
    trainings: Iterable[Training], config: str, patch_ids: Sequence[str]
) -> int:
    """Counts patches that a model was trained on under another release or scheme.

    Args:
        trainings: What it was trained on; splits of the same release and scheme as
            those of the patches are left out, since their names tell.
        config: Name of the configuration of the patches.
        patch_ids: Their ids.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # Not by `crosswalk`, which lists patches of v2.0 alone: schemes of v1.0 share more.
    others = [t for t in trainings if not share_splits(t.config, config)]
    seen = pa.array([], pa.string())
    for training in others:
        chosen = get_config(training.config, RELEASES)
        release, scheme = chosen.release, chosen.choice.scheme
        known = split_names(training.split, release.splits)
        numbers = [release.splits.index(name) for name in known]
        taken = np.isin(get_split(read_table(release), scheme), numbers)
        seen = pa.concat_arrays([seen, _name_in_v1(release).filter(pa.array(taken))])
    if not len(seen):
        return 0
    release = get_config(config, RELEASES).release
    ids = join_ids(read_table(release), release.ids)
    mine = pc.is_in(ids, value_set=pa.array(patch_ids, pa.string()))
    names = _name_in_v1(release).filter(mine)
    return pc.sum(pc.is_in(names, value_set=seen)).as_py() or 0


def _name_in_v1(release: Release) -> pa.Array:
    """Returns the names that patches have in v1.0, in the order of the table."""
    table = read_table(release)
    has_both = _V1_IDS.prefix_column in table.schema.names
    return join_ids(table, _V1_IDS if has_both else release.ids)
