"""The TFDS builder: glue between TensorFlow Datasets and the engine.

`download_and_prepare` runs the engine (`bigearthnet.engine`); `_split_generators` and
`_generate_examples` are the same thing written the plain TFDS way, 5 times as slow, and
serve as the reference that the tests compare the engine with.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from bigearthnet.download import fetch
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.leftovers import remove_finished, remove_leftovers
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.workspace import open_workspace, workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.release import V1, Archive, Release
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.schema.examples import assemble, get_make_example
from bigearthnet.schema.features import nest, tfds_features
from bigearthnet.source import open_source
from bigearthnet.source.patch import Patch, decode_patch
from bigearthnet.store import MANIFEST, read_store
from bigearthnet.store.remote import check_same_patches, open_origin
from bigearthnet.store.result import ShardInfo
from bigearthnet.util.files import link_files, sync_folder, sync_tree

_HOMEPAGE = "https://bigearth.net"


class Builder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """BigEarthNet as `tfds.load("bigearthnet/<config>")`; see `README.md` beside.

    A class derived from it builds the release that it sets as RELEASE.
    """

    RELEASE: Release = V1
    RELEASE_NOTES = {  # noqa: RUF012 - the name and type are TFDS's
        "2.0.0": "All 12 bands as uint16 at native resolution, official splits."
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Tells TFDS name, texts and configurations; it must not register the class."""
        cls.name, cls.pkg_dir_path = Builder.name, Builder._get_pkg_dir_path()
        super().__init_subclass__(**{**options, "skip_registration": True})
        _describe_release(cls)

    def __init__(self, *, source: Path | str | None = None, **options: Any) -> None:
        """Takes the options of `tfds.core.DatasetBuilder`, and a source.

        Args:
            source: A published Parquet store to prepare the data set of, in place of
                the archive: its URL (`hf://datasets/ORG/NAME@REVISION`, `s3://`,
                `gs://`, `https://`), or a folder. None for the archive.
            options: The others, of TFDS.
        """
        self._source = source
        super().__init__(**options)

    @property
    def config(self) -> Config:
        """The configuration that is built."""
        return get_config(self.builder_config.name, [self.RELEASE])

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_features(self.config.schema),
            homepage=_HOMEPAGE,
            supervised_keys=self.config.supervised_keys,
        )

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
        job = Job(self.config, sources, ("tfrecord",), BuildOptions(), origin)
        output = Path(self.data_dir)
        with open_workspace(self._workspace, identify_build(job)) as work:
            version = self.RELEASE.data_version
            remove_leftovers(output.with_name(version), keep=output)
            result = run(job, work)
            link_files(work.output("tfrecord"), output)
        set_splits(self.info, output, result.shards)

    def as_dataset(self, *args: Any, **options: Any) -> Any:
        """Loads the data set; see `tfds.core.DatasetBuilder`.

        Raises:
            StoreError: If it was written with other classes, bands or splits than this
                package has.
        """
        if (Path(self.data_dir) / MANIFEST).is_file():
            read_store(Path(self.data_dir), [self.RELEASE])
        return super().as_dataset(*args, **options)

    @property
    def _workspace(self) -> Path:
        return workspace_folder(Path(self.data_dir).parents[2], self.config)

    def download_and_prepare(self, **options: Any) -> None:
        """Prepares the data set; see `tfds.core.DatasetBuilder`.

        What was interrupted is resumed.

        Raises:
            OptionError: If the data set is prepared, of other patches than the source
                has.
        """
        chosen = options.get("download_config") or tfds.download.DownloadConfig()
        folder = Path(self.data_dir)
        is_kept = not chosen.download_mode.overwrite_dataset
        if self._source and is_kept and (folder / MANIFEST).is_file():
            origin = open_origin(self._source, self.config)
            check_same_patches(read_store(folder, [self.RELEASE]), origin)
        super().download_and_prepare(**options)
        if self._workspace.exists():
            # Not before the name that TFDS gave the folder is durable.
            sync_tree(Path(self.data_dir))
            sync_folder(Path(self.data_dir).parent)
            remove_finished(self._workspace, ["tfrecord"])

    def _find_sources(
        self, dl_manager: tfds.download.DownloadManager, again: bool = False
    ) -> tuple[JobSource, ...]:
        """Returns the sources; those missing in the manual folder are downloaded.

        While they are read, an archive is hashed and the patches of a folder counted.
        """
        try:
            manual = Path(dl_manager.manual_dir)
        except AssertionError:  # TFDS: the folder is missing or empty
            manual = None
        return tuple(
            self._find_source(archive, manual, Path(dl_manager.download_dir), again)
            for archive in self.config.archives
        )

    def _find_source(
        self, archive: Archive, manual: Path | None, download_dir: Path, again: bool
    ) -> JobSource:
        names = (*archive.filenames, archive.folder)
        for path in [manual / name for name in names] if manual else []:
            if path.is_file():
                return JobSource(archive, path, digest=archive.digest)
            if path.is_dir():
                return JobSource(archive, path, num_patches=self.RELEASE.num_patches)
        path = self._download(archive, download_dir, again)
        return JobSource(archive, path, digest=archive.digest)

    def _download(self, archive: Archive, download_dir: Path, again: bool) -> Path:
        """Downloads an archive, or resumes its download.

        An archive that exists is not verified here: it is hashed when it is read.

        Args:
            archive: The archive.
            download_dir: TFDS's folder of downloads.
            again: Whether to download an archive that exists once more.
        """
        path = download_dir / self.name / archive.filenames[0]
        if again:
            path.unlink(missing_ok=True)
        if not path.exists():
            fetch([archive.url], path, archive.nbytes, archive.digest)
        return path

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        sources = self._find_sources(dl_manager)
        return {
            split: self._generate_examples(sources, split)
            for split in self.RELEASE.kept_splits
        }

    def _generate_examples(
        self, sources: tuple[JobSource, ...], split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields patch id and example of every patch of a split; the reference.

        What the sources after the first one hold of a split is kept in memory.
        """
        patches = load_index(self.RELEASE, self.config.choice.scheme)
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
        patches = load_index(self.RELEASE, self.config.choice.scheme)
        nomenclature = self.RELEASE.nomenclature
        with open_source(source.path, source.archive) as opened:
            for raw in opened.patches(patches):
                if patches.split(raw.row) == split:
                    yield raw.row, decode_patch(raw, source.archive, nomenclature)


def _describe_release(builder: type[Builder]) -> None:
    """Sets those attributes of a builder that TFDS reads from its class."""
    release = builder.RELEASE
    builder.VERSION = tfds.core.Version(release.data_version)
    builder.BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name, description=config.choice.description)
        for name, config in list_configs([release]).items()
    ]
    builder.DEFAULT_BUILDER_CONFIG_NAME = release.choices[0].name
    names = ", ".join(archive.filenames[0] for archive in release.archives)
    folders = ", ".join(archive.folder for archive in release.archives)
    builder.MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Nothing is needed: the archive is downloaded. To use a copy that you have, "
        f"put {names}, or the folder {folders} that it was extracted to, into this "
        "directory."
    )


_describe_release(Builder)


def refuse_options(
    file_format: str, download_config: tfds.download.DownloadConfig
) -> None:
    """Refuses options that the engine cannot fulfil, instead of ignoring them.

    Raises:
        OptionError: If an option asks for anything but the published shards.
    """
    if file_format != "tfrecord":
        raise OptionError(
            f"file_format={file_format!r} cannot be built: expected tfrecord. TFDS's "
            "Parquet writer drops records, and its other formats are not readable as "
            "tf.data."
        )
    refused = {
        "max_examples_per_split": "build a part with python -m builder.build --limit",
        "num_shards": "shards depend on the number of patches alone",
        "min_shard_size": "shards depend on the number of patches alone",
        "max_shard_size": "shards depend on the number of patches alone",
        "ignore_duplicates": "a patch that comes twice is an error",
        "beam_runner": "the build needs no Beam",
        "beam_options": "the build needs no Beam",
        "nondeterministic_order": "the order is always the same",
        "compute_stats": "statistics.json holds the exact ones of the train split",
        "register_checksums": "the checksum of the release is part of this package",
        "verify_ssl": "certificates are always checked; SSL_CERT_FILE names others",
    }
    defaults = {f.name: f.default for f in dataclasses.fields(download_config)}
    for name, reason in refused.items():
        value = getattr(download_config, name, None)
        if value != defaults.get(name):
            raise OptionError(f"{name}={value!r} is refused: {reason}.")


def set_splits(
    info: tfds.core.DatasetInfo, data_dir: Path, shards: Iterable[ShardInfo]
) -> None:
    """Tells a DatasetInfo which shards a folder holds.

    Args:
        info: The info of the builder.
        data_dir: The folder of the shards.
        shards: The shards, by split and number; splits without any are left out.
    """
    by_split: dict[str, list[ShardInfo]] = {}
    for shard in shards:
        by_split.setdefault(shard.split, []).append(shard)
    info.set_splits(
        tfds.core.SplitDict(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.num_patches for shard in members],
                num_bytes=sum(shard.files["tfrecord"].data_nbytes for shard in members),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=data_dir,
                    dataset_name=info.name,
                    split=split,
                    filetype_suffix="tfrecord",
                ),
            )
            for split, members in by_split.items()
        )
    )
