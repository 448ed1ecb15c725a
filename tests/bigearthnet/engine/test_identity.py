from __future__ import annotations

import dataclasses
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import identity
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ArchiveError
from bigearthnet.release import RELEASES, V1
from bigearthnet.schema.configs import Config, get_config

S2 = get_config("s2", RELEASES)

OPTIONS = BuildOptions(workers=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that is taken for an archive."""
    path = tmp_path / "archive.tar"
    path.write_bytes(b"an archive")
    return path


def identify(source: Path, **changes: Any) -> dict[str, Any]:
    """Identifies a build, of which some things may differ."""
    known = {"config": S2, "formats": ["tfrecord"], "options": OPTIONS, **changes}
    sources = JobSource(known["config"].archives[0], source)
    return identify_build(
        Job(known["config"], (sources,), tuple(known["formats"]), known["options"])
    )


def of_release(**changes: Any) -> Config:
    """The configuration of a release that differs from the first."""
    return dataclasses.replace(S2, release=dataclasses.replace(V1, **changes))


def differing(source: Path, **changes: Any) -> set[str]:
    """Names of what differs from an unchanged build of the same source."""
    one, other = identify(source), identify(source, **changes)
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


def test_the_same_build_is_the_same(source: Path) -> None:
    """An identity is JSON that is equal whenever it is asked for."""
    found = identify(source, formats=["parquet", "arrow"])

    assert found == identify(source, formats=["arrow", "parquet"])
    assert found == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"config": get_config("s2-random", RELEASES)}, {"config"}),
        ({"formats": ["tfrecord", "arrow"]}, {"formats"}),
        ({"config": of_release(name="v0")}, {"release"}),
        (
            {"options": dataclasses.replace(OPTIONS, include_excluded=True)},
            {"include_excluded"},
        ),
        ({"options": dataclasses.replace(OPTIONS, limit=3)}, {"limit"}),
        (
            {"options": dataclasses.replace(OPTIONS, countries=("Finland",))},
            {"countries"},
        ),
    ],
)
def test_what_the_bytes_depend_on_is_told_apart(
    changes: dict[str, Any], expected: set[str], source: Path
) -> None:
    """Each choice that changes a shard changes the identity, and says which it was."""
    assert expected == differing(source, **changes)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 5},
        {"max_bad": 3},
        {"quiet": True},
    ],
)
def test_what_the_bytes_do_not_depend_on_may_change(
    options: dict[str, Any], source: Path
) -> None:
    """Workers and what becomes of bad patches may differ between runs of a build."""
    changed = dataclasses.replace(OPTIONS, **options)

    assert set() == differing(source, options=changed)


def test_the_order_of_countries_is_the_same_build(source: Path) -> None:
    """Countries are a set."""
    one, other = [
        identify(source, options=dataclasses.replace(OPTIONS, countries=names))
        for names in (("Finland", "Serbia"), ("Serbia", "Finland"))
    ]

    assert one == other


@pytest.mark.parametrize("package", ["bigearthnet", "numpy", "pyarrow", "pillow"])
def test_another_version_of_a_package_is_another_build(
    package: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages whose version shards may depend on are part of the identity."""
    before = identify(source)
    version = metadata.version
    monkeypatch.setattr(
        "importlib.metadata.version",
        lambda name: "9.9" if name == package else version(name),
    )
    after = identify(source)

    assert {"packages"} == {name for name in before if before[name] != after[name]}
    assert version(package) == before["packages"][package]
    assert {**before["packages"], package: "9.9"} == after["packages"]


def test_a_package_that_is_not_installed_has_no_version(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extra that nobody needed is not asked for."""

    def fail(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", fail)

    assert dict.fromkeys(identity._PACKAGES) == identify(source)["packages"]


def test_another_version_of_the_data_is_another_build(source: Path) -> None:
    """Shards of two versions of the data do not get mixed."""
    config = of_release(data_version="9.0.0")

    assert {**identify(source), "version": "9.0.0"} == identify(source, config=config)


def test_another_source_is_another_build(source: Path) -> None:
    """The source is known by what it is, and not by where it lies."""
    before = identify(source)
    moved = source.rename(source.with_name("other.tar"))

    assert before == identify(moved)

    os.utime(moved, ns=(1, 1))

    assert {"sources"} == {n for n, v in identify(moved).items() if before[n] != v}


def test_without_a_source_there_is_no_build(tmp_path: Path) -> None:
    """A path at which nothing is gives an error that shows it."""
    with pytest.raises(ArchiveError, match=f"no source at {tmp_path / 'x'}"):
        identify(tmp_path / "x")
