from __future__ import annotations

import ast
import csv
import hashlib
import importlib.util
import pickle
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from bigearthnet.errors import LabelError
from bigearthnet.release import nomenclature
from bigearthnet.release.nomenclature import (
    BEN19,
    BEN19_ALPHABETICAL,
    CLC43,
    CLC43_ALPHABETICAL,
    CLC_LEVEL1,
    CLC_LEVEL2,
    Nomenclature,
    decode_mask,
    encode_mask,
    multi_hot,
    remap,
    remap_ids,
)

TABLE = resources.files("bigearthnet") / "data" / "clc_nomenclature.csv"

# Length, first and last label, sha256 of all labels joined by line feeds.
ORDERS = {
    "clc43": (
        43,
        "Continuous urban fabric",
        "Sea and ocean",
        "f030bf752f76fdae2e6b0054ecb4c910bf69d32198f11f6bd7f7121a11408693",
    ),
    "ben19": (
        19,
        "Urban fabric",
        "Marine waters",
        "d614757f9d3f366da880a9e4411e1f3b248165744b81f294872179c87b49e9f1",
    ),
    "clc_level2": (
        15,
        "Urban fabric",
        "Marine waters",
        "eb735d70c991d5d1d9a5ce0385ae200215c4fa1f73b340bb80407983099ec7aa",
    ),
    "clc_level1": (
        5,
        "Artificial Surfaces",
        "Water bodies",
        "a2003113a9d6cbd9b38c7973488fb4e225cc094e44435d449b35a2675aa66470",
    ),
    "clc43_alphabetical": (
        43,
        "Agro-forestry areas",
        "Water courses",
        "c9199717413f79e12502e41e4793727f00fceb2ba369e2acc40f7166889f971c",
    ),
    "ben19_alphabetical": (
        19,
        "Agro-forestry areas",
        "Urban fabric",
        "d73989017ea145ed659b1bde673ec295f382e7379ca3f849f232e898bd8da9d1",
    ),
}


def read_table() -> list[dict[str, str]]:
    """Reads the class table on its own."""
    return list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))


def read_builtin_labels() -> list[str]:
    """Reads `_LABELS` of TFDS's built-in builder, without running (registering) it."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    assert spec is not None
    assert spec.origin is not None
    path = "datasets/bigearthnet/bigearthnet_dataset_builder.py"
    tree = ast.parse((Path(spec.origin).parent / path).read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_LABELS"
    )
    return ast.literal_eval(value)


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_labels_is_frozen(name: str) -> None:
    """Every label of every nomenclature stands where checkpoints expect it."""
    labels = nomenclature.NOMENCLATURES[name].labels
    digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()

    assert ORDERS[name] == (len(labels), labels[0], labels[-1], digest)


def test_every_nomenclature_is_listed() -> None:
    """`NOMENCLATURES` gives each vocabulary under its own name."""
    found = {name: n.name for name, n in nomenclature.NOMENCLATURES.items()}

    assert {name: name for name in ORDERS} == found


def test_the_class_table_is_unchanged() -> None:
    """The class table of the package is byte for byte the compiled one."""
    digest = hashlib.sha256(TABLE.read_bytes()).hexdigest()

    assert "2250dce7db3335e669759197c1f48d4a06f6eb71af9c14061286625a3ad782cb" == digest


def test_the_class_table_counts_the_labels_of_the_paper() -> None:
    """The counts of the paper's Table 2 sum to 1,750,375 labels."""
    counts = [int(row["paper_table2_count"]) for row in read_table()]

    assert 1_750_375 == sum(counts)


def test_classes_are_in_clc_code_order() -> None:
    """CLC43 is in ascending order of the three-digit CLC codes."""
    rows = read_table()
    codes = [int(row["clc_code"]) for row in rows]

    assert sorted(set(codes)) == codes
    assert tuple(row["level3_label"] for row in rows) == CLC43.labels


