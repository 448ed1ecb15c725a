"""Colours of reference maps: those that CORINE Land Cover is drawn with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bigearthnet.release.nomenclature import CLC43, MAP_CODES

# CLC code → red, green, blue: the legend of the European Environment Agency that comes
# with its rasters (CLC2018_CLC2018_V2018_20_QGIS.txt, and the nomenclature's pages at
# https://land.copernicus.eu/content/corine-land-cover-nomenclature-guidelines/).
_LEGEND = """
111 E6004D 112 FF0000 121 CC4DF2 122 CC0000 123 E6CCCC 124 E6CCE6 131 A600CC 132 A64D00
133 FF4DFF 141 FFA6FF 142 FFE6FF 211 FFFFA8 212 FFFF00 213 E6E600 221 E68000 222 F2A64D
223 E6A600 231 E6E64D 241 FFE6A6 242 FFE64D 243 E6CC4D 244 F2CCA6 311 80FF00 312 00A600
313 4DFF00 321 CCF24D 322 A6FF80 323 A6E64D 324 A6F200 331 E6E6E6 332 CCCCCC 333 CCFFCC
334 000000 335 A6E6CC 411 A6A6FF 412 4D4DFF 421 CCCCFF 422 E6E6FF 423 A6A6E6 511 00CCF2
512 80F2E6 521 00FFA6 522 A6FFE6 523 E6F2FF
"""
# Of pixels without a label: a grey that the legend does not have.
_UNLABELLED = (120, 120, 120)

# What a stored pixel of a map that is no class of CLC43 means.
_OTHERS = {len(CLC43): "Glaciers and perpetual snow", 255: "Unlabelled"}


def _make_colors() -> npt.NDArray[np.uint8]:
    words = _LEGEND.split()
    legend = dict(zip(map(int, words[::2]), words[1::2], strict=True))
    colors = np.full((256, 3), _UNLABELLED, np.uint8)
    for code, number in MAP_CODES:
        if code in legend:
            colors[number] = list(bytes.fromhex(legend[code]))
    return colors


# Stored pixel of a map → red, green, blue, shape (256, 3), uint8.
COLORS = _make_colors()
COLORS.flags.writeable = False


def name_class(number: int) -> str:
    """Returns what a stored pixel of a map means.

    Args:
        number: Class id of CLC43, 43 for glaciers, 255 for none.
    """
    if number < len(CLC43):
        return CLC43.labels[number]
    return _OTHERS.get(number, f"unknown ({number})")
