"""Chooses the weights of Inception-v2: TF-Slim's from a file, or random ones if asked.

Random weights are never a stand-in: they are set where they are asked for by name, and
what is recorded says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from baselines.errors import WeightsError
from baselines.models.inception_v2 import initialize_random
from baselines.models.slim_checkpoint import hash_checkpoint, load_slim_checkpoint

if TYPE_CHECKING:
    import keras

# What asks for random weights instead of a file's.
RANDOM = "random"

# {"source": "tf-slim", "sha256": …} or {"source": "random", "seed": …}.
WeightsRecord: TypeAlias = "dict[str, str | int]"


def describe_weights(source: str, path: Path | None, seed: int) -> WeightsRecord:
    """Identifies weights, for settings.json and for the key of cached features.

    Args:
        source: `pretrained` or `random`.
        path: Where the checkpoint of TF-Slim is, for `pretrained`.
        seed: Seed of random weights.

    Returns:
        For pretrained weights, {"source": "tf-slim", "sha256": checksum of their
        checkpoint}; for random ones, {"source": "random", "seed": the seed}.

    Raises:
        WeightsError: If pretrained weights are asked for, and are not there.
    """
    if source == RANDOM:
        return {"source": RANDOM, "seed": seed}
    return {"source": "tf-slim", "sha256": hash_checkpoint(_check_path(path))}


def load_weights(model: keras.Model, source: str, path: Path | None, seed: int) -> None:
    """Sets the weights of a model.

    Args:
        model: What `inception_v2.build_inception_v2` returned.
        source: See `describe_weights`, as for the others.
        path: Where the checkpoint is.
        seed: Seed of random weights.

    Raises:
        WeightsError: If `slim_checkpoint` refuses them, or they are not there.
    """
    if source == RANDOM:
        initialize_random(model, seed)
    else:
        load_slim_checkpoint(model, _check_path(path))


def _check_path(path: Path | None) -> Path:
    if path is None:
        raise WeightsError(
            "Inception-v2 needs its ImageNet weights, and none are given. Fetch them "
            "(python -m baselines.fetch_weights --output=DIR) and say where they are "
            "(--weights_path=DIR/inception_v2.ckpt), or ask for random ones, which can "
            f"only show that everything runs (--weights={RANDOM})."
        )
    return path
