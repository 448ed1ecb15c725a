"""What `datasets.load_from_disk` reads beside the Arrow shards of a store.

Source of the layout: `DatasetDict.save_to_disk` (datasets/dataset_dict.py,
datasets/arrow_dataset.py).
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from bigearthnet.schema.features import hf_types
from bigearthnet.store import Store
from bigearthnet.util.files import make_folder, write_json


def make_dataset_dict(store: Store) -> dict[str, dict[str, object]]:
    """Returns what makes a store's folder of shards a `DatasetDict`.

    Returns:
        Path of each file below the folder → its content as JSON.
    """
    made: dict[str, dict[str, object]] = {
        "dataset_dict.json": {"splits": list(store.splits)}
    }
    features = hf_types(store.config.columns)
    for split in store.splits:
        files = store.files(split)
        # `datasets` takes equal fingerprints for equal content.
        digests = "".join(file["sha256"] for file in files)
        info: dict[str, object] = {
            "dataset_name": "bigearthnet",
            "features": features,
            "splits": {
                split: {
                    "name": split,
                    "num_bytes": sum(file["data_bytes"] for file in files),
                    "num_examples": store.num_patches(split),
                    "dataset_name": "bigearthnet",
                }
            },
            "version": {"version_str": store.manifest["version"]},
        }
        state: dict[str, object] = {
            "_data_files": [
                {"filename": PurePosixPath(file["name"]).name} for file in files
            ],
            "_fingerprint": hashlib.sha256(digests.encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        made[f"{split}/dataset_info.json"] = info
        made[f"{split}/state.json"] = state
    return made


def write_dataset_dict(store: Store) -> None:
    """Writes what `make_dataset_dict` returns."""
    for name, content in make_dataset_dict(store).items():
        path = store.folder / name
        make_folder(path.parent)  # of shards, which may be elsewhere
        write_json(content, path)
