from __future__ import annotations

import json
from pathlib import Path

import pytest

from bigearthnet.errors import PatchError, QuarantineError, ShardError
from bigearthnet.store.quarantine import (
    BadPatch,
    Quarantine,
    describe_reasons,
    leave_quarantine,
    read_quarantine,
    write_quarantine,
)

BAD = (
    BadPatch("S2A_x_0_1", "S2A_x_0_1_B01.tif", 'broken "é"\n\u2028\x85.', 2**40),
    BadPatch("notes", None, "not a patch folder.", None),
    BadPatch("S2A_x_0_1", "S2A_x_0_1_B02.tif", "comes twice.", 0),
)


def test_the_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every field of a bad patch comes back, whatever characters it has."""
    path = tmp_path / "quarantine.jsonl"
    write_quarantine(BAD, path)

    assert BAD == read_quarantine(path)


def test_the_list_has_a_json_object_a_line(tmp_path: Path) -> None:
    """The file can be read without us."""
    path = tmp_path / "quarantine.jsonl"
    write_quarantine(BAD, path)
    lines = path.read_bytes().split(b"\n")

    assert b"" == lines.pop()
    assert {
        "patch_id": "notes",
        "file": None,
        "reason": "not a patch folder.",
        "offset": None,
    } == json.loads(lines[1])
    assert "é".encode() in lines[0]


def test_without_a_list_there_are_no_bad_patches(tmp_path: Path) -> None:
    """A store whose source was good has no list."""
    assert () == read_quarantine(tmp_path / "quarantine.jsonl")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"1\n",
        b"\xff\n",
        b'{"patch_id": "x"}\n',
        b'{"patch_id": "x", "file": null, "reason": "", "offset": 1, "more": 1}\n',
    ],
)
def test_a_damaged_list_is_an_error(content: bytes, tmp_path: Path) -> None:
    """A list that we have not written is named."""
    path = tmp_path / "quarantine.jsonl"
    path.write_bytes(content)

    with pytest.raises(ShardError, match=f"{path} cannot be read"):
        read_quarantine(path)


def test_bad_patches_are_kept_in_order(tmp_path: Path) -> None:
    """Patch, file, reason and place are those of the error."""
    quarantine = Quarantine(3, tmp_path / "list")
    quarantine.add(PatchError("broken.", patch_id="one", file="B01"), 512)
    quarantine.add(PatchError("empty.", patch_id="two"), None)

    assert [
        BadPatch("one", "B01", "broken.", 512),
        BadPatch("two", None, "empty.", None),
    ] == quarantine.patches


def test_one_too_many_is_named(tmp_path: Path) -> None:
    """As many as allowed are taken; the next one ends the build, and all are listed."""
    left_in = tmp_path / "list.jsonl"
    other = BadPatch("other", None, "empty.", None)
    quarantine = Quarantine(3, left_in, [other])
    for number in range(2):
        quarantine.add(PatchError("broken.", patch_id=f"bad-{number}"), number)

    with pytest.raises(QuarantineError) as caught:
        quarantine.add(PatchError("torn: 7.", patch_id="late", file="B02"), 9)

    assert str(caught.value) == (
        "more than 3 bad patches: 2 × broken, 1 × empty, 1 × torn; the first is other: "
        f"empty. {left_in} lists them. Is it the right source? A larger --max_bad sets "
        "more of them aside."
    )
    assert ["bad-0", "bad-1"] == [bad.patch_id for bad in quarantine.patches]
    assert (other, *quarantine.patches) == read_quarantine(left_in)[:3]
    assert BadPatch("late", "B02", "torn: 7.", 9) == read_quarantine(left_in)[3]


def test_the_most_frequent_reasons_are_counted() -> None:
    """Reasons count as one up to a colon or a bracket; rare ones are put together."""
    reasons = ["torn: 1.", "a.", "torn (2).", "b.", "a.", "torn.", "c.", "b.", "d."]
    bad = [BadPatch(str(i), "x", reason, None) for i, reason in enumerate(reasons)]

    assert (
        "3 × torn, 2 × a, 2 × b, 2 × something else; the first is 0/x: torn: 1."
        == describe_reasons(bad)
    )


def test_a_list_that_cannot_be_left_hides_no_error(tmp_path: Path) -> None:
    """Why a build ends is said even where nothing can be written any more."""
    error = leave_quarantine(BAD, tmp_path / "gone" / "list", "too many", "Stop.")

    assert "too many: " in str(error)
    assert "could not be written (" in str(error)
