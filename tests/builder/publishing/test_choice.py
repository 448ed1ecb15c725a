"""The stores that are published together."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store import Store
from builder.publishing import choice
from builder.publishing.choice import choose_stores


def make_store(config: str, form: str) -> Store:
    """A store without files."""
    return Store(get_config(config, RELEASES), {"format": form}, {}, Path(config))


@pytest.mark.parametrize(
    ("found", "config", "chosen"),
    [
        (["v2-s2", "v2-s1"], None, ["v2-s2", "v2-s1"]),
        (["v2-s2", "v2-s1"], "v2-s1s2", ["v2-s2", "v2-s1"]),
        (["v2-s2", "v2-s1"], "v2-s1", ["v2-s1"]),
        (["s2", "s1"], "s1", ["s1"]),
        (["s2", "s1"], None, "stores of s1, s2: choose one"),
        (["s2", "s1"], "s1s2", "stores of s1, s2: choose one"),
        (["s2", "s2-random"], None, "stores of s2, s2-random: choose one"),
        (["s2", "v2-s2"], None, "stores of s2, v2-s2: choose one"),
        (["v2-s2"], "v2-s1s2", "no parquet store of v2-s1: build it"),
        (["s2"], "s2-rgb", "no parquet store of s2-rgb: build it"),
    ],
)
def test_stores_that_have_a_place_each_are_published_together(
    found: list[str],
    config: str | None,
    chosen: list[str] | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts have folders of their own; whatever else there is must be chosen."""
    stores = [make_store(name, "parquet") for name in found]
    monkeypatch.setattr(choice, "find_stores", lambda *_: stores)
    if isinstance(chosen, list):
        names = choose_stores(Path(), ["parquet"], config)
        assert chosen == [store.config.name for store in names]
    else:
        with pytest.raises(OptionError, match=chosen):
            choose_stores(Path(), ["parquet"], config)
