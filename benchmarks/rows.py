"""What is measured: one row for each program, ours and the peers'."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.environments import OURS

ENCODE = "Encode: archive → shards"
ENCODE_FOLDER = "Encode: extracted folder → shards"
READ = "Read: all bands at native size, in order"
SHUFFLED = "Read: all bands at native size, shuffled or at random"
RGB = "Read: RGB only"
RESAMPLED = "Read: all bands at 120 × 120"


@dataclass(frozen=True)
class Row:
    """One program to run.

    Attributes:
        name: Short name, unique.
        title: What it is, for people.
        group: The table it stands in.
        environment: Name of its virtual environment.
        program: Name of its script in `programs/`.
        source: What it reads; see `Sources.get`.
        arguments: Further arguments of the script.
        packages: The packages that are measured, for their versions.
        ours: Name of our row that it is compared with, or None.
        limit: Name of the row that is its limit, or None.
    """

    name: str
    title: str
    group: str
    environment: str
    program: str
    source: str
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    ours: str | None = None
    limit: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it runs our own package, and is no limit."""
        return self.environment == OURS and not self.name.startswith("limit")


def load_row(
    name: str,
    title: str,
    group: str,
    *arguments: str,
    source: str = "data",
    limit: str | None = None,
) -> Row:
    """Returns a row of `bigearthnet.load`; arguments not given are the plain ones."""
    values = {"config": "s2", "bands": "all", "size": "0", "store": "tfrecord"}
    values |= {"shuffle": "0", "target": "labels"} | dict(
        a.split("=") for a in arguments
    )
    options = tuple(f"--{key}={value}" for key, value in values.items())
    return Row(
        name,
        f"**ours**: {title}",
        group,
        OURS,
        "ours_load",
        source,
        options,
        limit=limit,
    )


