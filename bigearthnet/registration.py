"""Makes `tfds.load("bigearthnet")` find our builder instead of TFDS's built-in.

Our provider comes before those of TFDS, so that it is found in any order of
imports, and the built-in can still be imported beside it.
"""

from __future__ import annotations

import warnings
from typing import Any

NAME = "bigearthnet"


class BuilderProvider:
    """Provides our builder; implements `tfds.core.DatasetBuilderProvider`."""

    def has_dataset(self, name: str) -> bool:
        """Whether a data set of that name is ours."""
        return name == NAME

    def get_builder_cls(self, name: str) -> Any:
        """Returns our builder class, imported when it is first asked for."""
        from bigearthnet.bigearthnet_dataset_builder import Builder

        return Builder


def register() -> bool:
    """Registers the builder if TFDS is installed.

    Importing TFDS does not import TensorFlow.

    Returns:
        Whether TFDS is installed, in a version that can be told of builders.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        return False
    if not hasattr(tfds.core, "add_dataset_builder_provider"):
        warnings.warn(
            "tensorflow-datasets is older than 4.9.7: tfds.load('bigearthnet') is its "
            "own, not this package's. Upgrade it.",
            stacklevel=2,
        )
        return False
    tfds.core.add_dataset_builder_provider(BuilderProvider(), index=0)
    return True


# Once per process: a reload of the package does not run this module again.
IS_REGISTERED = register()
