"""What readers accept is what their oracles read; inputs are drawn by hypothesis.

The draws are the same in every run. `Finding`, or any error that is not ours, fails.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing import metadata, patch_id, tar, tiff
from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import V1
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.v1 import S2_KEYS
from bigearthnet.source.blocks import BlockReader
from bigearthnet.source.metadata import parse_metadata
from bigearthnet.source.tar import TarParser

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

few = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=300)


@st.composite
def damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A valid input with bytes replaced, put in, taken out, swapped or cut."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.sampled_from([1, 2, 4, 12, 512]))
        match draw(st.sampled_from(["set", "put", "cut", "end", "copy"])):
            case "set":
                new = draw(st.binary(min_size=1, max_size=4))
                content[place : place + len(new)] = new
            case "put":
                content[place:place] = draw(st.binary(max_size=length))
            case "cut":
                del content[place : place + length]
            case "end":
                del content[place:]
            case "copy":
                other = draw(st.integers(0, max(len(content) - 1, 0)))
                content[other : other + length] = content[place : place + length]
    return bytes(content)


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["C"]),
    min_size=1,
    max_size=60,
).filter(lambda name: name not in (".", "..") and name.isprintable())
litter = st.sampled_from(["._a", "a.ovr", "README", "__MACOSX"])
paths = st.lists(names | litter, min_size=1, max_size=6).map("/".join)


@many
@example([("Ä" * 60 + "/a", b"x")], tarfile.GNU_FORMAT)  # cut within a character
@given(
    members=st.lists(st.tuples(paths, st.binary(max_size=1500)), max_size=4),
    format=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_every_archive_of_tarfile_is_read(
    members: list[tuple[str, bytes]], format: int
) -> None:
    """All files that the standard library stores but litter come back, in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    parser = TarParser(tar.MemoryBlocks(buffer.getvalue()), "a.tar", V1.archive("s2"))

    found = [
        (f"{folder}/{name}", content) if folder and name else (folder or name, content)
        for folder, name, content in parser
    ]
    expected = [(path, content or b"") for path, content in map(tar.leave_out, members)]

    assert expected == found


@many
@given(damaged(tar.make_seeds()))
def test_damaged_archives_are_read_as_by_tarfile_or_refused(data: bytes) -> None:
    """Mutation changes what both readers see, or is an error of ours."""
    tar.check(data)


@many
@given(damaged(tiff.make_seeds()))
def test_damaged_tiffs_are_read_as_by_rasterio_or_refused(data: bytes) -> None:
    """Mutation changes what both readers see, or is an error of ours."""
    tiff.check(data, slow_part=1)


@many
@given(damaged(metadata.make_seeds()))
def test_damaged_json_is_read_as_by_json_or_refused(data: bytes) -> None:
    """Mutation changes what both readers see, or is an error of ours."""
    metadata.check(data)


texts = st.text(max_size=30)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=12,
)
GOOD: dict[str, Any] = json.loads(metadata.make_seeds()[0])


@many
@given(
    labels=st.lists(st.sampled_from(CLC43.labels), min_size=1, unique=True),
    numbers=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=4, max_size=4),
    source=st.text(st.characters(codec="utf-8"), min_size=1, max_size=100),
    more=st.dictionaries(texts.filter(lambda key: key not in GOOD), texts),
)
def test_every_json_of_the_right_form_is_read(
    labels: list[str], numbers: list[int], source: str, more: dict[str, str]
) -> None:
    """Any labels, whole metres and texts come back as they were written."""
    coordinates = dict(zip(("ulx", "uly", "lrx", "lry"), numbers, strict=True))
    own = {"labels": labels, "coordinates": coordinates, "tile_source": source}
    content = json.dumps(GOOD | own | more).encode()

    found, fields = parse_metadata(
        content, S2_KEYS, patch_id="P", file="F.json", nomenclature=CLC43
    )

    assert set(labels) == set(CLC43.decode(found))
    assert numbers == [fields[f"coordinates/{key}"] for key in coordinates]
    assert source == fields["tile_source"]
    assert metadata.check(content)


