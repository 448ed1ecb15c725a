from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigearthnet.errors import ShardError
from bigearthnet.formats import thrift
from bigearthnet.formats.thrift import Elements, Field, decode_struct, encode_struct

INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLAGS = st.sampled_from([Field(thrift.TRUE), Field(thrift.FALSE)])


def elements(kind: int, values: st.SearchStrategy[object]) -> st.SearchStrategy[Field]:
    """Lists of some values, long ones among them."""
    return st.lists(values, max_size=20).map(
        lambda made: Field(thrift.LIST, Elements(kind, made))
    )


def make_structs() -> st.SearchStrategy[thrift.Struct]:
    """Structs of every type, nested, with near and far field ids."""
    leaves = (
        FLAGS
        | st.integers(0, 255).map(lambda value: Field(thrift.BYTE, value))
        | st.builds(
            Field, st.sampled_from([thrift.I16, thrift.I32, thrift.I64]), INTEGERS
        )
        | st.binary(max_size=200).map(lambda value: Field(thrift.BINARY, value))
        | elements(thrift.I64, INTEGERS)
        | elements(thrift.BINARY, st.binary(max_size=9))
        | elements(thrift.TRUE, st.sampled_from([1, 2]))
    )
    numbers = st.integers(1, 2**15 - 1)
    return st.recursive(
        st.dictionaries(numbers, leaves, max_size=4).map(sort_fields),
        lambda inner: st.dictionaries(
            numbers,
            leaves
            | inner.map(lambda value: Field(thrift.STRUCT, value))
            | elements(thrift.STRUCT, inner),
            max_size=4,
        ).map(sort_fields),
        max_leaves=8,
    )


def sort_fields(struct: thrift.Struct) -> thrift.Struct:
    """A struct whose fields stand in the order of their ids."""
    return dict(sorted(struct.items()))


@given(make_structs(), st.binary(max_size=4))
def test_decode_is_the_inverse_of_encode(struct: thrift.Struct, rest: bytes) -> None:
    """Whatever is encoded is decoded again, and what follows is left alone."""
    encoded = encode_struct(struct)

    assert (struct, len(encoded)) == decode_struct(encoded + rest)


def test_a_footer_of_pyarrow_is_kept_to_the_byte() -> None:
    """What pyarrow wrote, all its fields, is encoded as it was."""
    table = pa.table({"a": [1, None, -3], "b": ["x", "y", "z"], "c": [[1], [], None]})
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, write_page_index=True, sorting_columns=None)
    content = stream.getvalue().to_pybytes()
    nbytes = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - nbytes : -8]

    struct, read = decode_struct(footer)

    assert nbytes == read
    assert footer == encode_struct(struct)
    assert Field(thrift.I64, 3) == struct[3]


@pytest.mark.parametrize(
    ("struct", "expected"),
    [
        # A step of 1, an i32, zigzag of -1; the end.
        ({1: Field(thrift.I32, -1)}, b"\x15\x01\x00"),
        # A step of 15 fits into the header, one of 16 does not: its id follows.
        ({15: Field(thrift.TRUE)}, b"\xf1\x00"),
        ({16: Field(thrift.FALSE)}, b"\x02\x20\x00"),
        ({2: Field(thrift.BINARY, b"ab")}, b"\x28\x02ab\x00"),
        ({1: thrift.integers([1, 2])}, b"\x19\x25\x02\x04\x00"),
        ({1: thrift.structs([{}] * 15)}, b"\x19\xfc\x0f" + bytes(15) + b"\x00"),
    ],
)
def test_bytes_are_those_of_the_specification(
    struct: thrift.Struct, expected: bytes
) -> None:
    """Worked by hand from thrift-compact-protocol.md."""
    assert expected == encode_struct(struct)


@pytest.mark.parametrize("length", range(5))
def test_a_struct_that_is_cut_off_is_refused(length: int) -> None:
    """The error says after how many bytes."""
    encoded = encode_struct({2: Field(thrift.BINARY, b"ab")})

    with pytest.raises(ShardError, match=f"cut off after {length} bytes"):
        decode_struct(encoded[:length])


def test_a_type_that_parquet_does_not_use_is_refused() -> None:
    """A double and a map are of no footer."""
    for kind in (7, 11):
        with pytest.raises(ShardError, match=f"Thrift type {kind} "):
            decode_struct(bytes((0x10 | kind, 0, 0)))
