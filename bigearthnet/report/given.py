"""What people hold of a patch, whichever library gave it → bands and labels by name."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BANDS, RGB
from bigearthnet.release.nomenclature import (
    BEN19,
    CLC43,
    CLC_LEVEL1,
    CLC_LEVEL2,
    NOMENCLATURES,
    Nomenclature,
)
from bigearthnet.schema.configs import list_configs
from bigearthnet.schema.features import Feature
from bigearthnet.schema.rgb import decode_image
from bigearthnet.util.options import look_up

_OPTICAL, _RADAR = tuple(band.name for band in BANDS), ("VV", "VH")
# Channels of an image of `load` → their bands, where nobody says them.
_CHANNELS = {3: RGB, 12: _OPTICAL, 2: _RADAR, 14: (*_OPTICAL, *_RADAR)}
# Length of a vector → its classes, in the order of the package.
_LENGTHS = {len(n): n for n in (CLC43, BEN19, CLC_LEVEL2, CLC_LEVEL1)}


@dataclass
class Given:
    """One patch, as far as it is known.

    Attributes:
        bands: Band name → shape (y, x), as stored.
        picture: 8-bit picture in natural colours, shape (y, x, channel); None without.
        labels: Names of its classes; None if nobody says them.
        facts: Other columns, as text: patch id, country and so on.
    """

    bands: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    picture: npt.NDArray[np.uint8] | None = None
    labels: tuple[str, ...] | None = None
    facts: dict[str, str] = field(default_factory=dict)


@functools.cache
def _known_features() -> Mapping[str, Feature]:
    configs = list_configs(RELEASES).values()
    return {f.name: f for c in configs for f in (*c.schema, *c.columns)}


@functools.cache
def _known_bands() -> frozenset[str]:
    return frozenset(band for f in _known_features().values() for band in f.bands)


def take_patch(
    example: Any,
    bands: Sequence[str] | None = None,
    nomenclature: str | None = None,
) -> Given:
    """Finds bands, labels and facts of one patch.

    Args:
        example: A patch of a reader; a row of `datasets`, an example of TFDS, or any
            mapping of our columns or of band names; an image of `load`, of
            `torch_dataset` or of `Reader.images`; or a pair of such and its labels.
        bands: Names of an image's channels; None for what `bands="all"` or `"rgb"`
            gives of so many.
        nomenclature: Name of the classes of a vector of labels; None for the package's
            own order of so many.

    Raises:
        OptionError: If it is not one patch, or channels or classes are unknown.
    """
    pixels, labels = example, None
    if isinstance(example, tuple | list) and len(example) == 2:
        pixels, labels = example
    given = Given()
    if isinstance(pixels, Mapping):
        _take_columns(pixels, given)
    else:
        _take_image(_to_array(pixels), bands, given)
    if labels is not None:
        given.labels = _name_labels(_to_array(labels), nomenclature)
    return given


def _own_features(columns: Mapping[str, Any]) -> Mapping[str, Feature] | None:
    """Returns what a patch of a reader says of its columns; None of other mappings."""
    return getattr(columns, "features", None)


def _to_array(value: Any) -> npt.NDArray[Any]:
    """Returns tensors of TensorFlow and PyTorch, pictures and lists as arrays."""
    if hasattr(value, "numpy"):
        value = value.detach().cpu() if hasattr(value, "detach") else value
        value = value.numpy()
    return np.asarray(value)


def _take_columns(columns: Mapping[str, Any], given: Given) -> None:
    known = _own_features(columns) or _known_features()
    if is_batch(columns):
        raise OptionError(
            "expected one patch, got a batch: pass one of its patches, or call show."
        )
    # Vectors first: in a batch that was padded, ids would be followed by zeros.
    for name in [n for n in known if n in columns and n.startswith("multi_hot_")][:1]:
        given.labels = _name_labels(_to_array(columns[name]), None)
    for name, value in _flatten(columns):
        feature = known.get(name)
        if feature is None:
            if name in _known_bands():
                given.bands[name] = _to_array(value)
        elif feature.bands:
            pixels = _to_array(value)
            pixels = pixels[None] if pixels.ndim == 2 else pixels  # a map as a band
            given.bands |= dict(zip(feature.bands, pixels, strict=True))
        elif feature.kind == "image":
            given.picture = _decode_picture(value)
        elif feature.kind == "classes" and given.labels is None:
            numbers = _to_array(value).astype(int).tolist()
            given.labels = tuple(feature.labels[number] for number in numbers)
        elif feature.kind in ("class", "text", "integer", "bool"):
            given.facts[name] = _to_text(value, feature)


def _flatten(columns: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields columns, fields of a group as `group/field`, as features are named."""
    for name, value in columns.items():
        if isinstance(value, Mapping) and "bytes" not in value:
            yield from ((f"{name}/{inner}", v) for inner, v in value.items())
        else:
            yield name, value


