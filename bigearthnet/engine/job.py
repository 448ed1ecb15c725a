"""The build job: all that decides what a build makes, as one value.

Plain data, so that it can be compared with the job of an interrupted build, and sent to
another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import Archive, Digest
from bigearthnet.schema.configs import Config
from bigearthnet.schema.features import Feature
from bigearthnet.store.remote import AnyStore, check_origin


@dataclass(frozen=True)
class JobSource:
    """One source of a build.

    Attributes:
        archive: The published archive that it is, or is laid out like.
        path: An archive or a folder; see `source.open_source`.
        digest: Checksum that a file must have; None for any.
        num_patches: Patches that it must hold; None for any number.
    """

    archive: Archive
    path: Path
    digest: Digest | None = None
    num_patches: int | None = None


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
    """

    config: Config
    sources: tuple[JobSource, ...]
    formats: tuple[str, ...]
    options: BuildOptions
    store: AnyStore | None = None
    drop: tuple[str, ...] = ()

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

    @property
    def schema(self) -> tuple[Feature, ...]:
        """The features that the examples of all formats need."""
        has_columns = any(FORMATS[name].has_columns for name in self.formats)
        return self.config.columns if has_columns else self.config.schema
