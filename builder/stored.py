"""Reads stored examples back, for checks: with TensorFlow's parser, not our encoder.

An example is read into the form of `bigearthnet.examples`, so that it can be compared
with what a source says, field by field.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.config import get_config
from bigearthnet.encoding import tfrecord
from bigearthnet.encoding.manifest import MANIFEST, STATISTICS
from bigearthnet.errors import OptionError, ShardError
from bigearthnet.examples import Example, Value
from bigearthnet.features import Feature


@dataclass(frozen=True)
class Store:
    """One finished TFRecord directory.

    Attributes:
        folder: DATA_DIR/bigearthnet/<config>/<version>.
        manifest: Content of its manifest.json.
        statistics: Content of its statistics.json.
    """

    folder: Path
    manifest: Mapping[str, Any]
    statistics: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the configuration."""
        return str(self.manifest["config"])


def find_stores(data_dir: Path) -> list[Store]:
    """Finds every finished TFRecord directory of a data directory.

    Raises:
        ShardError: If there is none, or its JSON files cannot be read.
    """
    manifests = sorted(data_dir.glob(f"bigearthnet/*/*/{MANIFEST}"))
    if not manifests:
        raise ShardError(
            f"nothing to verify: {data_dir}/bigearthnet holds no {MANIFEST}. Build "
            "first: python -m builder.build --help."
        )
    stores = []
    for path in manifests:
        manifest = _read_json(path)
        _check_manifest(manifest, path)
        statistics = _read_json(path.with_name(STATISTICS))
        stores.append(Store(path.parent, manifest, statistics))
    return stores


def _check_manifest(manifest: Mapping[str, Any], path: Path) -> None:
    try:
        get_config(manifest["config"])
        files = [(f["name"], f["split"], f["sha256"]) for f in manifest["files"]]
        numbers = [f[key] for f in manifest["files"] for key in ("rows", "bytes")]
        numbers += [split["rows"] for split in manifest["splits"].values()]
        texts = [text for file in files for text in file]
        texts.append(manifest["patches"]["sha256"])
        good = all(isinstance(n, int) for n in numbers) and all(
            isinstance(text, str) and "/" not in text for text in texts
        )
    except (KeyError, TypeError, AttributeError, OptionError):
        good = False
    if not good:
        raise ShardError(f"{path} is damaged: not a manifest of ours. Build again.")


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise ShardError(f"{path} cannot be read: {cause}. Build again.") from None
    if not isinstance(content, dict):
        raise ShardError(f"{path}: expected a JSON object. Build again.")
    return content


def read_examples(
    path: Path, schema: tuple[Feature, ...]
) -> Iterator[tuple[int, Example]]:
    """Yields offset and content of every record of a shard.

    Raises:
        ShardError: If the file is damaged, or an example is not of the schema.
    """
    for offset, data in tfrecord.read_records(path):
        yield offset, decode_example(data, schema, f"{path}, byte {offset}")


def decode_example(data: bytes, schema: tuple[Feature, ...], where: str) -> Example:
    """Decodes a serialized tf.train.Example.

    Args:
        data: The serialized example.
        schema: Its features.
        where: Where it stands, for error messages.

    Returns:
        Feature name → value; an image as pixels, shape (y, x, channel), uint8.

    Raises:
        ShardError: If it is not an example of the schema.
        OptionError: If TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
        from google.protobuf.message import DecodeError
    except ImportError as cause:
        raise OptionError(
            f"checking records needs TensorFlow ({cause}): install the extra [tfds]."
        ) from None

    try:
        stored = tf.train.Example.FromString(data).features.feature
        if stored.keys() != {feature.name for feature in schema}:
            raise ValueError(f"features {sorted(stored)}")
        return {f.name: _decode_value(f, stored[f.name]) for f in schema}
    except (DecodeError, ValueError) as cause:
        raise ShardError(f"{where}: not an example of the schema: {cause}.") from None


def _decode_value(feature: Feature, stored: Any) -> Value:
    if feature.kind == "classes":
        return tuple(stored.int64_list.value)
    if feature.kind in ("integer", "class"):
        (number,) = stored.int64_list.value
        return int(number)
    if feature.kind == "bool":
        (number,) = stored.int64_list.value
        return bool(number)
    (content,) = stored.bytes_list.value
    if feature.kind == "text":
        return str(content, "utf-8")
    if feature.kind == "image":
        return decode_png(content)
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    tensor: npt.NDArray[np.uint16] = np.frombuffer(content, dtype)
    return tensor.reshape(feature.shape)


def decode_png(content: bytes) -> npt.NDArray[np.uint8]:
    """Returns the pixels of a PNG, shape (y, x, channel), uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)))


def compare_examples(expected: Example, stored: Example) -> Iterator[str]:
    """Yields one line for each feature that differs.

    Args:
        expected: What the source says; an image may be PNG bytes.
        stored: What the store holds, as `decode_example` returns it.
    """
    for name, value in expected.items():
        found = stored[name]
        if isinstance(value, bytes):
            value = decode_png(value)
        if not isinstance(value, np.ndarray):
            if value != found:
                yield f"{name}: expected {value!r}, stored {found!r}"
            continue
        assert isinstance(found, np.ndarray)
        differs = np.argwhere(value != found)
        if len(differs):
            first = tuple(int(i) for i in differs[0])
            yield (
                f"{name}: {len(differs)} of {value.size} values differ, the first at "
                f"{first}: expected {value[first]}, stored {found[first]}"
            )