def test_the_19_classes_keep_merge_and_drop() -> None:
    """BEN19 keeps 10 of the 43 classes, merges 22 into 9 and drops 11."""
    new = remap(CLC43, BEN19)
    sizes = Counter(i for i in new if i is not None)
    merged = {index for index, size in sizes.items() if size > 1}

    assert 10 == sum(size == 1 for size in sizes.values())
    assert (22, 9) == (sum(sizes[index] for index in merged), len(merged))
    assert 11 == new.count(None)


def test_the_two_orders_of_43_agree_on_two_indices() -> None:
    """A model moved between the two orders is silently wrong for 41 classes."""
    pairs = zip(CLC43.labels, CLC43_ALPHABETICAL.labels, strict=True)

    assert 2 == sum(ours == theirs for ours, theirs in pairs)


def test_the_alphabetical_order_is_that_of_tfds() -> None:
    """CLC43_ALPHABETICAL is the list of TFDS's built-in builder."""
    assert read_builtin_labels() == list(CLC43_ALPHABETICAL.labels)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (CLC43, CLC43_ALPHABETICAL),
        (CLC43_ALPHABETICAL, CLC43),
        (BEN19, BEN19_ALPHABETICAL),
        (BEN19_ALPHABETICAL, BEN19),
        (CLC43, CLC43),
    ],
    ids=lambda n: n.name,
)
def test_remap_between_orders_keeps_names(
    source: Nomenclature, target: Nomenclature
) -> None:
    """Between two orders of the same labels, every id keeps its name."""
    table = [i for i in remap(source, target) if i is not None]

    assert source.labels == tuple(target.labels[i] for i in table)


