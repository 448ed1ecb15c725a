"""Rows of v2.0: both sensors, or Sentinel-2 alone, ours and the peers'."""

from __future__ import annotations

from benchmarks.environments import OURS
from benchmarks.rows import Row, load_row

ENCODE = "v2.0, encode: extracted folders → shards"
READ = "v2.0, read: all bands at native size, in order"
RANDOM = "v2.0, read: all bands at native size, at random"
RESAMPLED = "v2.0, read: all bands at 120 × 120, and the map"

_FORMATS = {"tfrecord": "TFRecord", "parquet": "Parquet", "arrow": "Arrow"}
# Short name of what is stored → configuration, and as the peers call it: archives,
# columns of the table, sensors.
_CHOICES = {
    "s2": ("v2-s2", "s2,maps", "patch_id", "s2"),
    "s1s2": ("v2-s1s2", "s2,s1,maps", "patch_id,s1_name", "all"),
}
_LMDB = "lmdb", "safetensors"


def _encode_rows(short: str) -> list[Row]:
    config, archives, _, _ = _CHOICES[short]
    ours = [
        Row(
            f"v2-encode-{short}-{form}",
            f"**ours**: `{config}`, {title}",
            ENCODE,
            OURS,
            "ours_build",
            "folders",
            (f"--formats={form}", f"--config={config}"),
        )
        for form, title in _FORMATS.items()
    ]
    peer = Row(
        f"v2-encode-{short}-lmdb",
        f"rasterio → safetensors → LMDB (rico-hdl's format), as `{config}`",
        ENCODE,
        "lmdb",
        "encode_lmdb_v2",
        "folders_few",
        (f"--archives={archives}",),
        packages=(*_LMDB, "rasterio"),
        ours=f"v2-encode-{short}-tfrecord",
    )
    return [*ours, peer]


def _read_rows(short: str, group: str, order: str, *forms: str) -> list[Row]:
    config, _, columns, _ = _CHOICES[short]
    start = f"v2-{order}-{short}"
    ours = [
        Row(
            f"{start}-{form}",
            f"**ours**: `open_reader`, `{config}`, {_FORMATS[form]}",
            group,
            OURS,
            "ours_reader",
            "data_v2",
            (f"--config={config}", f"--store={form}", f"--order={order}"),
        )
        for form in forms
    ]
    peer = Row(
        f"{start}-lmdb",
        f"LMDB + safetensors, numpy, as `{config}`",
        group,
        "lmdb",
        "read_lmdb_v2",
        "lmdb_v2",
        (f"--columns={columns}", f"--order={order}"),
        packages=_LMDB,
        ours=f"{start}-arrow",
    )
    return [*ours, peer]


def _resampled_rows(short: str) -> list[Row]:
    config, _, _, bands = _CHOICES[short]
    ours = [
        load_row(
            f"v2-resampled-{short}-{form}",
            f"`load`, `{config}`, {_FORMATS[form]}",
            RESAMPLED,
            f"config={config}",
            "target=reference_map",
            "size=120",
            f"store={form}",
            source="data_v2",
        )
        for form in ("tfrecord", "arrow")
    ]
    peer = Row(
        f"v2-resampled-{short}-torchgeo",
        f'torchgeo `BigEarthNetV2(bands="{bands}")` on the folders',
        RESAMPLED,
        "torchgeo",
        "read_torchgeo_v2",
        "folders_few",
        (f"--bands={bands}", "--workers=0"),
        packages=("torchgeo", "torch"),
        ours=f"v2-resampled-{short}-arrow",
    )
    return [*ours, peer]


ROWS: tuple[Row, ...] = (
    *(row for short in _CHOICES for row in _encode_rows(short)),
    *(
        row
        for short in _CHOICES
        for row in _read_rows(short, READ, "sequential", *_FORMATS)
    ),
    *_read_rows("s1s2", RANDOM, "random", "tfrecord", "arrow"),
    *(row for short in _CHOICES for row in _resampled_rows(short)),
)
