"""Weights and pictures that follow from their names; tests/data/README.md says how."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bigearthnet.release.bands import GROUPS

Array = npt.NDArray[Any]
DATA = Path(__file__).parents[2] / "data"

# G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


@pytest.fixture(scope="session")
def golden() -> dict[str, Array]:
    """What TF-Slim's graph gives: name → array."""
    with np.load(DATA / "inception_v2_golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def slim_variables() -> list[dict[str, Any]]:
    """Name, shape and checksum of TF-Slim's variables, the classifier's included."""
    rows: list[dict[str, Any]] = json.loads(
        (DATA / "inception_v2_variables.json").read_text(encoding="utf-8")
    )
    return rows


@pytest.fixture(scope="session")
def golden_weights(slim_variables: list[dict[str, Any]]) -> dict[str, Array]:
    """TF-Slim's name → the array with which the figures were computed, float32."""
    return {
        row["name"]: make_weight(row["name"], tuple(row["shape"]))
        for row in slim_variables
    }


@pytest.fixture(scope="session")
def make_pictures() -> Callable[[int], Array]:
    """The function from a size to the two pictures, (2, y, x, channel) uint8."""
    return draw_pictures


@pytest.fixture(scope="session")
def draw_weight() -> Callable[[str, tuple[int, ...]], Array]:
    """The function from name and shape of a variable to its array."""
    return make_weight


@pytest.fixture(scope="session")
def patches() -> dict[str, Array]:
    """Two patches: group → (2, band, y, x) uint16."""
    return {
        group.name: (
            draw(f"patches/{group.name}", (2, *group.shape)) >> np.uint64(52)
        ).astype(np.uint16)
        for group in GROUPS
    }


def draw(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    """The first numbers of the SplitMix64 sequence that a name seeds."""
    count = int(np.prod(shape))
    state = np.arange(1, count + 1, dtype=np.uint64) * _STEP
    state += np.uint64(zlib.crc32(name.encode()))
    for shift, factor in _MIXERS:
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
    return state.reshape(shape)


def make_weight(name: str, shape: tuple[int, ...]) -> Array:
    """The array of a variable: uniform, within bounds that its kind sets."""
    kind = name.rpartition("/")[2]
    lowest, highest = {
        "beta": (-0.1, 0.4),
        "bias": (-0.1, 0.4),
        "biases": (-0.1, 0.4),
        "moving_mean": (-0.2, 0.2),
        "moving_variance": (0.5, 1.5),
    }.get(kind, (-1.0, 1.0))
    values = (draw(name, shape) >> np.uint64(40)) / 2.0**24
    values = (highest - lowest) * values + lowest
    if kind.endswith(("weights", "kernel")):
        seen = shape[:2] if kind == "depthwise_weights" else shape[:-1]
        values *= np.sqrt(6 / np.prod(seen))
    return values.astype(np.float32)


def draw_pictures(size: int) -> Array:
    """One picture of 8 × 8 blocks and one of single pixels, (2, y, x, channel)."""
    blocks = draw(f"images/{size}/blocks", (size // 8, size // 8, 3))
    noise = draw(f"images/{size}/noise", (size, size, 3))
    pictures = np.stack([np.kron(blocks, np.ones((8, 8, 1), np.uint64)), noise])
    return (pictures >> np.uint64(56)).astype(np.uint8)
