"""Builds from a bucket into a bucket, and what is expected of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bigearthnet.engine.engines import Engine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.util.remote import parse_url
from builder.build import build

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

S2 = get_config("s2", RELEASES)
FORMATS = ("tfrecord", "parquet", "arrow")
OPTIONS = BuildOptions(include_excluded=True, quiet=True, workers=1)
# What says when and of what it was made.
OTHER = ("provenance.json", "README.md")


class Meddling:
    """Does something before the tasks of a stage are run."""

    def __init__(self, stage: type, meddle: Callable[[], object]) -> None:
        self._stage, self._meddle = stage, meddle

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields the results, one after another."""
        if isinstance(values[0][1], self._stage):
            self._meddle()
        return map(task, values)


def run(
    engine: Engine | None = None,
    options: BuildOptions = OPTIONS,
    *,
    restart: bool = False,
    formats: Sequence[str] = ("arrow",),
) -> None:
    """Builds what lies in the bucket, into the bucket."""
    source, data_dir = (parse_url(f"s3://bucket/{name}") for name in ("source", "data"))
    given = {"formats": formats, "engine": engine, "restart": restart}
    build(source, data_dir, S2, options, **given)  # type: ignore[arg-type]


def check(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Compares what was made with what one machine makes of the same formats."""
    folders = {path.split("/")[0] for path in found}
    expected = {p: c for p, c in expected.items() if p.split("/")[0] in folders}
    assert "patches.parquet" in found
    assert found.keys() == expected.keys()
    for path, content in expected.items():
        if not path.endswith(OTHER):
            assert found[path] == content, path
