"""Loads models that `baselines.publish` put on a hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from baselines.exported import CHECKSUMS, LABELS, MODEL, check_files
from bigearthnet.errors import DownloadError
from bigearthnet.util import command
from bigearthnet.util.hub_client import HubError, call

if TYPE_CHECKING:
    import keras


class HubModel(NamedTuple):
    """A model from a hub.

    Attributes:
        model: From a dict of groups of bands, shape (batch, band, y, x), as they are
            stored, to probabilities, shape (batch, class), float32.
        labels: Names of the classes, in the order of the probabilities.
    """

    model: keras.Model
    labels: tuple[str, ...]


def from_hub(
    repo: str, *, revision: str = "main", endpoint: str | None = None
) -> HubModel:
    """Loads a model from a hub, after comparing its files with their checksums.

    Args:
        repo: `ORG/NAME`.
        revision: Branch, tag or commit; a commit is the same model for ever.
        endpoint: Address of the hub; None for the client's own.

    Returns:
        The model, and the names of its classes.

    Raises:
        OptionError: If a package is not installed (extras [hub] and [baselines]).
        DownloadError: If the hub has no such model, or cannot be reached.
        WeightsError: If a file is missing, or is not what was exported.
    """
    command.check_packages("hub", "huggingface_hub")
    command.check_packages("baselines", "tensorflow", "keras")
    from huggingface_hub import snapshot_download

    try:
        with_checksums = [CHECKSUMS, LABELS, MODEL]
        folder = call(
            repo,
            lambda: snapshot_download(
                repo,
                revision=revision,
                endpoint=endpoint,
                allow_patterns=with_checksums,
            ),
        )
    except HubError as problem:
        raise DownloadError(str(problem)) from None
    check_files(Path(folder), LABELS, MODEL)
    import keras

    model = keras.models.load_model(Path(folder) / MODEL, compile=False, safe_mode=True)
    labels = json.loads((Path(folder) / LABELS).read_text(encoding="utf-8"))["labels"]
    return HubModel(model, tuple(labels))
