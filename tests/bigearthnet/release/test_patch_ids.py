from __future__ import annotations

import dataclasses
import datetime

import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import S1_IDS, IdCodec, PatchId
from bigearthnet.release.patch_index import PatchIndex

# Like the second release pads numbers: `..._09_07`.
PADDED = IdCodec(r"\w+_\d\d+_\d\d+", "P_09_07", "prefix", digits=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "S2B_MSIL2A_20170924T93020_69_24",
            ("S2B", datetime.date(2017, 9, 24), "93020", 69, 24),
        ),
        (
            "S2A_MSIL2A_20171221T112501_5_135",
            ("S2A", datetime.date(2017, 12, 21), "112501", 5, 135),
        ),
        (  # 94161 is no time of day
            "S2B_MSIL2A_20180204T94161_0_0",
            ("S2B", datetime.date(2018, 2, 4), "94161", 0, 0),
        ),
        (  # nor is 94160
            "S2B_MSIL2A_20180204T94160_12_3",
            ("S2B", datetime.date(2018, 2, 4), "94160", 12, 3),
        ),
    ],
)
def test_patch_ids_are_taken_apart(text: str, expected: tuple[object, ...]) -> None:
    """Ids with times of six or five digits, even impossible ones, are parsed."""
    assert expected == dataclasses.astuple(PatchId.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S2A",
        "S2C_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL1C_20170613T101031_0_45",
        "s2a_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL2A_20170613T101031_0",
        "S2A_MSIL2A_20170613T101031_0_45_B01",
        "S2A_MSIL2A_20170613T101031_0_45\n",
        " S2A_MSIL2A_20170613T101031_0_45",
        "S2A_MSIL2A_20170613T101031_-1_45",
        "S2A_MSIL2A_20170613T101031_0_1234",
        "S2A_MSIL2A_20170613T1010_0_45",
        "S2A_MSIL2A_20170613T1010311_0_45",
        "S2A_MSIL2A_20171313T101031_0_45",
        "S2A_MSIL2A_20170230T101031_0_45",
        "S2A_MSIL2A_00000101T101031_0_45",
        "S2A_MSIL2A_2017061\u0663T101031_0_45",
        "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48",
    ],
)
def test_other_texts_are_not_patch_ids(text: str) -> None:
    """A text of another form, or with an impossible day, is an error that shows it."""
    with pytest.raises(PatchError) as caught:
        PatchId.parse(text)

    assert f"got {text!r}." in str(caught.value)
    assert text == caught.value.patch_id


def test_every_time_of_the_release_is_read(patch_index: PatchIndex) -> None:
    """The 22 prefixes of the release with a time of five digits are like the others."""
    prefixes = {
        patch_id.rpartition("_")[0].rpartition("_")[0]: patch_id
        for patch_id in map(patch_index.patch_id, range(len(patch_index)))
    }
    times = {prefix: PatchId.parse(one).time for prefix, one in prefixes.items()}

    assert 125 == len(times)
    assert 22 == sum(len(time) == 5 for time in times.values())
    assert all(prefix.endswith(f"T{time}") for prefix, time in times.items())
    assert all(patch_index.find(one) is not None for one in prefixes.values())


@pytest.mark.parametrize("codec", [V1.ids, S1_IDS], ids=["S2", "S1"])
def test_an_example_is_an_id(codec: IdCodec) -> None:
    """The example that error messages show is written like an id, and joined again."""
    prefix, column, row = codec.example.rsplit("_", 2)

    assert codec.matches(codec.example)
    assert codec.example == codec.join(prefix, int(column), int(row))


@pytest.mark.parametrize(
    ("codec", "column", "row", "expected"),
    [
        (V1.ids, 9, 7, "a_b_9_7"),
        (V1.ids, 0, 100, "a_b_0_100"),
        (PADDED, 9, 7, "a_b_09_07"),
        (PADDED, 10, 123, "a_b_10_123"),
    ],
)
def test_numbers_are_padded_as_the_archive_pads_them(
    codec: IdCodec, column: int, row: int, expected: str
) -> None:
    """Numbers have at least as many digits as the codec says."""
    assert expected == codec.join("a_b", column, row)


@pytest.mark.parametrize(
    "text",
    [
        *["", "S2A", f"{V1.ids.example}\n", f" {V1.ids.example}"],
        *[V1.ids.example.lower(), f"{V1.ids.example}_B01", S1_IDS.example],
    ],
)
def test_other_texts_are_not_like_an_id(text: str) -> None:
    """Only a whole id is one; upper and lower case count."""
    assert not V1.ids.matches(text)