@many
@given(st.sampled_from([*GOOD, *GOOD["coordinates"]]), anything)
def test_any_value_in_place_of_another_is_read_or_refused(
    key: str, value: object
) -> None:
    """A value of any type, anywhere, is right or a PatchError that stays short."""
    changed = GOOD | ({key: value} if key in GOOD else {})
    if key not in GOOD:
        changed["coordinates"] = GOOD["coordinates"] | {key: value}
    content = json.dumps(changed).encode()

    if not metadata.check(content):
        with pytest.raises(PatchError) as caught:
            parse_metadata(
                content, S2_KEYS, patch_id="P", file="F.json", nomenclature=CLC43
            )
        assert len(str(caught.value)) < 600
        assert str(caught.value).isprintable()


@many
@given(
    st.text(max_size=40)
    | st.from_regex(r"S2[AB]_MSIL2A_\d{8}T\d{5,6}_\d{1,3}_\d{1,3}")
    | damaged(patch_id.make_seeds()).map(lambda d: d.decode("utf-8", "replace"))
)
def test_texts_are_patch_ids_or_refused(text: str) -> None:
    """A text is taken apart as `str.split` would, or refused."""
    patch_id.check(text.encode("utf-8", "surrogatepass"))


@many
@given(
    st.from_regex(
        r"\AS2[AB]_MSIL2A_201[78](0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])"
        r"T[0-9]{5,6}_[0-9]{1,3}_[0-9]{1,3}\Z"
    )
)
def test_every_text_of_the_form_is_a_patch_id(text: str) -> None:
    """Any time, even an impossible one, is kept as it stands in the name."""
    found = PatchId.parse(text)

    place = text.split("_")[3:]
    assert [int(number) for number in place] == [found.column, found.row]
    assert (
        f"{found.satellite}_MSIL2A_{found.date:%Y%m%d}T{found.time}"
        == (text.rsplit("_", 2)[0])
    )


def decompress(content: bytes, kind: str) -> bytes | None:
    """The oracles: the whole content, or None if it is damaged."""
    try:
        if kind == "gzip":
            return gzip.decompress(content)
        found = b""
        while content:
            reader = zstd.ZstdDecompressor()
            found += reader.decompress(content)
            if not reader.eof:
                return None
            content = reader.unused_data
        return found
    except (OSError, EOFError, zlib.error, zstd.ZstdError):
        return None


@few
@given(
    kind=st.sampled_from(["gzip", "zstd"]),
    pieces=st.lists(
        st.binary(max_size=200).map(lambda b: b * 999), min_size=1, max_size=3
    ),
    damage=st.sampled_from(["none", "cut", "zeros", "garbage", "flip"]),
    place=st.integers(0, 2**32),
)
def test_streams_are_decompressed_as_by_the_libraries_or_refused(
    kind: str, pieces: list[bytes], damage: str, place: int, tmp_path: Path
) -> None:
    """Joined, cut, prolonged and changed files give the oracle's bytes or an error."""
    compress = {"gzip": gzip.compress, "zstd": zstd.compress}
    content = bytearray(b"".join(map(compress[kind], pieces)))
    place %= len(content)
    match damage:
        case "cut":
            del content[max(place, 10) :]
        case "zeros":
            content += bytes(place % 1000)
        case "garbage":
            content += b"garbage"
        case "flip":
            content[place] ^= 1
    path = tmp_path / "a"
    path.write_bytes(content)
    expected = decompress(bytes(content), kind)
    try:
        reader = BlockReader(path)
    except ArchiveError:
        return  # its first bytes are of neither kind
    try:
        found = b"".join(iter(reader.read_some, b""))
    except ArchiveError:
        assert damage != "none"
        return
    finally:
        reader.close()

    assert expected == found
