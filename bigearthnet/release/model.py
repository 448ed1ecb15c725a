"""What a release is: all that differs between published archives, as plain values.

Values only, without functions or open files, so that a release can be compared, hashed
and sent to another process.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from bigearthnet.errors import OptionError
from bigearthnet.release.bands import Band, BandGroup
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.release.patch_ids import IdCodec
from bigearthnet.util.options import look_up


@dataclass(frozen=True)
class Digest:
    """A checksum.

    Attributes:
        algorithm: Name of the algorithm, as hashlib knows it.
        hexdigest: The checksum, hexadecimal.
    """

    algorithm: str
    hexdigest: str


@dataclass(frozen=True)
class MetadataKeys:
    """What the JSON of patches is called, and the keys in which it differs.

    Attributes:
        suffix: What the name of a patch's JSON ends in.
        south: Of its coordinates, that of the south edge.
        product: The product that the patch was cut of; its field has the same name.
        time: The sensing time.
        time_field: The field that this is stored as.
        separator: What stands between day and time.
        patch: The patch id, where the archive names patches otherwise; None if it is
            not said.
    """

    suffix: str
    south: str
    product: str
    time: str
    time_field: str
    separator: str
    patch: str | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a release that the JSON says."""
        both = ("projection", "epsg", "coordinates")
        return frozenset({*both, self.product, self.time_field})


@dataclass(frozen=True)
class Archive:
    """One published file of a release, and the layout of what it holds.

    Attributes:
        name: Short name, for example `s2`.
        url: Where it can be downloaded.
        filenames: Names the same bytes were published under; the first is current.
        folder: Folder at its top.
        levels: Folders between the one at the top and that of a patch.
        nbytes: Size in bytes; None if nobody has published it.
        digest: Checksum as published.
        ids: How patches are named in it.
        groups: The bands it holds: each a file `<id>_<band>.tif`.
        metadata: What its JSON of each patch is like; None without JSON.
        has_place: Whether the bands alone say where a patch lies: each must, and it is
            stored.
        spare_suffix: What the name of a file ends in that patches may have besides, and
            that is not read; patches that the release does not have are then counted
            as litter is. None if there must be neither.
        wider: Archives of other releases that hold all its files, and more.
    """

    name: str
    url: str
    filenames: tuple[str, ...]
    folder: str
    levels: int
    nbytes: int | None
    digest: Digest
    ids: IdCodec
    groups: tuple[BandGroup, ...]
    metadata: MetadataKeys | None = None
    has_place: bool = False
    spare_suffix: str | None = None
    wider: tuple[Archive, ...] = ()

    def band_file(self, name: str, band: Band) -> str:
        """Returns the name of the file that holds a band of a patch.

        Args:
            name: How the archive names the patch.
            band: The band.
        """
        return f"{name}_{band.name}.tif"

    @property
    def metadata_suffix(self) -> str | None:
        """What the name of the patch's JSON ends in; None without JSON."""
        return None if self.metadata is None else self.metadata.suffix

    def metadata_file(self, name: str) -> str | None:
        """Returns the name of the file that holds the metadata of a patch, if any.

        Args:
            name: How the archive names the patch.
        """
        return None if self.metadata is None else name + self.metadata.suffix

    def file_names(self, name: str) -> tuple[str, ...]:
        """Returns the names of all files of a patch: its bands and its JSON.

        Args:
            name: How the archive names the patch.
        """
        return tuple([name + suffix for suffix in self._suffixes])

    def published_digest(self, filename: str) -> Digest | None:
        """Returns the checksum that a file must have; None if nobody published it.

        Args:
            filename: Its name, without folders.
        """
        forms = (self, *self.wider)
        return next((f.digest for f in forms if filename in f.filenames), None)

    @functools.cached_property
    def _suffixes(self) -> tuple[str, ...]:
        bands = [
            self.band_file("", band) for group in self.groups for band in group.bands
        ]
        return (*bands, *([self.metadata.suffix] if self.metadata else []))

    @functools.cached_property
    def resolution_m(self) -> int:
        """Pixel size of its finest band, in metres."""
        return min(band.resolution_m for group in self.groups for band in group.bands)

    @functools.cached_property
    def pixel_nbytes(self) -> int:
        """Bytes of the pixels of a patch."""
        return sum(group.nbytes for group in self.groups)


