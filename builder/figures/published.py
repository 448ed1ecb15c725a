"""Figures of whole releases as they were published, named as `counting` names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigearthnet.release.nomenclature import BEN19, CLC43, PAPER_COUNTS
from builder.figures.counting import ALL

# Sumbul et al., 2019: classes in Table 2, seasons and labels in section 3, patches with
# snow, cloud and shadow in section 4 (70,987 of both). Countries, and how these divide,
# are counted in the official lists of the authors.
PAPER: Mapping[str, Any] = {
    "patches": {ALL: 590_326},
    "classes": {CLC43.name: {ALL: dict(zip(CLC43.labels, PAPER_COUNTS, strict=True))}},
    "seasons": {
        ALL: {
            "winter": 117_156,
            "spring": 189_276,
            "summer": 128_951,
            "autumn": 154_943,
        }
    },
    "countries": {
        ALL: {
            "Austria": 46_403,
            "Belgium": 11_701,
            "Finland": 233_030,
            "Ireland": 52_653,
            "Kosovo": 2_140,
            "Lithuania": 58_700,
            "Luxembourg": 3_481,
            "Portugal": 99_248,
            "Serbia": 78_015,
            "Switzerland": 4_955,
        }
    },
    "snow": {ALL: 61_707},
    "cloud": {ALL: 9_280},
    "labels": {
        "fewest": 1,
        "most": 12,
        "patches with more than 9": 15,
        "percent with at most 5": 95,
    },
}

_SPLITS = ("train", "validation", "test")
# Patches of each class of BEN19 and split; of each country and split.
_CLASSES = """
33626/17308/12824 6398/2726/2018 88236/49737/50052 15190/8688/5710 42968/25915/26722
51034/26486/22078 60127/32736/29846 15082/8157/9942 64164/35387/36377 76344/39554/39043
78791/42705/44284 6984/2687/2211 6329/3806/3759 64198/36429/40523 738/426/152
11344/5056/4519 670/610/117 30466/15900/16846 35914/14064/11854
"""
_COUNTRIES = {
    "Austria": "24972/10649/8176",
    "Belgium": "7837/3217/142",
    "Finland": "74293/40132/40802",
    "Ireland": "22482/12687/13157",
    "Kosovo": "849/487/280",
    "Lithuania": "23170/12128/13067",
    "Luxembourg": "1888/1131/441",
    "Portugal": "43721/22862/23209",
    "Serbia": "36967/17906/18512",
    "Switzerland": "1692/1143/2039",
}


def _by_split(rows: Mapping[str, str]) -> dict[str, dict[str, int]]:
    return {
        split: {name: int(row.split("/")[i]) for name, row in rows.items()}
        for i, split in enumerate(_SPLITS)
    }


# Counted in the two official tables of v2.0 (Zenodo record 10891137).
TABLES_V2: Mapping[str, Any] = {
    "patches": {
        ALL: 549_488,
        "train": 237_871,
        "validation": 122_342,
        "test": 119_825,
        "excluded_train": 34_673,
        "excluded_validation": 17_235,
        "excluded_test": 17_542,
    },
    "classes": {
        BEN19.name: _by_split(dict(zip(BEN19.labels, _CLASSES.split(), strict=True)))
    },
    "seasons": {
        ALL: {
            "winter": 115_253,
            "spring": 177_865,
            "summer": 104_391,
            "autumn": 151_979,
        }
    },
    "countries": _by_split(_COUNTRIES),
    "snow": {
        "train": 0,
        "validation": 0,
        "test": 0,
        "excluded_train": 29_148,
        "excluded_validation": 15_452,
        "excluded_test": 16_173,
    },
    "cloud": {
        "train": 0,
        "validation": 0,
        "test": 0,
        "excluded_train": 5_525,
        "excluded_validation": 1_783,
        "excluded_test": 1_369,
    },
    "labels": {"fewest": 1, "most": 11, "different sets": 5_452},
}
