"""The build job: all that decides what a build makes, as one value.

Plain data, so that it can be compared with the job of an interrupted build, and sent to
another process.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import Archive, Digest
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.store import Store
from bigearthnet.store.remote import AnyStore, check_origin
from bigearthnet.util.remote import Place


@dataclass(frozen=True)
class JobSource:
    """One source of a build.

    Attributes:
        archive: The published archive that it is, or is laid out like.
        path: An archive or a folder; see `source.open_source`. Those at a URL are read
            in parts alone; see `source.parts.list_parts`.
        digest: Checksum that a file must have; None for any.
        num_patches: Patches that it must hold; None for any number.
    """

    archive: Archive
    path: Place
    digest: Digest | None = None
    num_patches: int | None = None


@dataclass(frozen=True)
class Part:
    """The stores of one configuration among those that a build makes.

    Attributes:
        config: What they store.
        stores: Name of each, which is also that of its folder in the workspace → name
            of its format.
    """

    config: Config
    stores: Mapping[str, str]

    @property
    def schema(self) -> tuple[Feature, ...]:
        """The features that the examples of all its formats need."""
        has_columns = any(FORMATS[form].has_columns for form in self.stores.values())
        return self.config.columns if has_columns else self.config.schema

    @property
    def patch_nbytes(self) -> int:
        """The most bytes that a stored patch takes in all of them, on average."""
        formats = [FORMATS[form] for form in self.stores.values()]
        return sum(form.patch_nbytes(self.config) for form in formats)


def list_parts(config: Config, formats: Sequence[str]) -> tuple[Part, ...]:
    """Returns the stores that a configuration becomes in some formats.

    Args:
        config: The configuration. Where it has no tables of its own, those of its parts
            are made in their place.
        formats: Names of the formats.
    """
    tables = [n for n in formats if FORMATS[n].has_columns and not config.columns]
    own = {name: name for name in formats if name not in tables}
    parts = [Part(config, own)] if own else []
    for part in config.parts if tables else ():
        parts.append(Part(part, {f"{name}-{part.name}": name for name in tables}))
    return tuple(parts)


@dataclass(frozen=True)
class Job:
    """One build: what is made, of what, and how.

    Attributes:
        config: What to store.
        sources: A source for each archive of the configuration, in the same order; they
            are read one after another.
        formats: Names of the formats to write, in one pass; see `formats.FORMATS`.
        options: Selection of patches, and workers.
        store: The finished store that it is made of, in place of sources.
        drop: Ids of patches that are set aside as if they were bad; of a store alone.
        beside: The finished store of another part of the same tables, whose patches are
            to be stored, all and no others; None if there is none.
    """

    config: Config
    sources: tuple[JobSource, ...]
    formats: tuple[str, ...]
    options: BuildOptions
    store: AnyStore | None = None
    drop: tuple[str, ...] = ()
    beside: Store | None = None

    def __post_init__(self) -> None:
        """Checks that there is a source for each archive, or a store of all of them.

        Raises:
            OptionError: If one is missing, or there is one too many; or the store has
                another release, split scheme or archives.
        """
        if self.store is not None:
            check_origin(self.store, self.config)
            return
        expected = [archive.name for archive in self.config.archives]
        found = [source.archive.name for source in self.sources]
        if found != expected:
            raise OptionError(
                f"config {self.config.name} is built from {', '.join(expected)}: got "
                f"{', '.join(found) or 'no source'}."
            )

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The stores that are made, of each configuration."""
        return list_parts(self.config, self.formats)

    @property
    def stores(self) -> list[str]:
        """The names of the stores that are made."""
        return [name for part in self.parts for name in part.stores]

    @property
    def patch_nbytes(self) -> int:
        """The most bytes that a patch takes in all of these, on average."""
        return sum(part.patch_nbytes for part in self.parts)
