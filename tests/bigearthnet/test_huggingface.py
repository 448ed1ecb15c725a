from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from bigearthnet.huggingface import multi_hot


def run(code: str, *arguments: object) -> str:
    """Runs code in a new process and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def test_multi_hot_of_a_data_set_is_the_stored_vector(all_stores: Path) -> None:
    """The ids that `datasets` returns become what is stored as a vector."""
    import datasets

    batch = datasets.load_from_disk(str(all_stores / "arrow"))["train"][:]

    assert batch["multi_hot_43"] == multi_hot(batch["labels"], 43).tolist()
    assert batch["multi_hot_19"] == multi_hot(batch["labels_19"], 19).tolist()


def test_the_module_needs_neither_datasets_nor_tensorflow(all_stores: Path) -> None:
    """A store is read where neither is installed, and importing loads neither."""
    code = """
        import sys
        import bigearthnet, bigearthnet.huggingface as ours
        heavy = {"tensorflow", "datasets", "pyarrow.dataset"} & set(sys.modules)
        sys.modules["datasets"] = sys.modules["tensorflow"] = None
        batch = next(ours.ArrowReader.open("test", sys.argv[1]).batches(4))
        print(heavy or "none", batch["bands_20m"].shape)
    """

    assert "none (1, 6, 60, 60)" == run(code, all_stores)
