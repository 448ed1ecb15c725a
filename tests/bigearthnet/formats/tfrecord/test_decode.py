from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bigearthnet.formats.tfrecord.decode import (
    ExampleError,
    decode_varint,
    find_bytes,
    locate_features,
    read_integers,
)
from bigearthnet.formats.tfrecord.encode import encode_varint

# Lengths on both sides of those that take one, two and three bytes.
BYTES = {f"bytes-{n}": bytes(range(1, 8)) * n for n in (0, 1, 17, 19, 2_340, 2_341)}
INTEGERS = {
    "none": [],
    "one": [0],
    "some": [1, 127, 128, 2**31, 2**63 - 1],
    "negative": [-1, 5, -(2**63)],
}


def serialize(order: list[str]) -> bytes:
    """Serializes the features with protobuf, in an order."""
    entries = []
    for name in order:
        if name in BYTES:
            values = tf.train.BytesList(value=[BYTES[name]])
            feature = tf.train.Feature(bytes_list=values)
        else:
            numbers = tf.train.Int64List(value=INTEGERS[name])
            feature = tf.train.Feature(int64_list=numbers)
        entry = tf.train.Features(feature={name: feature})
        entries.append(entry.SerializeToString())
    # The fields of two messages, one after the other, are those of their union.
    features = b"".join(entries)
    data = b"\x0a" + encode_varint(len(features)) + features
    assert set(order) == tf.train.Example.FromString(data).features.feature.keys()
    return data


DATA = serialize([*BYTES, *INTEGERS])


def read(data: bytes, nbytes: int, name: str) -> bytes | list[int]:
    """Returns the value of a feature."""
    ((start, stop),) = locate_features(data, nbytes, {name.encode()}).values()
    if name in INTEGERS:
        return read_integers(data, start, stop)
    start, stop = find_bytes(data, start, stop)
    return data[start:stop]


@pytest.mark.parametrize("name", [*BYTES, *INTEGERS])
def test_values_are_those_that_protobuf_wrote(name: str) -> None:
    """Each feature is found, whatever its length; what follows the example is not."""
    expected = {**BYTES, **INTEGERS}[name]

    assert expected == read(DATA, len(DATA), name)
    assert expected == read(DATA + b"\x0a\x05stale", len(DATA), name)


def test_several_features_are_found_at_once() -> None:
    """Each name has bounds of its own."""
    names = ["some", "bytes-17", "bytes-2341"]
    found = locate_features(DATA, len(DATA), {name.encode() for name in names})

    assert {name.encode() for name in names} == set(found)
    assert INTEGERS["some"] == read_integers(DATA, *found[b"some"])
    start, stop = find_bytes(DATA, *found[b"bytes-17"])
    assert BYTES["bytes-17"] == DATA[start:stop]


def test_a_feature_that_is_not_there_is_named() -> None:
    """The error says which one it is."""
    with pytest.raises(ExampleError, match="has no feature 'other'"):
        locate_features(DATA, len(DATA), {b"some", b"other"})


def test_another_kind_of_feature_is_refused() -> None:
    """Bytes are no integers, and the other way round; two strings are not one."""
    found = locate_features(DATA, len(DATA), {b"some", b"bytes-1"})
    with pytest.raises(ExampleError):
        find_bytes(DATA, *found[b"some"])
    with pytest.raises(ExampleError):
        read_integers(DATA, *found[b"bytes-1"])
    two = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a", b"b"]))
    data = two.SerializeToString()
    with pytest.raises(ExampleError, match="more than one"):
        find_bytes(data, 0, len(data))


@pytest.mark.parametrize("name", ["bytes-17", "some", "bytes-2341"])
def test_damage_never_reads_beyond_the_example(name: str) -> None:
    """Cut at any place, or with any byte of the start changed: an error, or a value."""
    for nbytes in range(0, len(DATA), 37):
        try:
            read(DATA[:nbytes], nbytes, name)
        except ExampleError:
            continue
    random = np.random.default_rng(0)
    for _ in range(2_000):
        changed = bytearray(DATA)
        place = int(random.integers(len(DATA)))
        changed[place] ^= int(random.integers(1, 256))
        try:
            value = read(bytes(changed), len(changed), name)
        except ExampleError:
            continue
        assert len(value) <= len(DATA)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (2**64 - 1, b"\xff" * 9 + b"\x01"),
    ],
)
def test_groups_of_seven_bits_come_lowest_first(number: int, expected: bytes) -> None:
    """Worked by hand; 300 is the example of the guide to protocol buffers."""
    data = b"abc" + encode_varint(number)

    assert b"abc" + expected == data
    assert (number, len(data)) == decode_varint(data + b"d", 3, len(data) + 1)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01"]
)
def test_what_is_cut_off_or_too_large_is_refused(data: bytes) -> None:
    """An integer must end within the data, and have 64 bits at most."""
    with pytest.raises(ExampleError):
        decode_varint(data, 0, len(data))
