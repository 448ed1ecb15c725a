"""What the TFDS builder tells TensorFlow Datasets, and what it refuses to be told."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds

from bigearthnet.errors import OptionError
from bigearthnet.registration import NAME
from bigearthnet.release.bands import IMAGE_SIZE, RGB, split
from bigearthnet.schema import rgb
from bigearthnet.schema.configs import Config
from bigearthnet.store.result import ShardInfo

if TYPE_CHECKING:
    import tensorflow as tf


def refuse_options(
    file_format: str, download_config: tfds.download.DownloadConfig
) -> None:
    """Refuses options that the engine cannot fulfil, instead of ignoring them.

    Raises:
        OptionError: If an option asks for anything but the published shards.
    """
    if file_format != "tfrecord":
        raise OptionError(
            f"file_format={file_format!r} cannot be built: expected tfrecord. TFDS's "
            "Parquet writer drops records, and its other formats are not readable as "
            "tf.data. To read patches by number, as tfds.data_source does, build "
            "tfrecord and take bigearthnet.open_reader: len(reader), reader[3]."
        )
    refused = {
        "max_examples_per_split": "build a part with python -m builder.build --limit",
        "num_shards": "shards depend on the number of patches alone",
        "min_shard_size": "shards depend on the number of patches alone",
        "max_shard_size": "shards depend on the number of patches alone",
        "ignore_duplicates": "a patch that comes twice is an error",
        "beam_runner": "the build needs no Beam",
        "beam_options": "the build needs no Beam",
        "nondeterministic_order": "the order is always the same",
        "compute_stats": "statistics.json holds the exact ones of the train split",
        "register_checksums": "the checksum of the release is part of this package",
        "verify_ssl": "certificates are always checked; SSL_CERT_FILE names others",
    }
    defaults = {f.name: f.default for f in dataclasses.fields(download_config)}
    for name, reason in refused.items():
        value = getattr(download_config, name, None)
        if value != defaults.get(name):
            raise OptionError(f"{name}={value!r} is refused: {reason}.")


# The module that has the list of what draws examples.
_SHOW_EXAMPLES = "core.visualization.show_examples"

# Configurations of TFDS's built-in `bigearthnet` → what takes their place.
_SUCCESSORS = {
    "rgb": "s2-rgb, 8-bit pictures stretched otherwise, with the official splits",
    "all": "s2, all 12 bands as uint16 in three features, with the official splits",
}


def refuse_old_config(name: object) -> None:
    """Names what takes the place of a configuration of TFDS's built-in.

    Raises:
        OptionError: If the name is that of one.
    """
    if isinstance(name, str) and name in _SUCCESSORS:
        raise OptionError(
            f"bigearthnet/{name} is a config of TFDS's built-in builder, which this "
            f"package replaces. Load bigearthnet/{_SUCCESSORS[name]}; or leave out "
            "`import bigearthnet`."
        )


def refuse_supervised(config: Config) -> None:
    """Says what to load in place of pairs of a picture and labels.

    Raises:
        OptionError: If examples of a configuration have no such pair.
    """
    if config.supervised_keys is None:
        raise OptionError(
            f"as_supervised=True: bigearthnet/{config.name} has bands of three sizes, "
            "which are no single image. Pairs of images and labels: "
            'bigearthnet.load(split, data_dir, bands="all", labels="ben19"); or the '
            "8-bit pictures of bigearthnet/s2-rgb."
        )


class BandsVisualizer(tfds.visualization.Visualizer):  # type: ignore[misc]
    """Shows red, green and blue of patches in `tfds.show_examples`."""

    def match(self, ds_info: tfds.core.DatasetInfo) -> bool:
        """Whether the examples have our bands, and no picture."""
        return ds_info.name == NAME and {"bands_10m"} <= set(ds_info.features)

    def show(
        self,
        ds: tf.data.Dataset,
        ds_info: tfds.core.DatasetInfo,
        rows: int = 3,
        cols: int = 3,
        label_key: str | None = None,
        **options: Any,
    ) -> Any:
        """Draws some examples; see `tfds.visualization.ImageGridVisualizer.show`."""
        import tensorflow as tf

        examples = list(tfds.as_numpy(ds.take(rows * cols)))
        pixels = [split({"bands_10m": example["bands_10m"]}) for example in examples]
        shown = {"image": [rgb.to_rgb([p[band] for band in RGB]) for p in pixels]}
        size = (IMAGE_SIZE, IMAGE_SIZE, len(RGB))
        features = {"image": tfds.features.Image(shape=size)}
        if label_key is not None:
            shown[label_key] = [example[label_key] for example in examples]
            features[label_key] = ds_info.features[label_key]
        return tfds.visualization.ImageGridVisualizer().show(
            tf.data.Dataset.from_tensor_slices(shown),
            SimpleNamespace(features=tfds.features.FeaturesDict(features)),
            rows=rows,
            cols=cols,
            label_key=label_key,
            **options,
        )


def register_visualizer() -> None:
    """Lets `tfds.show_examples` draw our bands, where TFDS can be told so.

    Its list is private; without it, the error is its own.
    """
    with contextlib.suppress(ImportError, AttributeError):
        # By name: the package has a function of the same name.
        module = importlib.import_module(f"{tfds.__name__}.{_SHOW_EXAMPLES}")
        module._ALL_VISUALIZERS.insert(0, BandsVisualizer())


def set_splits(
    info: tfds.core.DatasetInfo, data_dir: Path, shards: Iterable[ShardInfo]
) -> None:
    """Tells a DatasetInfo which shards a folder holds.

    Args:
        info: The info of the builder.
        data_dir: The folder of the shards.
        shards: The shards, by split and number; splits without any are left out.
    """
    by_split: dict[str, list[ShardInfo]] = {}
    for shard in shards:
        by_split.setdefault(shard.split, []).append(shard)
    info.set_splits(
        tfds.core.SplitDict(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.num_patches for shard in members],
                num_bytes=sum(shard.files["tfrecord"].data_nbytes for shard in members),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=data_dir,
                    dataset_name=info.name,
                    split=split,
                    filetype_suffix="tfrecord",
                ),
            )
            for split, members in by_split.items()
        )
    )
