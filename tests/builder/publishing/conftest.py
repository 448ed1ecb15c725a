"""Hubs, stores and what people see, for the tests of publishing."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.errors import PublishError
from bigearthnet.release import RELEASES
from bigearthnet.store import read_store
from builder.publishing import hub as publishing
from builder.publishing.files import list_files
from builder.publishing.hub import HubPublisher, HubTarget
from tests.hub import Hub

REPO = "org/bigearthnet"
MakePublisher = Callable[..., HubPublisher]


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; the seconds that they would have waited."""
    waited: list[float] = []
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_BASE_DELAY", "1ms")
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def make_publisher(monkeypatch: pytest.MonkeyPatch) -> MakePublisher:
    """Returns what publishes the Parquet store of a data directory to a hub."""
    monkeypatch.setattr(publishing, "_TOGETHER", 1)  # one order of requests

    def make(hub: Hub, data_dir: Path, **options: object) -> HubPublisher:
        store = read_store(data_dir / "huggingface", RELEASES)
        target = HubTarget(REPO, hub.endpoint, **options)  # type: ignore[arg-type]
        return HubPublisher(target, [store], list_files(store))

    return make


@pytest.fixture
def said(
    hub: Hub,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[[Callable[[], object]], str]:
    """Runs something that fails; returns its message, once no secret was found.

    Not in the error, its traceback, the output, or any log, however verbose.
    """
    caplog.set_level(logging.DEBUG)

    def run(action: Callable[[], object]) -> str:
        with pytest.raises(PublishError) as caught:
            action()
        error = "".join(traceback.format_exception(caught.value))
        out, err = capfd.readouterr()
        for text in (error, out, err, caplog.text):
            assert hub.token not in text
            assert hub.signature not in text
        return str(caught.value)

    return run
