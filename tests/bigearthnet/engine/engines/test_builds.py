"""Every engine builds the bytes of a local build, of every kind of source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from bigearthnet.engine import spread
from bigearthnet.engine.engines import Engine
from tests.bigearthnet.engine.engines.cases import (
    CONFIGS,
    KINDS,
    SIZE,
    FindCase,
    read_stores,
)
from tests.bigearthnet.engine.engines.clusters import ENGINES, FindEngine


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", CONFIGS)
def test_an_engine_builds_the_same_bytes(
    engine: Engine,
    config: str,
    kind: str,
    find_case: FindCase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts and shards of any source, made by workers, are those of one machine."""
    monkeypatch.setattr(spread, "list_parts", partial(spread.list_parts, size=SIZE))
    case = find_case(config, kind)
    case.build(tmp_path, engine)
    assert read_stores(tmp_path) == case.expected


@pytest.mark.parametrize("name", ENGINES)
def test_the_command_builds_the_same_bytes(
    name: str, find_engine: FindEngine, find_case: FindCase, tmp_path: Path
) -> None:
    """Real patches, built as a user does, have the bytes of a local build."""
    case, (text, options) = find_case("s2", "tar"), find_engine(name)
    done = case.run(tmp_path, f"--engine={text}", "--", *options)
    assert done.returncode == 0, done.stderr
    assert read_stores(tmp_path) == case.expected
