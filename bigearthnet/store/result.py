"""The result of a build: what was read and written; manifests are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import Config
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store.quarantine import BadPatch
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import FileInfo


@dataclass(frozen=True)
class ShardInfo:
    """One shard that was written.

    Attributes:
        split: Name of its split.
        num_patches: Examples in it.
        files: Name of each store, which is its format's unless a build makes several of
            one format → the file that was written.
        sums: Sums over its pixels; empty where they were not asked for.
    """

    split: str
    num_patches: int
    files: Mapping[str, FileInfo]
    sums: BandSums


@dataclass(frozen=True)
class SourceInfo:
    """One source that was read.

    Attributes:
        archive: Name of the archive.
        filename: Name of the file or folder.
        nbytes: Size of the file in bytes; None for a folder.
        sha256: Its checksum; None for a folder, or if it was not read to its end
            because of a limit.
        litter: Kind of what other programs left in it → how much was left out.
        places: How well its good patches agree about where they lie.
    """

    archive: str
    filename: str
    nbytes: int | None
    sha256: str | None
    litter: Mapping[str, int] = field(default_factory=dict)
    places: PlaceCounts = field(default_factory=PlaceCounts)


@dataclass(frozen=True)
class BuildResult:
    """What a build read and wrote.

    Attributes:
        config: What was stored.
        patches: The patches of the release; the arrays below have a row for each.
        read: True for each patch that was read and is good, shape (patch,).
        stored: True for each patch that is stored, shape (patch,).
        labels: Class ids as bit masks, shape (patch,), uint64; of patches not read,
            without meaning.
        scenes: When and where each patch was taken, shape (patch,), SCENE_DTYPE; of
            patches not read, without meaning.
        num_synthetic: Patches read that say that they are synthetic.
        shards: The shards, by split and number.
        sums: Sums over the pixels of the split that has statistics.
        sources: What was read.
        quarantine: The bad patches that were set aside.
        origin: Of a build from a finished store, what `describe_origin` says of it.
        ids_sha256: Split → checksum of the ids of its patches, in stored order; see
            `engine.shards.hash_ids`.
        is_beside: Whether the store of another part said which patches are stored.
    """

    config: Config
    patches: PatchIndex
    read: npt.NDArray[np.bool_]
    stored: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint64]
    scenes: npt.NDArray[np.void]
    num_synthetic: int
    shards: tuple[ShardInfo, ...]
    sums: BandSums
    sources: tuple[SourceInfo, ...]
    quarantine: tuple[BadPatch, ...] = ()
    origin: Mapping[str, str | None] = field(default_factory=dict)
    ids_sha256: Mapping[str, str] = field(default_factory=dict)
    is_beside: bool = False

    def choose(self, config: Config, stores: Mapping[str, str]) -> BuildResult:
        """Returns what a build read and wrote of one of its configurations.

        Args:
            config: The configuration.
            stores: Name of each of its stores → name of the format, by which files are
                known in what is returned.
        """
        shards = tuple(
            replace(
                shard,
                files={form: shard.files[name] for name, form in stores.items()},
            )
            for shard in self.shards
        )
        names = config.choice.archives
        return replace(
            self,
            config=config,
            shards=shards,
            sums=self.sums.choose(config.groups),
            sources=tuple(s for s in self.sources if self.origin or s.archive in names),
        )
