"""croissant.json of a Parquet store: what machines that search for data sets read.

Source: MLCommons, Croissant Format Specification 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from bigearthnet.release.texts import read_citation, read_description
from bigearthnet.schema.features import Feature
from bigearthnet.store import MANIFEST, Store
from bigearthnet.util.files import hash_file, write_json
from builder.card.header import find_sensors

CROISSANT = "croissant.json"

_LICENSE: Final = "https://cdla.dev/permissive-1-0/"
_HOMEPAGE: Final = "https://bigearth.net"
# Authors and day of a release's paper: of that of v1.0 the first of IGARSS 2019.
_FIRST_PAPER: Final = (
    ("Gencer Sumbul", "Marcela Charfuelan", "Begüm Demir", "Volker Markl"),
    "2019-07-28",
)
_PAPERS: Final = {
    "v2.0": (
        (
            *("Kai Norman Clasen", "Leonard Hackel", "Tom Burgert"),
            *("Gencer Sumbul", "Begüm Demir", "Volker Markl"),
        ),
        "2024-07-04",
    )
}

# The terms that the specification asks for, each with what it means.
_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            "arrayShape",
            "citeAs",
            "column",
            "containedIn",
            "equivalentProperty",
            "extract",
            "field",
            "fileObject",
            "fileProperty",
            "fileSet",
            "format",
            "includes",
            "isArray",
            "isLiveDataset",
            "jsonPath",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
            "samplingRate",
            "separator",
            "source",
            "subField",
            "transform",
        )
    },
}

# Croissant's name of each type that columns have.
_TYPES: Final[Mapping[str, str]] = {
    "bool": "sc:Boolean",
    "float32": "cr:Float32",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "uint8": "cr:UInt8",
    "uint16": "cr:UInt16",
}


def write_croissant(store: Store) -> None:
    """Writes croissant.json into the folder of a finished Parquet store."""
    write_json(make_croissant(store), store.folder / CROISSANT)


def make_croissant(store: Store) -> dict[str, Any]:
    """Returns the description of a Parquet store, as JSON-LD.

    A record set for each split, whose fields are all columns; bands have their shape
    and type. A nomenclature is a record set, too: class id → name.

    Args:
        store: A Parquet store.
    """
    release = store.config.release
    authors, day = _PAPERS.get(release.name, _FIRST_PAPER)
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"BigEarthNet {release.name}, {store.config.name}",
        "description": read_description(release),
        "citeAs": read_citation(release),
        "url": _HOMEPAGE,
        "license": _LICENSE,
        "creator": [{"@type": "sc:Person", "name": name} for name in authors],
        "datePublished": day,
        "version": release.data_version,
        "isLiveDataset": False,
        "keywords": [
            "remote sensing",
            *find_sensors(store.config),
            *("land cover", "multi-label"),
        ],
        "sdVersion": metadata.version("bigearthnet"),
        "distribution": [_make_manifest(store), *_make_file_sets(store)],
        "recordSet": [
            *(_make_nomenclature(f) for f in store.config.columns if f.labels),
            *(_make_record_set(store, split) for split in store.splits),
        ],
    }


def _make_manifest(store: Store) -> dict[str, Any]:
    path = store.folder / MANIFEST
    return {
        "@type": "cr:FileObject",
        "@id": MANIFEST,
        "name": MANIFEST,
        "description": "Rows, size and sha256 of every shard.",
        "contentUrl": MANIFEST,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/json",
        "sha256": hash_file(path),
    }


def _make_file_sets(store: Store) -> list[dict[str, Any]]:
    base = store.config.choice.base
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"files-{split}",
            "name": f"files-{split}",
            "description": f"The {store.num_patches(split)} patches of {split}.",
            "includes": f"{base}/{split}-*.parquet",
            "encodingFormat": "application/x-parquet",
        }
        for split in store.splits
    ]


def _make_nomenclature(feature: Feature) -> dict[str, Any]:
    """Returns class id → name of a column of classes."""
    name = f"classes-{feature.name}"
    columns = (("id", "sc:Integer"), ("name", "sc:Text"))
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"What the ids in the column {feature.name} mean.",
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{name}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": f"{name}/{column}",
                "dataType": kind,
            }
            for column, kind in columns
        ],
        "data": [
            {f"{name}/id": number, f"{name}/name": label}
            for number, label in enumerate(feature.labels)
        ],
    }


def _make_record_set(store: Store, split: str) -> dict[str, Any]:
    groups: dict[str, list[Feature]] = {}
    for feature in store.config.columns:
        groups.setdefault(feature.name.partition("/")[0], []).append(feature)
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The patches of {split}.",
        "key": {"@id": f"{split}/patch_id"},
        "field": [
            _make_field(split, features[0])
            if features[0].name == column
            else _make_group(split, column, features)
            for column, features in groups.items()
        ],
    }


def _make_group(split: str, column: str, features: list[Feature]) -> dict[str, Any]:
    """Returns the field of a column that is a structure."""
    return {
        "@type": "cr:Field",
        "@id": f"{split}/{column}",
        "name": f"{split}/{column}",
        "description": f"Structure of the column {column}.",
        "subField": [_make_field(split, feature) for feature in features],
    }


def _make_field(split: str, feature: Feature) -> dict[str, Any]:
    column, _, part = feature.name.partition("/")
    source: dict[str, Any] = {
        "fileSet": {"@id": f"files-{split}"},
        "extract": {"column": column},
    }
    # A picture is a structure of its bytes and a path.
    if part or feature.kind == "image":
        source["transform"] = {"jsonPath": part or "bytes"}
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{split}/{feature.name}",
        "name": f"{split}/{feature.name}",
        "description": feature.description,
        "dataType": _type_of(feature),
        "source": source,
    }
    if feature.kind == "tensor":
        shape = ",".join(map(str, feature.shape))
        return {**field, "isArray": True, "arrayShape": shape}
    if feature.kind == "classes":
        return {**field, "isArray": True, "arrayShape": "-1"}
    return field


def _type_of(feature: Feature) -> str:
    match feature.kind:
        case "text":
            return "sc:Text"
        case "image":
            return "sc:ImageObject"
        case _:
            return _TYPES[feature.dtype]
