"""How patches are named: the ids of an archive, and the parts of a Sentinel-2 id."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bigearthnet.errors import PatchError
from bigearthnet.release.published import explain


@dataclass(frozen=True)
class IdCodec:
    """How an archive names its patches: `<prefix>_<column>_<row>`.

    Attributes:
        pattern: Regular expression of a whole id, ASCII.
        example: An id, for error messages.
        prefix_column: Column of the release's table that holds the prefixes.
        digits: The least digits of column and row, which are padded with zeros; 1 for
            no padding.
    """

    pattern: str
    example: str
    prefix_column: str
    digits: int = 1

    def matches(self, text: str) -> bool:
        """Returns whether a text is written like an id of the archive.

        Args:
            text: Any text.
        """
        return _compile(self.pattern).fullmatch(text) is not None

    def join(self, prefix: str, column: int, row: int) -> str:
        """Returns the id that has these parts.

        Args:
            prefix: All before the column.
            column: Number of the column of the tile.
            row: Number of the row.
        """
        return f"{prefix}_{self.write_number(column)}_{self.write_number(row)}"

    def write_number(self, number: int) -> str:
        """Returns a column or row as it stands in ids.

        Args:
            number: The column or row.
        """
        return f"{number:0{self.digits}}"


@functools.cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.A)


# `S2B_MSIL2A_20170924T93020_69_24`: 22 name prefixes of the archive have a time of
# five digits, some of an impossible one (`T94161`), so it is kept as text.
S2_PATTERN = r"(S2[AB])_MSIL2A_(\d{8})T(\d{5,6})_(\d{1,3})_(\d{1,3})"

# Names of the Sentinel-1 patches, in all releases; numbers are not padded.
S1_IDS = IdCodec(
    r"S1[AB]_IW_GRDH_1SDV_\d{8}T\d{6}_\d\d[A-Z]{3}_\d{1,3}_\d{1,3}",
    "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_61_39",
    "s1_prefix",
)

# Patch ids of the second release; numbers have two digits.
S2_V2_IDS = IdCodec(
    r"S2[AB]_MSIL2A_\d{8}T\d{6}_N\d{4}_R\d{3}_T\d\d[A-Z]{3}_\d\d_\d\d",
    "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57",
    "prefix",
    digits=2,
)

# Fields that are names in other archives or releases, put together from the table.
NAME_FIELDS: Mapping[str, IdCodec] = {
    "s1_name": S1_IDS,
    "s2v1_name": IdCodec(S2_PATTERN, "S2B_MSIL2A_20170924T93020_69_24", "s2v1_prefix"),
}


_DAY = re.compile(r"_(\d{4})(\d\d)(\d\d)T", re.A)


def find_day(name: str) -> str:
    """Returns the day in a name, which is always right, as `YYYY-MM-DD`."""
    match = _DAY.search(name)
    assert match is not None, name
    return "-".join(match.groups())


_TIME = re.compile(r"_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?!\d)", re.A)


def find_time(name: str) -> str:
    """Returns the time in a name as `YYYY-MM-DD HH:MM:SS`.

    Args:
        name: A name that has one of six digits, or the prefix of one.
    """
    match = _TIME.search(name)
    assert match is not None, name
    return "{}-{}-{} {}:{}:{}".format(*match.groups())


@dataclass(frozen=True)
class PatchId:
    """The parts of a patch id of the first release.

    Attributes:
        satellite: `S2A` or `S2B`.
        date: Day of acquisition (UTC); always right.
        time: Time as it stands in the name, 5 or 6 digits. It may be impossible, and
            may differ from the sensing time; the JSON's `acquisition_date` is the one
            to trust.
        column: Horizontal order of the patch in its tile (first number).
        row: Vertical order of the patch in its tile (second number).
    """

    satellite: str
    date: datetime.date
    time: str
    column: int
    row: int

    @classmethod
    def parse(cls, text: str) -> PatchId:
        """Parses `S2{A,B}_MSIL2A_<YYYYMMDD>T<HHMMSS>_<column>_<row>`.

        Raises:
            PatchError: If the text is not a patch id; the message shows the text.
        """
        match = _compile(S2_PATTERN).fullmatch(text)
        try:
            if match is None:
                raise ValueError
            satellite, day, time, column, row = match.groups()
            date = datetime.datetime.strptime(day, "%Y%m%d").date()
        except ValueError:
            raise PatchError(
                "not a patch id: expected S2A or S2B, _MSIL2A_<YYYYMMDD>T<HHMMSS>_"
                f"<column>_<row>, got {text!r}.{explain(text)}",
                patch_id=text,
            ) from None
        return cls(satellite, date, time, int(column), int(row))