@pytest.mark.parametrize(
    ("target", "column"),
    [
        (BEN19, "ben19_label"),
        (BEN19_ALPHABETICAL, "ben19_label"),
        (CLC_LEVEL2, "level2_label"),
        (CLC_LEVEL1, "level1_label"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@pytest.mark.parametrize("source", [CLC43, CLC43_ALPHABETICAL], ids=lambda n: n.name)
def test_remap_to_coarser_classes_follows_the_table(
    source: Nomenclature, target: Nomenclature, column: str
) -> None:
    """Every level-3 class becomes the class that its row of the table names."""
    coarser = {row["level3_label"]: row[column] for row in read_table()}

    table = remap(source, target)

    assert [coarser[label] for label in source.labels] == [
        "" if i is None else target.labels[i] for i in table
    ]


def test_remap_refuses_what_is_not_defined() -> None:
    """There is no map from coarse classes back to fine ones."""
    with pytest.raises(LabelError, match="no map from ben19 to clc43"):
        remap(BEN19, CLC43)
    with pytest.raises(LabelError, match="no map from clc_level2 to ben19"):
        remap(CLC_LEVEL2, BEN19)


def test_remap_ids_merges_and_drops() -> None:
    """Ids come back ascending and unique, without the dropped classes."""
    names = ["Sea and ocean", "Estuaries", "Airports", "Discontinuous urban fabric"]
    ids = [CLC43.ids[name] for name in names]

    assert BEN19.encode(["Marine waters", "Urban fabric"]) == remap_ids(
        ids, CLC43, BEN19
    )
    assert () == remap_ids([CLC43.ids["Burnt areas"]], CLC43, BEN19)


@pytest.mark.parametrize("index", [-1, 43])
def test_remap_ids_refuses_ids_that_do_not_exist(index: int) -> None:
    """A negative id does not count from the end, as a list's index would."""
    with pytest.raises(LabelError, match=f"0 to 42 of clc43, got {index}"):
        remap_ids([0, index], CLC43, BEN19)


def test_spelling_differs_between_43_and_19() -> None:
    """`Transitional woodland` has a slash among 43 and a comma among 19 classes."""
    slash, comma = "Transitional woodland/shrub", "Transitional woodland, shrub"

    assert (28,) == CLC43.encode([slash])
    assert (13,) == BEN19.encode([comma])
    assert 13 == remap(CLC43, BEN19)[28]
    with pytest.raises(LabelError, match=f"clc43, got '{comma}'"):
        CLC43.encode([comma])
    with pytest.raises(LabelError, match=f"ben19, got '{slash}'"):
        BEN19.encode([slash])


@pytest.mark.parametrize("name", ORDERS)
def test_encode_and_decode_are_inverses(name: str) -> None:
    """All labels, encoded in reverse order, come back in the nomenclature's order."""
    vocabulary = nomenclature.NOMENCLATURES[name]

    ids = vocabulary.encode(reversed(vocabulary.labels))

    assert tuple(range(len(vocabulary))) == ids
    assert vocabulary.labels == vocabulary.decode(ids)


def test_decode_keeps_the_order_given() -> None:
    """Ids are turned into names one by one, in the order in which they come."""
    assert ("Sea and ocean", "Continuous urban fabric") == CLC43.decode([42, 0])


@pytest.mark.parametrize("label", ["Pasture", "pastures", "Pastures ", "", 17, None])
def test_encode_refuses_unknown_labels(label: object) -> None:
    """A label in another spelling or of another type is an error that shows it."""
    with pytest.raises(LabelError, match=f"got {label!r}"):
        CLC43.encode(["Airports", label])  # type: ignore[list-item]


def test_encode_refuses_labels_that_cannot_be_hashed() -> None:
    """A list in place of a label is an unknown label, not a TypeError."""
    with pytest.raises(LabelError, match=r"got \['Pastures'\]"):
        CLC43.encode(["Airports", ["Pastures"]])  # type: ignore[list-item]


def test_encode_refuses_duplicates() -> None:
    """A label that comes twice is an error that shows it."""
    with pytest.raises(LabelError, match=r"comes twice in .*'Pastures'"):
        CLC43.encode(["Pastures", "Airports", "Pastures"])


@pytest.mark.parametrize("index", [-1, 19, 100])
def test_decode_refuses_ids_that_do_not_exist(index: int) -> None:
    """An id outside the nomenclature is an error that shows it."""
    with pytest.raises(LabelError, match=f"0 to 18 of ben19, got {index}"):
        BEN19.decode([0, index])
    with pytest.raises(LabelError, match=f"0 to 18 of ben19, got {index}"):
        BEN19.multi_hot([0, index])


@pytest.mark.parametrize("ids", [(), (0,), (3, 18), (18, 3, 3)])
def test_multi_hot_is_one_at_the_ids(ids: tuple[int, ...]) -> None:
    """The vector has one entry per class: 1 at each id, 0 elsewhere."""
    vector = BEN19.multi_hot(ids)

    assert [int(i in ids) for i in range(19)] == vector.tolist()
    assert "uint8" == vector.dtype


def test_multi_hot_of_lists_marks_the_ids_of_each_patch() -> None:
    """Each row has 1 at its ids, in any order and repeated, and 0 elsewhere."""
    found = multi_hot([[2, 0], [], [3], [1, 1]], 4)

    assert np.uint8 == found.dtype
    assert [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]] == found.tolist()


def test_multi_hot_of_nothing_has_no_rows() -> None:
    """No patches are no rows; patches without labels are rows of zeros."""
    assert (0, 43) == multi_hot([], 43).shape
    assert np.zeros((2, 19)).tolist() == multi_hot([[], []], 19).tolist()


@pytest.mark.parametrize("wrong", [-1, 19, 42])
def test_multi_hot_refuses_ids_of_no_class(wrong: int) -> None:
    """The error names the id and the range."""
    with pytest.raises(LabelError, match=f"expected 0 to 18, got {wrong}"):
        multi_hot([[3], [18, wrong]], 19)


@pytest.mark.parametrize("ids", [(), (0,), (3, 18), tuple(range(43)), (0, 63)])
def test_masks_hold_the_ids(ids: tuple[int, ...]) -> None:
    """Ids come back ascending from the bits they are packed into, 64 at most."""
    mask = encode_mask(reversed(ids))

    assert sum(2**number for number in ids) == mask < 2**64
    assert ids == decode_mask(mask)


def test_nomenclatures_survive_pickling() -> None:
    """A nomenclature can be sent to another process, used or not."""
    assert CLC43.ids

    assert CLC43 == pickle.loads(pickle.dumps(CLC43))
