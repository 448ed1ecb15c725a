"""The TFDS builder: glue between TensorFlow Datasets and the engine.

`download_and_prepare` runs the engine (`bigearthnet.engine`); `_split_generators` and
`_generate_examples` are the same thing written the plain TFDS way, 5 times as slow, and
serve as the reference that the tests compare the engine with.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from bigearthnet.archives import find_archives, make_sources
from bigearthnet.download.local import count_missing
from bigearthnet.engine.beside import find_beside
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.leftovers import remove_finished, remove_leftovers
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.places import check_places
from bigearthnet.engine.workspace import open_workspace, workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES, Release
from bigearthnet.release.patch_index import load_index
from bigearthnet.release.texts import has_own, read_citation, read_description
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.schema.examples import assemble, get_make_example
from bigearthnet.schema.features import nest, tfds_features
from bigearthnet.source import open_source
from bigearthnet.source.patch import Patch, decode_patch
from bigearthnet.store import MANIFEST, read_store
from bigearthnet.store.nearby import is_store
from bigearthnet.store.outputs import check_output
from bigearthnet.store.remote import check_same_patches, open_origin
from bigearthnet.tfds_support import (
    refuse_old_config,
    refuse_options,
    refuse_supervised,
    register_visualizer,
    set_splits,
)
from bigearthnet.util.files import link_files, sync_folder, sync_tree
from bigearthnet.util.paths import check_path, local_path
from bigearthnet.util.remote import is_url

_HOMEPAGE = "https://bigearth.net"
# The one place elsewhere that TensorFlow reads prepared data from.
_BUCKET = "gs://"

_NOT_READ = (
    "data_dir: expected a path on this machine, got {url!r}: TensorFlow reads nothing "
    'there. Prepare it here, tfds.load("bigearthnet", builder_kwargs={{"source": '
    "{url!r}}}); or stream it, bigearthnet.load(split, {url!r}); or mirror it, "
    "python -m builder.download --from={url}."
)


class Builder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """BigEarthNet as `tfds.load("bigearthnet/<config>")`; see `README.md` beside.

    A class derived from it builds the releases that it sets as RELEASES.
    """

    RELEASES: tuple[Release, ...] = RELEASES
    RELEASE_NOTES = {  # noqa: RUF012 - the name and type are TFDS's
        "2.0.0": "All 12 bands as uint16 at native resolution, official splits."
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Tells TFDS name, texts and configurations; it must not register the class."""
        cls.name, cls.pkg_dir_path = Builder.name, Builder._get_pkg_dir_path()
        super().__init_subclass__(**{**options, "skip_registration": True})
        _describe_releases(cls)

    def __init__(
        self,
        *,
        data_dir: Path | str | None = None,
        source: Path | str | None = None,
        **options: Any,
    ) -> None:
        """Takes a data directory, and a source; see `tfds.core.DatasetBuilder`.

        Args:
            data_dir: A path, a `file://` URL, or a bucket of `gs://`, which can be read
                from.
            source: A store to prepare the data set of, in place of the archive: the URL
                of a published Parquet store (`hf://datasets/ORG/NAME@REVISION`,
                `s3://`, `gs://`, `https://`), or the folder of a store of any format,
                or a data directory that has one. None for the archive.
            options: The others, of TFDS.

        Raises:
            OptionError: If the data directory is the URL of any other place, or the
                configuration is one of TFDS's built-in.
        """
        refuse_old_config(options.get("config"))
        if data_dir is not None and not str(data_dir).startswith(_BUCKET):
            if is_url(data_dir):
                raise OptionError(_NOT_READ.format(url=data_dir))
            data_dir = local_path(data_dir, "data_dir")
        self._source = source
        super().__init__(data_dir=data_dir, **options)

    @property
    def config(self) -> Config:
        """The configuration that is built."""
        return get_config(self.builder_config.name, self.RELEASES)

    def _info(self) -> tfds.core.DatasetInfo:
        release = self.config.release
        options = {
            "features": tfds_features(self.config.schema),
            "homepage": _HOMEPAGE,
            "supervised_keys": self.config.supervised_keys,
        }
        if has_own(release):
            options["description"] = read_description(release)
            options["citation"] = read_citation(release)
            info = tfds.core.DatasetInfo(builder=self, **options)
        else:  # TFDS reads those of the first itself
            info = self.dataset_info_from_configs(**options)
        info.download_size = sum(a.nbytes or 0 for a in self.config.archives)
        return info

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        """Runs the engine; TFDS publishes the folder only if it returns.

        TFDS deletes its folder after an error. What is done is kept in a workspace
        beside, and the folder gets links to it.
        """
        refuse_options(self.info.file_format.value, download_config)
        again = download_config.download_mode.force_download
        source = self._source
        origin = None if source is None else open_origin(source, self.config)
        sources = () if origin else self._find_sources(dl_manager, again)
        check_places(Path(self.data_dir_root), self.config, sources)
        beside = find_beside(self._root, self.config)
        options = BuildOptions()
        job = Job(self.config, sources, ("tfrecord",), options, origin, beside=beside)
        output = Path(self.data_dir)
        with open_workspace(self._workspace, identify_build(job)) as work:
            version = job.config.release.data_version
            remove_leftovers(output.with_name(version), keep=output)
            result = run(job, work)
            link_files(work.output("tfrecord"), output)
        set_splits(self.info, output, result.shards)

    def as_dataset(self, *args: Any, **options: Any) -> Any:
        """Loads the data set; see `tfds.core.DatasetBuilder`.

        Raises:
            StoreError: If it was written with other classes, bands or splits than this
                package has.
            OptionError: If `as_supervised` has no meaning.
        """
        if options.get("as_supervised"):
            refuse_supervised(self.config)
        if (Path(self.data_dir) / MANIFEST).is_file():
            read_store(Path(self.data_dir), self.RELEASES)
        return super().as_dataset(*args, **options)

    @property
    def _root(self) -> Path:
        """The data directory that TFDS was given."""
        return Path(self.data_dir).parents[2]

    @property
    def _workspace(self) -> Path:
        return workspace_folder(self._root, self.config)

    def download_and_prepare(
        self,
        *,
        download_dir: Path | str | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        **options: Any,
    ) -> None:
        """Prepares the data set; see `tfds.core.DatasetBuilder`.

        What was interrupted is resumed.

        Raises:
            OptionError: If a folder is not on this machine, the data directory lies
                where nothing may be written, the manual folder that was named holds
                nothing, an option cannot be fulfilled, or the data set is prepared, of
                other patches than the source has.
            ArchiveError: If what is in the manual folder cannot be read, or it is not
                clear what to read.
        """
        config = download_config or tfds.download.DownloadConfig()
        if config.download_mode.overwrite_dataset or not self.data_path.exists():
            if download_dir is not None:
                download_dir = local_path(download_dir, "download_dir")
            if config.manual_dir is not None:
                manual = local_path(config.manual_dir, "manual_dir")
                config = dataclasses.replace(config, manual_dir=manual)
            self._check_folders(download_dir, config)
        elif self._source is not None:
            prepared = read_store(Path(self.data_dir), self.RELEASES)
            check_same_patches(prepared, open_origin(self._source, self.config))
        super().download_and_prepare(
            download_dir=download_dir, download_config=config, **options
        )
        if self._workspace.exists():
            # Not before the name that TFDS gave the folder is durable.
            sync_tree(Path(self.data_dir))
            sync_folder(Path(self.data_dir).parent)
            remove_finished(self._workspace, ["tfrecord"])

    def _check_folders(
        self, download_dir: Path | None, config: tfds.download.DownloadConfig
    ) -> None:
        """Refuses what would end in an unwanted download, before anything is written.

        Also tells TFDS how much is to be downloaded, which it prints.
        """
        check_path(self.data_dir_root, "data_dir")
        if is_store(self._root):
            raise OptionError(
                f"data_dir={str(self._root)!r} is a store, not a data directory: read "
                "it with bigearthnet.load or, if it is TFRecord, "
                "tfds.builder_from_directory, or name the directory that holds it."
            )
        check_output(self._root, "data_dir")
        if self._source is not None:
            self.info.download_size = 0  # not the archive; what is read is not kept
            return
        downloads = download_dir or self._root / "downloads"
        manual = Path(config.manual_dir or downloads / "manual")
        if config.manual_dir and not (manual.is_dir() and any(manual.iterdir())):
            raise OptionError(
                f"manual_dir={str(manual)!r} is missing or empty: expected the folder "
                "that holds the archive. Leave it out to have the archive downloaded."
            )
        again = config.download_mode.force_download
        found = find_archives(self.config, manual, downloads, again)
        self.info.download_size = count_missing(found, self._root)

    def _find_sources(
        self, dl_manager: tfds.download.DownloadManager, again: bool = False
    ) -> tuple[JobSource, ...]:
        """Returns the sources; those that are not there are downloaded.

        Args:
            dl_manager: Knows the folders.
            again: Whether to download an archive that exists once more.
        """
        downloads = Path(dl_manager.download_dir)
        try:
            manual = Path(dl_manager.manual_dir)
        except AssertionError:  # TFDS: the folder is missing or empty
            manual = downloads / "manual"
        found = find_archives(self.config, manual, downloads, again)
        return make_sources(found, self.config, self._root)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        sources = self._find_sources(dl_manager)
        return {
            split: self._generate_examples(sources, split)
            for split in self.config.release.kept_splits
        }

    def _generate_examples(
        self, sources: tuple[JobSource, ...], split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields patch id and example of every patch of a split; the reference.

        What the sources after the first one hold of a split is kept in memory.
        """
        patches = load_index(self.config.release, self.config.choice.scheme)
        make_example = get_make_example(self.config, self.config.schema)
        first, *others = sources
        parts = [(source.archive, dict(self._read(source, split))) for source in others]
        for row, patch in self._read(first, split):
            others_of_row = [(archive, found[row]) for archive, found in parts]
            (facts,) = patches.describe([row])
            content = assemble(facts, [(first.archive, patch), *others_of_row])
            example = nest(make_example(content))
            if isinstance(png := example.get("image"), bytes):
                example["image"] = io.BytesIO(png)  # TFDS takes it as it is
            yield content.patch_id, example

    def _read(self, source: JobSource, split: str) -> Iterator[tuple[int, Patch]]:
        """Yields row and content of every patch of a split that a source holds."""
        patches = load_index(self.config.release, self.config.choice.scheme)
        nomenclature = self.config.release.nomenclature
        with open_source(source.path, source.archive) as opened:
            for raw in opened.patches(patches):
                if patches.split(raw.row) == split:
                    yield raw.row, decode_patch(raw, source.archive, nomenclature)


def _describe_releases(builder: type[Builder]) -> None:
    """Sets those attributes of a builder that TFDS reads from its class."""
    first = builder.RELEASES[0]
    builder.VERSION = tfds.core.Version(first.data_version)
    builder.BUILDER_CONFIGS = [
        _describe_config(config, has_own_version=config.release != first)
        for config in list_configs(builder.RELEASES).values()
    ]
    builder.DEFAULT_BUILDER_CONFIG_NAME = first.choices[0].name
    archives = [archive for release in builder.RELEASES for archive in release.archives]
    names = ", ".join(archive.filenames[0] for archive in archives)
    folders = ", ".join(archive.folder for archive in archives)
    builder.MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Nothing is needed: the archive is downloaded. To use a copy that you have, "
        f"put {names}, a .tar or .tar.zst of the same content under any name, or the "
        f"folder {folders} that it was extracted to, into this directory."
    )


def _describe_config(config: Config, has_own_version: bool) -> tfds.core.BuilderConfig:
    version, text = config.release.data_version, config.choice.description
    own = {"version": tfds.core.Version(version), "release_notes": {version: text}}
    return tfds.core.BuilderConfig(
        name=config.name, description=text, **(own if has_own_version else {})
    )


_describe_releases(Builder)
register_visualizer()