ROWS: tuple[Row, ...] = (
    # --- encode
    Row(
        "limit-gunzip",
        "limit: gunzip (isal) alone",
        ENCODE,
        OURS,
        "limit_gunzip",
        "archive",
    ),
    Row(
        "limit-write",
        "limit: write the pixels' bytes durably",
        ENCODE,
        OURS,
        "limit_write",
        "archive",
    ),
    Row(
        "limit-disk",
        "limit: gunzip beside writing the spool, then reading it and durable shards",
        ENCODE,
        OURS,
        "limit_disk",
        "archive",
    ),
    Row(
        "encode-ours",
        "**ours**: TFRecord",
        ENCODE,
        OURS,
        "ours_build",
        "archive",
        ("--formats=tfrecord", "--config=s2"),
        limit="limit-gunzip",
    ),
    Row(
        "encode-ours-two",
        "**ours**: TFRecord and Parquet",
        ENCODE,
        OURS,
        "ours_build",
        "archive",
        ("--formats=tfrecord,parquet", "--config=s2"),
        limit="limit-gunzip",
    ),
    Row(
        "encode-ours-all",
        "**ours**: TFRecord, Parquet and Arrow",
        ENCODE,
        OURS,
        "ours_build",
        "archive",
        ("--formats=tfrecord,parquet,arrow", "--config=s2"),
        limit="limit-gunzip",
    ),
    Row(
        "encode-builtin",
        "TFDS's built-in `bigearthnet/all`",
        ENCODE,
        "tfds-builtin",
        "encode_tfds_builtin",
        "archive_few",
        packages=("tensorflow-datasets", "apache-beam"),
        ours="encode-ours",
    ),
    Row(
        "encode-tfds-plain",
        "plain TFDS builder, rasterio",
        ENCODE,
        "tfds-plain",
        "encode_tfds_plain",
        "archive_few",
        packages=("tensorflow-datasets", "rasterio"),
        ours="encode-ours",
    ),
    Row(
        "encode-datasets",
        "`datasets`' own builder → Parquet",
        ENCODE,
        "datasets-rasterio",
        "encode_datasets",
        "archive_few",
        packages=("datasets", "pyarrow", "rasterio"),
        ours="encode-ours-two",
    ),
    # --- encode a folder
    Row(
        "folder-ours",
        "**ours**: TFRecord",
        ENCODE_FOLDER,
        OURS,
        "ours_build",
        "folder",
        ("--formats=tfrecord", "--config=s2"),
    ),
    Row(
        "folder-encoder",
        "bigearthnet-encoder → LMDB",
        ENCODE_FOLDER,
        "bigearthnet-encoder",
        "encode_bigearthnet_encoder",
        "folder_few",
        packages=("bigearthnet-encoder",),
        ours="folder-ours",
    ),
    Row(
        "folder-lmdb",
        "rasterio → safetensors → LMDB (rico-hdl's format)",
        ENCODE_FOLDER,
        "lmdb",
        "encode_lmdb",
        "folder_few",
        packages=("lmdb", "safetensors", "rasterio"),
        ours="folder-ours",
    ),
    # --- read in order
    Row(
        "limit-records",
        "limit: our TFRecord shards as raw records",
        READ,
        OURS,
        "limit_records",
        "data",
    ),
    Row(
        "limit-memory",
        "limit: copy the pixels in memory",
        READ,
        OURS,
        "limit_memory",
        "data",
    ),
    load_row("read-load", "`load`, TFRecord", READ, limit="limit-records"),
    load_row("read-load-arrow", "`load`, Arrow", READ, "store=arrow"),
    load_row("read-load-parquet", "`load`, Parquet", READ, "store=parquet"),
    Row(
        "read-arrow",
        "**ours**: `ArrowReader`, numpy",
        READ,
        OURS,
        "ours_reader",
        "data",
        ("--config=s2", "--store=arrow", "--order=sequential"),
        limit="limit-memory",
    ),
    Row(
        "read-tfrecord",
        "**ours**: `TFRecordReader`, numpy",
        READ,
        OURS,
        "ours_reader",
        "data",
        ("--config=s2", "--store=tfrecord", "--order=sequential"),
        limit="limit-records",
    ),
    Row("read-to-tf", "**ours**: `to_tf`, Arrow", READ, OURS, "ours_to_tf", "data"),
    Row(
        "read-builtin",
        "`tfds.load` on the built-in's shards (float32)",
        READ,
        "tfds-plain",
        "read_tfds",
        "builtin_few",
        ("--name=bigearthnet/all:1.0.0", "--bands=all"),
        packages=("tensorflow-cpu", "tensorflow-datasets"),
        ours="read-load",
    ),
    Row(
        "read-tfds",
        "`tfds.load` on our shards",
        READ,
        "tfds-plain",
        "read_tfds",
        "data",
        ("--name=bigearthnet/s2:2.0.0", "--bands=all"),
        packages=("tensorflow-cpu", "tensorflow-datasets"),
        ours="read-load",
    ),
    Row(
        "read-lmdb",
        "LMDB + safetensors, numpy",
        READ,
        "lmdb",
        "read_lmdb",
        "lmdb_file",
        ("--order=sequential",),
        packages=("lmdb", "safetensors"),
        ours="read-arrow",
    ),
    Row(
        "read-datasets",
        "`load_from_disk`, numpy, on our Arrow store",
        READ,
        "datasets",
        "read_datasets",
        "arrow",
        ("--format=numpy", "--streaming=0", "--order=sequential"),
        packages=("datasets", "pyarrow"),
        ours="read-arrow",
    ),
    Row(
        "read-datasets-tf",
        "`load_dataset`, `to_tf_dataset`, on our Parquet store",
        READ,
        "datasets",
        "read_datasets",
        "huggingface_few",
        ("--format=tensorflow", "--streaming=0", "--order=sequential"),
        packages=("datasets", "tensorflow-cpu"),
        ours="read-to-tf",
    ),
    Row(
        "read-datasets-streaming",
        "`load_dataset`, streaming, numpy, on our Parquet store",
        READ,
        "datasets",
        "read_datasets",
        "huggingface_few",
        ("--format=numpy", "--streaming=1", "--order=sequential"),
        packages=("datasets", "pyarrow"),
        ours="read-load-parquet",
    ),
    # --- shuffled
    load_row("shuffled-load", "`load`, TFRecord", SHUFFLED, "shuffle=1"),
    load_row(
        "shuffled-load-arrow", "`load`, Arrow", SHUFFLED, "store=arrow", "shuffle=1"
    ),
    Row(
        "random-arrow",
        "**ours**: `ArrowReader`, numpy",
        SHUFFLED,
        OURS,
        "ours_reader",
        "data",
        ("--config=s2", "--store=arrow", "--order=random"),
        limit="limit-memory",
    ),
    Row(
        "shuffled-tfrecord",
        "**ours**: `TFRecordReader`, numpy",
        SHUFFLED,
        OURS,
        "ours_reader",
        "data",
        ("--config=s2", "--store=tfrecord", "--order=random"),
    ),
    Row(
        "random-lmdb",
        "LMDB + safetensors, numpy",
        SHUFFLED,
        "lmdb",
        "read_lmdb",
        "lmdb_file",
        ("--order=random",),
        packages=("lmdb", "safetensors"),
        ours="random-arrow",
    ),
    Row(
        "random-datasets",
        "`load_from_disk`, numpy, on our Arrow store",
        SHUFFLED,
        "datasets",
        "read_datasets",
        "arrow",
        ("--format=numpy", "--streaming=0", "--order=random"),
        packages=("datasets", "pyarrow"),
        ours="random-arrow",
    ),
    # --- RGB
    load_row("rgb-load", "`load(bands='rgb')`, TFRecord", RGB, "bands=rgb", "size=120"),
    load_row(
        "rgb-load-native",
        "`load(bands='rgb')`, TFRecord, native uint16",
        RGB,
        "bands=rgb",
    ),
    load_row(
        "rgb-load-arrow",
        "`load(bands='rgb')`, Arrow",
        RGB,
        "bands=rgb",
        "size=120",
        "store=arrow",
    ),
    load_row(
        "rgb-load-arrow-native",
        "`load(bands='rgb')`, Arrow, native uint16",
        RGB,
        "bands=rgb",
        "store=arrow",
    ),
    load_row(
        "rgb-load-8bit",
        "`load(config='s2-rgb')`, 8 bits",
        RGB,
        "config=s2-rgb",
        "bands=rgb",
        "size=120",
    ),
    Row(
        "rgb-tfds",
        "`tfds.load` on our shards",
        RGB,
        "tfds-plain",
        "read_tfds",
        "data",
        ("--name=bigearthnet/s2:2.0.0", "--bands=rgb"),
        packages=("tensorflow-cpu", "tensorflow-datasets"),
        ours="rgb-load-native",
    ),
    Row(
        "rgb-builtin",
        "`tfds.load` on the built-in's shards (float32)",
        RGB,
        "tfds-plain",
        "read_tfds",
        "builtin_few",
        ("--name=bigearthnet/all:1.0.0", "--bands=rgb"),
        packages=("tensorflow-cpu", "tensorflow-datasets"),
        ours="rgb-load-native",
    ),
    # --- resampled
    load_row("resampled-load", "`load`, TFRecord", RESAMPLED, "size=120"),
    load_row(
        "resampled-load-arrow", "`load`, Arrow", RESAMPLED, "size=120", "store=arrow"
    ),
    Row(
        "resampled-torchgeo",
        "torchgeo `BigEarthNet` on the folder",
        RESAMPLED,
        "torchgeo",
        "read_torchgeo",
        "folder_few",
        ("--workers=0",),
        packages=("torchgeo", "torch"),
        ours="resampled-load",
    ),
    Row(
        "resampled-torchgeo-workers",
        "torchgeo `BigEarthNet` on the folder, two workers",
        RESAMPLED,
        "torchgeo",
        "read_torchgeo",
        "folder_few",
        ("--workers=2",),
        packages=("torchgeo", "torch"),
        ours="resampled-load",
    ),
)
