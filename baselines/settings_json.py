"""`settings.json`: each field typed and described once; its schema comes of it.

What is unknown is left alone: later versions say more.
"""

from __future__ import annotations

from typing import Any, Required

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from baselines.fields import Count, make_schema_of

_CONFIG = ConfigDict(use_attribute_docstrings=True)


@dataclass(frozen=True, config=_CONFIG)
class Patches:
    """Patches that are trained on, or validated on."""

    split: str
    """Names of the splits, joined by +."""
    patches: Count
    ids_sha256: str
    """Of the sorted patch ids, joined by newlines."""
    synthetic_patches: Count
    """Those of the patches that are made up."""


@dataclass(frozen=True, config=_CONFIG)
class Data:
    """The patches of a run."""

    train: Patches
    validation: Patches | None
    """Null for training without a validation split."""


class Statistics(TypedDict):
    """Of a band, in the unit of its pixels."""

    mean: float
    std: float


class Scaling(TypedDict, total=False):
    """What the model does to stored values."""

    formula: Required[str]
    statistics: dict[str, Statistics]


@dataclass(frozen=True, config=_CONFIG)
class RunFile:
    """What a run is: written by baselines.train into its workdir."""

    settings: dict[str, Any]
    """Every flag that decides the model: name, value."""
    data: Data
    classes: tuple[str, ...]
    """In the order of the logits."""
    bands: tuple[str, ...]
    """In the order of the channels."""
    groups: tuple[str, ...]
    """Stored groups of bands that the model takes."""
    scaling: Scaling
    frozen_weights: dict[str, Any] | None
    """Source and checksum or seed of weights that are not trained; null if all are."""
    initial_weights: dict[str, Any] | None = None
    """Of weights that training started from: source (run or export), sha256 of its
    file, arrays of the model that are new, what they were trained on, and the same of
    weights that they started from; null or missing if all were drawn."""
    packages: dict[str, str] | None = None
    """Versions of packages."""


def make_schema() -> dict[str, Any]:
    """Returns the JSON schema, which schemas/settings.schema.json holds."""
    return make_schema_of(TypeAdapter(RunFile))
