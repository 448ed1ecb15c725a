"""What was published of BigEarthNet and cannot be read yet, told by its names.

Asked only when something does not fit, so that nobody is told that good data of another
kind is damaged. A line goes when what it names can be read.

Source of the names: Zenodo records 10891137 (v2.0, "reBEN") and 12687186 (v1.0).
"""

from __future__ import annotations

import re

_V2_TILE = r"S2[AB]_MSIL2A_\d{8}T\d{6}_N\d{4}_R\d{3}_T\d\d[A-Z]{3}"
_TAR = r"(\.tar(\.gz|\.zst)?)?"

# Regular expression of files, folders and patch ids → what they are. The first line
# that fits one of some names counts.
_PUBLISHED = {
    rf"BigEarthNet-S2{_TAR}": "BigEarthNet v2.0",
    rf".*_reference_map\.tif|Reference_Maps{_TAR}": "a map of BigEarthNet v2.0",
    rf"{_V2_TILE}(_.*)?": "BigEarthNet v2.0",
    rf"BigEarthNet-S1-v1\.0{_TAR}": "Sentinel-1 of BigEarthNet v1.0",
    rf"BigEarthNet-S1{_TAR}": "Sentinel-1 of BigEarthNet v2.0",
    r"S1[AB]_IW_GRDH_1SDV_\d{8}T\d{6}(_.*)?": "Sentinel-1 of BigEarthNet",
    r"metadata(_for_patches_with_snow_cloud_or_shadow)?\.parquet": (
        "metadata of BigEarthNet v2.0"
    ),
}

# What can be read.
_READ = "BigEarthNet-S2-v1.0.tar.gz"


def explain(*names: str) -> str:
    """Returns what to add to an error about something that does not fit.

    Args:
        names: Names of the files, folders or patches that do not fit.

    Returns:
        A space and a sentence that says what was published under one of these names;
        "" if nothing was.
    """
    for pattern, what in _PUBLISHED.items():
        if any(re.fullmatch(pattern, name, re.A) for name in names):
            return f" This is {what}, which cannot be read yet; {_READ} can."
    return ""
