"""Patch → example: the one definition of what is stored, whatever the store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release import Archive, LabelSet
from bigearthnet.release.nomenclature import remap_ids
from bigearthnet.release.patch_index import PatchFacts
from bigearthnet.schema import rgb
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.source.patch import Patch
from bigearthnet.util.extras import advise_install

Value: TypeAlias = "str | bytes | int | bool | tuple[int, ...] | npt.NDArray[Any]"
# Feature name → value; the names and types are those of a schema in `features`.
Example: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True)
class PatchContent:
    """All that is known of a patch: from its archives, and from the release's table.

    Attributes:
        patch_id: The patch id.
        labels: Ascending class ids of the release's nomenclature.
        fields: Name of each field of the release → its value.
        groups: Name of each group of bands → shape (band, y, x), of the group's dtype.
    """

    patch_id: str
    labels: tuple[int, ...]
    fields: Mapping[str, str | int | bool]
    groups: Mapping[str, npt.NDArray[Any]]


def assemble(facts: PatchFacts, parts: Iterable[tuple[Archive, Patch]]) -> PatchContent:
    """Puts together what table and archives say of a patch.

    Args:
        facts: What the release's table says of it.
        parts: What each archive of the configuration holds of it.
    """
    labels, fields = facts.labels, facts.fields
    groups: dict[str, npt.NDArray[Any]] = {}
    for archive, patch in parts:
        labels = labels or patch.labels
        fields = {**patch.fields, **fields}
        groups |= patch.groups(archive)
    return PatchContent(facts.patch_id, labels, fields, groups)


MakeExample: TypeAlias = "Callable[[PatchContent], Example]"


def get_make_example(config: Config, schema: tuple[Feature, ...]) -> MakeExample:
    """Returns the function that makes examples.

    Args:
        config: What is stored.
        schema: Its schema, or its columns.

    Raises:
        OptionError: If a package that the schema needs is not installed.
    """
    encoders = {
        feature.name: _ENCODERS[feature.name]
        for feature in schema
        if feature.kind == "image"
    }
    if encoders and find_spec("PIL") is None:
        raise OptionError(
            "8-bit images need Pillow: install the extra [tfds] or [hf], "
            f"{advise_install('hf')}"
        )
    bands = config.release.rgb if encoders else ()
    places = [_find_band(config, band) for band in bands]
    is_rgb = config.choice.is_rgb
    fields = [f.name for f in schema if f.kind in ("text", "integer", "bool", "class")]
    fields.remove("patch_id")
    # Most sets of labels repeat.
    make_labels = functools.lru_cache(maxsize=4096)(
        functools.partial(_make_labels, config.release.label_sets)
    )

    def make_example(patch: PatchContent) -> Example:
        example: Example = {
            **({} if is_rgb else patch.groups),
            "patch_id": patch.patch_id,
            **{name: patch.fields[name] for name in fields},
            **make_labels(patch.labels),
        }
        for name, encode in encoders.items():
            channels = [patch.groups[group][band] for group, band in places]
            example[name] = encode(rgb.to_rgb(channels))
        return example

    return make_example


_ENCODERS = {"image": rgb.encode_png, "preview": rgb.encode_jpeg}


def _find_band(config: Config, name: str) -> tuple[str, int]:
    """Returns the group that holds a band, and its index there."""
    names = {group.name: [b.name for b in group.bands] for group in config.groups}
    return next((g, bands.index(name)) for g, bands in names.items() if name in bands)


def _make_labels(label_sets: tuple[LabelSet, ...], labels: tuple[int, ...]) -> Example:
    """Returns ids and read-only vectors of all label sets."""
    made: Example = {}
    for chosen in label_sets:
        ids = remap_ids(labels, label_sets[0].nomenclature, chosen.nomenclature)
        vector = chosen.nomenclature.multi_hot(ids)
        vector.flags.writeable = False
        made |= {chosen.ids: ids, chosen.vector: vector}
    return made
