"""Configurations: what is stored of a release, and in which splits.

Whatever depends on a configuration derives from it here: features, columns, the views
of a Parquet store.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bigearthnet.release import Archive, Choice, Release
from bigearthnet.release.bands import BandGroup
from bigearthnet.schema.features import (
    Feature,
    make_columns,
    make_rgb_schema,
    make_schema,
)
from bigearthnet.util.options import look_up


@dataclass(frozen=True)
class Config:
    """One configuration of the dataset.

    Attributes:
        release: The release that it belongs to.
        choice: What it chooses of that.
    """

    release: Release
    choice: Choice

    @property
    def name(self) -> str:
        """Name of the configuration, also in paths."""
        return self.choice.name

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The archives it is made of; the first says which patches it has."""
        return tuple(self.release.archive(name) for name in self.choice.archives)

    @property
    def groups(self) -> tuple[BandGroup, ...]:
        """The bands of these, stored or not."""
        return tuple(group for archive in self.archives for group in archive.groups)

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """Fields of the release, without those that only other archives say."""

        def said(archives: Iterable[Archive]) -> set[str]:
            return {f for a in archives if a.metadata for f in a.metadata.fields}

        others = said(self.release.archives) - said(self.archives)
        return frozenset(self.release.fields) - others

    @functools.cached_property
    def schema(self) -> tuple[Feature, ...]:
        """The features of an example."""
        if self.choice.is_rgb:
            return make_rgb_schema(self.release, self.fields)
        return make_schema(self.release, self.groups, self.fields)

    @functools.cached_property
    def columns(self) -> tuple[Feature, ...]:
        """The features of the stores that are tables; empty if there are none."""
        if self.choice.is_rgb or not self.choice.has_tables:
            return ()
        return make_columns(self.release, self.groups, self.fields)

    @functools.cached_property
    def parts(self) -> tuple[Config, ...]:
        """The configurations that its tables are of: itself, if it has tables.

        The tables of one of several sensors are those of its sensors, which have the
        same patches in the same order. Empty if there are no tables.
        """
        if self.columns or self.choice.is_rgb:
            return (self,) if self.columns else ()
        wanted = set(self.choice.archives)
        return tuple(
            other
            for other in list_configs([self.release]).values()
            if other.columns
            and other.choice.scheme == self.choice.scheme
            and wanted.issuperset(other.choice.archives)
        )

    @property
    def whole(self) -> Config | None:
        """The configuration that it is a part of, if any."""
        for other in list_configs([self.release]).values():
            if other != self and self in other.parts:
                return other
        return None

    @property
    def siblings(self) -> tuple[Config, ...]:
        """The other parts of the configuration that it is a part of, if any."""
        parts = self.whole.parts if self.whole else ()
        return tuple(part for part in parts if part != self)

    @property
    def supervised_keys(self) -> tuple[str, str] | None:
        """Features of `as_supervised=True`, or None."""
        vector = self.release.label_sets[0].vector
        return ("image", vector) if self.choice.is_rgb else None

    @property
    def views(self) -> Mapping[str, tuple[str, ...]]:
        """Choices of columns that share the files of a Parquet store.

        Returns:
            The name that `datasets.load_dataset` takes → columns, groups of fields as
            one; the first is the default.
        """
        sets, base = self.release.label_sets, self.choice.base
        names = {chosen: {chosen.ids, chosen.vector} for chosen in sets}
        all_labels = {name for pair in names.values() for name in pair}
        stored = self._columns_without(())
        if self.archives[0] == self.release.archives[0]:
            views = {
                f"{base}-{len(chosen.nomenclature)}": self._columns_without(
                    all_labels - own
                )
                for chosen, own in names.items()
            }
        else:  # whose labels are those of the first
            views = {base: stored}
        small = ("patch_id", sets[0].ids, sets[0].vector, "bands_10m")
        if set(small) <= set(stored):
            # Views of parts stand side by side in the card of their folder.
            folder = self.choice.suffix.lstrip("-") if self.choice.part else base
            views[f"{folder}-10m"] = small
        if "preview" in stored:
            views["preview"] = self._columns_without(g.name for g in self.groups)
        return views

    def _columns_without(self, names: Iterable[str]) -> tuple[str, ...]:
        left_out = set(names)
        columns = dict.fromkeys(f.name.partition("/")[0] for f in self.columns)
        return tuple(column for column in columns if column not in left_out)


def list_configs(releases: Iterable[Release]) -> dict[str, Config]:
    """Returns all configurations of some releases, by name."""
    return {
        choice.name: Config(release, choice)
        for release in releases
        for choice in release.choices
    }


def get_config(name: str, releases: Iterable[Release]) -> Config:
    """Returns a configuration by name.

    Args:
        name: The name.
        releases: The releases that may have it.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(list_configs(releases), name, "config")
