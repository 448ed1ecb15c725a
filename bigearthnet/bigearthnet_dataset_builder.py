"""The TFDS builder: glue between TensorFlow Datasets and the engine.

`download_and_prepare` runs the engine (`bigearthnet.encoding`); `_split_generators` and
`_generate_examples` are the same thing written the plain TFDS way, 5 times as slow, and
serve as the reference that the tests compare the engine with.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from bigearthnet.archive import open_source
from bigearthnet.config import CONFIGS, DATA_VERSION, Config
from bigearthnet.download import Expected, fetch
from bigearthnet.encoding.build_options import BuildOptions
from bigearthnet.encoding.files import link_files
from bigearthnet.encoding.identity import identify_build
from bigearthnet.encoding.leftovers import remove_finished, remove_leftovers
from bigearthnet.encoding.manifest import write_records
from bigearthnet.encoding.pipeline import encode
from bigearthnet.encoding.shards import ShardInfo
from bigearthnet.encoding.workspace import open_workspace, workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.examples import get_make_example, nest
from bigearthnet.features import tfds_features
from bigearthnet.patch import decode_patch
from bigearthnet.patch_index import load_index
from bigearthnet.release import V1, Release
from bigearthnet.splits import SPLITS
from bigearthnet.stores import MANIFEST, read_store

_HOMEPAGE = "https://bigearth.net"


class Builder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """BigEarthNet as `tfds.load("bigearthnet/<config>")`; see `README.md` beside."""

    VERSION = tfds.core.Version(DATA_VERSION)
    RELEASE_NOTES = {  # noqa: RUF012 - the name and type are TFDS's
        "2.0.0": "All 12 bands as uint16 at native resolution, official splits."
    }
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=config.name, description=config.description)
        for config in CONFIGS.values()
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "s2"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Nothing is needed: the archive is downloaded. To use a copy that you have, "
        f"put {V1.filenames[0]}, or the folder {V1.folder} that it was extracted to, "
        "into this directory."
    )

    # What is built; a value, so that tests can build something smaller.
    RELEASE: Release = V1

    @property
    def config(self) -> Config:
        """The configuration that is built."""
        return CONFIGS[self.builder_config.name]

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
        source, expected = self._find_source(dl_manager, again)
        output = Path(self.data_dir)
        options = BuildOptions(**expected)
        start = time.monotonic()
        patches = load_index(self.config.scheme, self.RELEASE)
        identity = identify_build(
            source, self.config, ["tfrecord"], self.RELEASE, options
        )
        with open_workspace(self._workspace, identity) as work:
            remove_leftovers(output.with_name(DATA_VERSION), keep=output)
            result = encode(
                source,
                work,
                ["tfrecord"],
                config=self.config,
                release=self.RELEASE,
                patches=patches,
                options=options,
            )
            folder = work.output("tfrecord")
            write_records(
                folder,
                result,
                form="tfrecord",
                config=self.config,
                release=self.RELEASE,
                patches=patches,
                source=source.name,
                seconds=time.monotonic() - start,
            )
            link_files(folder, output)
        set_splits(self.info, output, result.shards)

    def as_dataset(self, *args: Any, **options: Any) -> Any:
        """Loads the data set; see `tfds.core.DatasetBuilder`.

        Raises:
            StoreError: If it was written with other classes, bands or splits than this
                package has.
        """
        if (Path(self.data_dir) / MANIFEST).is_file():
            read_store(Path(self.data_dir))
        return super().as_dataset(*args, **options)

    @property
    def _workspace(self) -> Path:
        return workspace_folder(Path(self.data_dir).parents[2], self.config)

    def download_and_prepare(self, **options: Any) -> None:
        """Prepares the data set; see `tfds.core.DatasetBuilder`.

        What was interrupted goes on where it was.
        """
        super().download_and_prepare(**options)
        # Not before TFDS has given the folder its name.
        remove_finished(self._workspace, ["tfrecord"])

    def _find_source(
        self, dl_manager: tfds.download.DownloadManager, again: bool = False
    ) -> tuple[Path, dict[str, Any]]:
        """Returns the source, and what is to be checked while it is read.

        An archive is hashed, a folder counted. Without either in the manual folder the
        archive is downloaded; see `_download`.
        """
        try:
            manual = Path(dl_manager.manual_dir)
        except AssertionError:  # TFDS: the folder is missing or empty
            manual = None
        if manual is not None:
            for name in (*self.RELEASE.filenames, self.RELEASE.folder):
                path = manual / name
                if path.is_file():
                    return path, {"expected_sha256": self.RELEASE.sha256}
                if path.is_dir():
                    return path, {"expected_patches": self.RELEASE.num_patches}
        path = self._download(Path(dl_manager.download_dir), again)
        return path, {"expected_sha256": self.RELEASE.sha256}

    def _download(self, download_dir: Path, again: bool) -> Path:
        """Downloads the archive, going on where an earlier call was ended.

        An archive that is there already is taken as it is: what is read is hashed.

        Args:
            download_dir: TFDS's folder of downloads.
            again: Whether to download an archive that is there already.
        """
        release = self.RELEASE
        path = download_dir / self.name / release.filenames[0]
        if again:
            path.unlink(missing_ok=True)
        if not path.exists():
            expected = Expected(release.nbytes, "sha256", release.sha256)
            fetch([release.url], path, expected)
        return path

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        source, _ = self._find_source(dl_manager)
        return {
            split: self._generate_examples(source, split)
            for split in SPLITS
            if split != "excluded"
        }

    def _generate_examples(
        self, source: Path, split: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields patch id and example of every patch of a split; the reference."""
        patches = load_index(self.config.scheme, self.RELEASE)
        make_example = get_make_example(self.config.schema)
        with open_source(source) as opened:
            for raw in opened.patches(patches):
                facts = patches.facts(raw.row)
                if SPLITS[facts.split] == split:
                    patch = decode_patch(raw, self.RELEASE.nomenclature)
                    example = nest(make_example(patch, facts))
                    if isinstance(png := example.get("image"), bytes):
                        example["image"] = io.BytesIO(png)  # TFDS takes it as it is
                    yield raw.patch_id, example


def refuse_options(
    file_format: str, download_config: tfds.download.DownloadConfig
) -> None:
    """Refuses what the engine cannot honour, rather than to ignore it.

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