def _decode_picture(value: Any) -> npt.NDArray[np.uint8]:
    if isinstance(value, Mapping):  # of `datasets`, not decoded
        value = value["bytes"]
    return decode_image(value) if isinstance(value, bytes) else _to_array(value)


def _to_text(value: Any, feature: Feature) -> str:
    item = _to_array(value).item()
    if feature.kind == "class" and not isinstance(item, str | bytes):
        return feature.labels[item]
    return item.decode() if isinstance(item, bytes) else str(item)


def _take_image(
    image: npt.NDArray[Any], bands: Sequence[str] | None, given: Given
) -> None:
    if image.ndim != 3 or len(set(image.shape)) != 2:
        raise OptionError(
            "expected a patch: a mapping of columns, or an image of shape (y, x, "
            f"channel) or (channel, y, x), got shape {image.shape}. Of a batch, pass "
            "one image, or call show."
        )
    if image.shape[1] == image.shape[2]:  # of PyTorch
        image = np.moveaxis(image, 0, -1)
    count = image.shape[-1]
    names = _CHANNELS.get(count) if bands is None else tuple(bands)
    if names is None or len(names) != count:
        raise OptionError(
            f"an image of {count} channels: expected their names as bands, one each, "
            f"got {bands!r}."
        )
    if image.dtype == np.uint8:
        given.picture = np.ascontiguousarray(image)
    else:
        given.bands |= {name: image[..., i] for i, name in enumerate(names)}


def _name_labels(vector: npt.NDArray[Any], nomenclature: str | None) -> tuple[str, ...]:
    known: Nomenclature | None = _LENGTHS.get(len(vector) if vector.ndim == 1 else -1)
    if nomenclature is not None:
        known = look_up(NOMENCLATURES, nomenclature, "nomenclature")
    if known is None or vector.shape != (len(known),):
        expected = "43, 19, 15 or 5" if known is None else str(len(known))
        raise OptionError(
            f"labels of shape {vector.shape}: expected a vector of {expected} classes."
        )
    return tuple(known.labels[number] for number in np.flatnonzero(vector))


def is_batch(columns: Mapping[str, Any]) -> bool:
    """Whether columns hold several patches, along a first axis."""
    if _own_features(columns) is not None:
        return False
    for name, value in columns.items():
        feature = _known_features().get(name)
        if name in _known_bands():
            shape = _to_array(value).shape
            # A map can be a band alone, (y, x), or a feature that has it, (1, y, x).
            return len(shape) > 3 or (len(shape) == 3 and (not feature or shape[0] > 1))
        if feature is None:
            continue
        if feature.kind == "text":
            return not isinstance(value, str | bytes) and _to_array(value).ndim == 1
        if feature.kind == "image":
            return isinstance(value, list) or _decode_picture(value).ndim == 4
        if feature.shape:
            return _to_array(value).ndim > len(feature.shape)
    return False


def walk_patches(source: Iterable[Any]) -> Iterator[Any]:
    """Yields patch after patch of a data set or reader, batches taken apart.

    Raises:
        OptionError: If it cannot be iterated, or is a mapping, of splits for example.
    """
    if isinstance(source, Mapping):
        raise OptionError(
            f"expected a data set or a reader, got a mapping of {', '.join(source)}: "
            "choose one of them, or call plot for a single patch."
        )
    try:
        examples = iter(source)
    except TypeError:
        raise OptionError(
            f"expected a data set or a reader, got {type(source).__name__}."
        ) from None
    for example in examples:
        first = example[0] if isinstance(example, tuple | list) else example
        if isinstance(first, Mapping):
            several = is_batch(first)
        else:
            several = _to_array(first).ndim == 4
        yield from _take_apart(example) if several else (example,)


def _take_apart(batch: Any) -> Iterator[Any]:
    """Yields the patches of a batch."""

    def count(value: Any) -> int:
        if isinstance(value, Mapping):
            return count(next(iter(value.values())))
        return count(value[0]) if isinstance(value, tuple) else len(value)

    def pick(value: Any, number: int) -> Any:
        if isinstance(value, Mapping):
            return {name: pick(inner, number) for name, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(pick(inner, number) for inner in value)
        return value[number]

    batch = tuple(batch) if isinstance(batch, list) else batch  # of PyTorch
    yield from (pick(batch, number) for number in range(count(batch)))
