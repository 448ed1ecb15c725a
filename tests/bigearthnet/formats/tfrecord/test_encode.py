from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example, assemble, get_make_example
from bigearthnet.schema.features import Feature
from bigearthnet.source.patch import RawPatch, decode_patch

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]


def parse(data: bytes) -> dict[str, list[Any]]:
    """Parses a tf.train.Example with protobuf: name → values."""
    import tensorflow as tf

    parsed = tf.train.Example.FromString(data).features.feature
    return {
        name: list(getattr(value, value.WhichOneof("kind")).value)
        for name, value in parsed.items()
    }


def encode_one(feature: Feature, value: Any) -> bytes:
    """Encodes an example of one feature."""
    return make_encoder((feature,))({feature.name: value})


@pytest.mark.parametrize("name", ["s2", "s2-rgb"])
def test_protobuf_gives_back_every_value(
    name: str, sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """TensorFlow's own parser finds each feature of real examples as it was."""
    config = get_config(name, RELEASES)
    encode = make_encoder(config.schema)
    make_example = get_make_example(config, config.schema)
    for patch_id, files in sample_patches.items():
        row = patch_index.find(patch_id)
        assert row is not None
        raw = RawPatch(row, patch_id, files)
        patch = decode_patch(raw, ARCHIVE, V1.nomenclature)
        example = make_example(
            assemble(next(iter(patch_index.describe([row]))), [(ARCHIVE, patch)])
        )
        expected = {name: to_proto_values(value) for name, value in example.items()}

        assert expected == parse(encode(example))


def to_proto_values(value: object) -> list[Any]:
    """The values that a feature of a tf.train.Example should have."""
    match value:
        case np.ndarray():
            return [value.tobytes()]
        case str():
            return [value.encode()]
        case bytes():
            return [value]
        case tuple():
            return list(value)
        case _:
            return [int(value)]  # type: ignore[call-overload]


def test_bytes_are_those_of_the_wire_format() -> None:
    """A small example is, byte for byte, what the protobuf specification says."""
    schema = (Feature("b", "integer", ""), Feature("a", "text", ""))
    expected = bytes.fromhex(
        "0a19"  # Example.features, 25 bytes
        "0a0a 0a0161 1205 0a03 0a0178"  # "a": bytes_list of "x"
        "0a0b 0a0162 1206 1a04 0a02ac02"  # "b": int64_list of 300, packed
    )

    assert expected == make_encoder(schema)({"a": "x", "b": 300})


def test_the_order_of_features_is_that_of_their_names() -> None:
    """Neither the order of the schema nor that of the example changes the bytes."""
    names = ["b", "a/y", "a", "c", "B"]
    forth = tuple(Feature(name, "text", "") for name in names)
    example: Example = {name: f"text of {name}" for name in names}
    backward = dict(reversed(example.items()))

    data = make_encoder(forth)(example)

    assert data == make_encoder(forth[::-1])(backward)
    places = [data.index(f"text of {name}\n".encode()) for name in sorted(names)[:-1]]
    assert sorted(places) == places


@pytest.mark.parametrize(
    "number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -128, -(2**31), -(2**63)]
)
def test_integers_keep_value_and_sign(number: int) -> None:
    """Any 64-bit integer, negative ones too, comes back from protobuf."""
    data = encode_one(Feature("n", "integer", ""), number)

    assert {"n": [number]} == parse(data)


@pytest.mark.parametrize("ids", [(), (0,), (0, 42), tuple(range(43)), (200, 1)])
def test_class_ids_keep_their_order(ids: tuple[int, ...]) -> None:
    """A list of class ids, even an empty one, is an int64 list of the same ids."""
    import tensorflow as tf

    data = encode_one(Feature("labels", "classes", ""), ids)
    parsed = tf.train.Example.FromString(data).features.feature["labels"]

    assert "int64_list" == parsed.WhichOneof("kind")
    assert list(ids) == list(parsed.int64_list.value)


def test_pixels_are_little_endian() -> None:
    """An array of any layout is stored as little-endian bytes, row by row."""
    feature = Feature("x", "tensor", "", dtype="uint16", shape=(2, 3))
    array = np.array([[1, 2, 3], [256, 257, 65535]], np.uint16)
    expected = struct.pack("<6H", 1, 2, 3, 256, 257, 65535)

    encoded = [encode_one(feature, a) for a in (array, np.asfortranarray(array))]

    assert [{"x": [expected]}] * 2 == [parse(data) for data in encoded]


SHAPED = Feature("x", "tensor", "", dtype="uint16", shape=(2, 3))


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (np.zeros((3, 2), np.uint16), r"uint16 of \(3, 2\)"),
        (np.zeros(6, np.uint16), r"uint16 of \(6,\)"),
        (np.zeros((2, 3), np.int16), r"int16 of \(2, 3\)"),
        (np.zeros((2, 3), np.float32), r"float32 of \(2, 3\)"),
    ],
)
def test_another_array_is_refused(value: np.ndarray, got: str) -> None:
    """An array of another shape or type is an error that names both."""
    with pytest.raises(ValueError, match=rf"^x: .*uint16 of \(2, 3\), got {got}"):
        encode_one(SHAPED, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("tensor", [1]), ("tensor", b"x"), ("image", "x"), ("text", b"x")],
        *[("text", None), ("integer", 1.0), ("integer", "1"), ("class", None)],
        *[("bool", 1), ("bool", None), ("classes", [1, 2]), ("classes", 1)],
    ],
)
def test_a_value_of_another_kind_is_refused(kind: Any, value: object) -> None:
    """A value of another type is an error that names feature, kind and type."""
    message = f"^name: expected a {kind}, got {type(value).__name__}"

    with pytest.raises(TypeError, match=message):
        encode_one(Feature("name", kind, ""), value)


def test_a_missing_feature_is_refused() -> None:
    """An example without a feature of the schema is an error that names it."""
    with pytest.raises(KeyError, match="name"):
        make_encoder((Feature("name", "text", ""),))({"other": "x"})
