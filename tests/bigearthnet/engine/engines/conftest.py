"""Engines and sources, each made once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bigearthnet.engine.engines import Engine, open_engine
from tests.bigearthnet.engine.engines.cases import Case, FindCase, make_case
from tests.bigearthnet.engine.engines.clusters import ENGINES, FindEngine, start
from tests.conftest import Patches


@pytest.fixture(scope="session")
def find_engine(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FindEngine]:
    """One of `ENGINES` → its name for `--engine`, and its options; started once."""
    with ExitStack() as stack:

        @functools.cache
        def find(name: str) -> tuple[str, list[str]]:
            folder = tmp_path_factory.mktemp("engine")
            return stack.enter_context(start(name, folder))

        yield find


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, find_engine: FindEngine) -> Iterator[Engine]:
    """Each engine, its workers kept for all tests."""
    with open_engine(*find_engine(request.param)) as opened:
        yield opened


@pytest.fixture(scope="session")
def find_case(
    sample_patches: Patches, tmp_path_factory: pytest.TempPathFactory
) -> FindCase:
    """Name of a configuration and kind of its source → a case, which is made once."""

    @functools.cache
    def find(name: str, kind: str) -> Case:
        folder = tmp_path_factory.mktemp("case")
        return make_case(name, kind, folder, sample_patches)

    return find