@dataclass(frozen=True)
class LabelSet:
    """The labels of a patch in one nomenclature, and what they are stored as.

    Attributes:
        nomenclature: The vocabulary.
        ids: Feature of the ascending class ids.
        vector: Feature of the multi-hot vector.
    """

    nomenclature: Nomenclature
    ids: str
    vector: str


@dataclass(frozen=True)
class Choice:
    """What a configuration chooses of a release.

    Attributes:
        base: Name without the split scheme, also of folders of tables.
        scheme: Split scheme: the table has a column `<scheme>_split`.
        archives: Names of the archives it takes; the first says which patches it has.
        description: One sentence for people.
        is_rgb: Whether it stores 8-bit pictures in place of bands, and no tables.
        suffix: What folders of its tables, and the table of its patches, end in before
            the split scheme; "" for the first release.
        has_tables: Whether it can be stored as tables of its own. One configuration of
            each suffix, part and split scheme can be, since they share a folder. The
            tables of one that cannot are those of its `Config.parts`.
        part: Folder of its tables within that of several configurations, whose rows are
            then the same; "" for a folder of its own.
    """

    base: str
    scheme: str
    archives: tuple[str, ...]
    description: str
    is_rgb: bool = False
    suffix: str = ""
    has_tables: bool = True
    part: str = ""

    @property
    def name(self) -> str:
        """Name of the configuration, also in paths."""
        return f"{self.base}{scheme_suffix(self.scheme)}"


def scheme_suffix(scheme: str) -> str:
    """Returns what names of a split scheme end in; of the official one, nothing."""
    return "" if scheme == "official" else f"-{scheme}"


@dataclass(frozen=True)
class Release:
    """One release of BigEarthNet.

    Attributes:
        name: Short name, for example `v1.0`.
        data_version: Version of the data that is made of it: a new major version when
            existing examples change.
        num_patches: Patches of the release.
        archives: Its published archives; the ids of the first are the patch ids.
        table: The facts of every patch id: a file of the package data, or the absolute
            path of one like it. See `splits.read_table`.
        label_sets: The labels; the first nomenclature is the one they are published
            in, the others are mapped from it.
        label_column: Column of the table that holds the labels, as bit masks; None if
            they stand in the patches' JSON.
        splits: Names of the splits; the table's numbers are indices into them.
        excluded: Those of them that are stored only if they are asked for.
        fields: Features that are neither bands nor labels, in stored order; a name
            such as `coordinates` stands for all its fields. See `schema.features`.
        rgb: Bands of a picture: red, green, blue; empty if it has none.
        choices: Its configurations; the first is the default.
        has_ids_digest: Whether manifests have the checksum of the ids of each split.
            Those of the first release had none, and do not change.
    """

    name: str
    data_version: str
    num_patches: int
    archives: tuple[Archive, ...]
    table: str
    label_sets: tuple[LabelSet, ...]
    label_column: str | None
    splits: tuple[str, ...]
    excluded: tuple[str, ...]
    fields: tuple[str, ...]
    rgb: tuple[str, ...]
    choices: tuple[Choice, ...]
    has_ids_digest: bool = False

    @property
    def ids(self) -> IdCodec:
        """How patches are named."""
        return self.archives[0].ids

    @property
    def nomenclature(self) -> Nomenclature:
        """The vocabulary that labels are published in."""
        return self.label_sets[0].nomenclature

    @property
    def kept_splits(self) -> tuple[str, ...]:
        """The splits that are stored whatever is asked for."""
        return tuple(split for split in self.splits if split not in self.excluded)

    def archive(self, name: str) -> Archive:
        """Returns an archive by name.

        Args:
            name: Its short name, for example `s2`.

        Raises:
            OptionError: If there is none of that name.
        """
        return look_up({a.name: a for a in self.archives}, name, "source")


def find_release(name: object, known: Iterable[Release]) -> Release:
    """Returns a release by name.

    Args:
        name: The name, from a store for example.
        known: The releases to choose from.

    Raises:
        OptionError: If none of them has it.
    """
    releases = {release.name: release for release in known}
    if not isinstance(name, str) or name not in releases:
        raise OptionError(
            f"unknown release {name!r}: expected {', '.join(releases)}. Pass the "
            "release as release=..., or install a version of the package that has it."
        )
    return releases[name]
