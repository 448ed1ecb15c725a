"""What was published of BigEarthNet, told by its names.

Asked only when something does not fit, so that nobody is told that good data of another
kind is damaged.

Source of the names: Zenodo records 10891137 (v2.0, "reBEN") and 12687186 (v1.0).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigearthnet.release.model import Archive

_V2_TILE = r"S2[AB]_MSIL2A_\d{8}T\d{6}_N\d{4}_R\d{3}_T\d\d[A-Z]{3}"
_V1_PATCH = r"S2[AB]_MSIL2A_\d{8}T\d{5,6}_\d{1,3}_\d{1,3}"
_TAR = r"(\.tar(\.gz|\.zst)?)?"

_BUILDS = "which the config {} is built from"
_S2 = _BUILDS.format("v2-s2")
_S1 = _BUILDS.format("v2-s1")
_S1_V1 = _BUILDS.format("s1")

# Regular expression of files, folders and patch ids → what they are, and what can be
# made of them. The first line that fits one of some names counts.
_PUBLISHED = {
    rf"BigEarthNet-S2{_TAR}": ("BigEarthNet v2.0", _S2),
    rf".*_reference_map\.tif|Reference_Maps{_TAR}": ("a map of BigEarthNet v2.0", _S2),
    rf"{_V2_TILE}(_.*)?": ("BigEarthNet v2.0", _S2),
    rf"BigEarthNet-S1-v1\.0{_TAR}": ("Sentinel-1 of BigEarthNet v1.0", _S1_V1),
    rf"BigEarthNet-S1{_TAR}": ("Sentinel-1 of BigEarthNet v2.0", _S1),
    r"S1[AB]_IW_GRDH_1SDV_\d{8}T\d{6}(_.*)?": ("Sentinel-1 of BigEarthNet", _S1),
    r"metadata(_for_patches_with_snow_cloud_or_shadow)?\.parquet": (
        "metadata of BigEarthNet v2.0",
        "which is part of this package",
    ),
}
# Asked only for what is to be something else.
_FIRST = {
    rf"BigEarthNet(-S2)?-v1\.0{_TAR}|{_V1_PATCH}(_.*)?": (
        "BigEarthNet v1.0",
        _BUILDS.format("s2"),
    )
}


def explain(*names: str, archive: Archive | None = None) -> str:
    """Returns what to add to an error about something that does not fit.

    Args:
        names: Names of the files, folders or patches that do not fit.
        archive: The archive that they should be of; None for that of the first release.

    Returns:
        A space and a sentence that says what was published under one of these names,
        and not as that archive; "" if nothing was.
    """
    own: tuple[str, ...] = ()
    if archive is not None:
        own = (*archive.filenames, archive.folder, archive.ids.example)
    for pattern, (what, use) in (_PUBLISHED | (_FIRST if own else {})).items():
        if any(re.fullmatch(pattern, name, re.A) for name in own):
            continue
        if any(re.fullmatch(pattern, name, re.A) for name in names):
            return f" This is {what}, {use}."
    return ""
