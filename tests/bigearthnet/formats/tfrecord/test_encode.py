from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord import encode as tfrecord
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.examples import Example, get_make_example
from bigearthnet.schema.features import RGB_SCHEMA, S2_SCHEMA, Feature
from bigearthnet.source.patch import RawPatch, decode_patch

Patches = dict[str, dict[str, bytes]]

RECORDS = [b"first", b"", bytes(300), b"\xff" * 7]


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """A TFRecord file of RECORDS."""
    path = tmp_path / "small.tfrecord"
    path.write_bytes(b"".join(b"".join(tfrecord.frame(data)) for data in RECORDS))
    return path


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
    return tfrecord.make_encoder((feature,))({feature.name: value})


@pytest.mark.parametrize("schema", [S2_SCHEMA, RGB_SCHEMA], ids=["s2", "rgb"])
def test_protobuf_gives_back_every_value(
    schema: tuple[Feature, ...], sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """TensorFlow's own parser finds each feature of real examples as it was."""
    encode, make_example = tfrecord.make_encoder(schema), get_make_example(schema)
    for patch_id, files in sample_patches.items():
        row = patch_index.find(patch_id)
        assert row is not None
        patch = decode_patch(RawPatch(row, patch_id, files))
        example = make_example(patch, patch_index.facts(row))
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

    assert expected == tfrecord.make_encoder(schema)({"a": "x", "b": 300})


def test_the_order_of_features_is_that_of_their_names() -> None:
    """Neither the order of the schema nor that of the example changes the bytes."""
    names = ["b", "a/y", "a", "c", "B"]
    forth = tuple(Feature(name, "text", "") for name in names)
    example: Example = {name: f"text of {name}" for name in names}
    backward = dict(reversed(example.items()))

    data = tfrecord.make_encoder(forth)(example)

    assert data == tfrecord.make_encoder(forth[::-1])(backward)
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
        tfrecord.make_encoder((Feature("name", "text", ""),))({"other": "x"})


def test_framed_records_are_those_of_tensorflow(
    tmp_path: Path, small_file: Path
) -> None:
    """The file is byte for byte the one that TensorFlow's own writer makes."""
    import tensorflow as tf

    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for data in RECORDS:
            writer.write(data)

    assert theirs.read_bytes() == small_file.read_bytes()


def test_tensorflow_reads_our_records(small_file: Path) -> None:
    """tf.data finds the same records, checksums verified."""
    import tensorflow as tf

    dataset = tf.data.TFRecordDataset(str(small_file))

    assert RECORDS == list(dataset.as_numpy_iterator())


def test_records_are_read_back(small_file: Path) -> None:
    """Every record comes with its offset, at which it can be read alone."""
    found = list(tfrecord.read_records(small_file))

    assert [(0, b"first"), (21, b""), (37, bytes(300)), (353, b"\xff" * 7)] == found
    assert RECORDS == [tfrecord.read_record(small_file, at) for at, _ in found]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    """A file without bytes is a valid file without records."""
    path = tmp_path / "empty"
    path.touch()

    assert [] == list(tfrecord.read_records(path))


def test_every_truncation_is_found(small_file: Path) -> None:
    """A file cut anywhere but between two records is an error that names it."""
    content = small_file.read_bytes()
    ends = {0, 21, 37, 353, len(content)}
    for nbytes in range(len(content)):
        small_file.write_bytes(content[:nbytes])
        if nbytes in ends:
            continue
        with pytest.raises(ShardError, match=r"small\.tfrecord: .* is truncated"):
            list(tfrecord.read_records(small_file))


def test_every_flipped_bit_is_found(small_file: Path) -> None:
    """One wrong bit anywhere in a file, lengths and checksums too, is an error."""
    content = small_file.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        small_file.write_bytes(damaged)
        with pytest.raises(ShardError, match=r"record at byte \d+ has a"):
            list(tfrecord.read_records(small_file))


def test_an_absurd_length_is_refused(tmp_path: Path) -> None:
    """A length with a right checksum, but beyond any record of ours, reads nothing."""
    path = tmp_path / "huge"
    length = struct.pack("<Q", 2**40)
    path.write_bytes(length + struct.pack("<I", tfrecord.masked_crc(length)))

    with pytest.raises(ShardError, match="byte 0 has a damaged length"):
        list(tfrecord.read_records(path))


def test_the_error_names_the_damaged_record(small_file: Path) -> None:
    """Records before the damage are read, then the error gives the offset."""
    content = bytearray(small_file.read_bytes())
    content[37 + 12 + 5] ^= 1
    small_file.write_bytes(content)
    records = tfrecord.read_records(small_file)

    assert [b"first", b""] == [next(records)[1], next(records)[1]]
    with pytest.raises(ShardError, match="the record at byte 37 has a wrong checksum"):
        next(records)
    with pytest.raises(ShardError, match="the record at byte 37 has a wrong checksum"):
        tfrecord.read_record(small_file, 37)


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0xA282EAD8), (bytes(8), 0x07980329), (b"123456789", 0xC78AB0E5)],
)
def test_checksums_are_masked_crc_32c(data: bytes, crc: int) -> None:
    """The checksum is the CRC-32C, turned by 15 bits, plus a constant."""
    assert crc == tfrecord.masked_crc(data)
