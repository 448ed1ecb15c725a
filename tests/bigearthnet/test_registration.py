"""Each case in a process of its own: what was imported before is what matters."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

OURS = "<class 'bigearthnet.bigearthnet_dataset_builder.Builder'>"
BUILT_IN = "tensorflow_datasets.datasets.bigearthnet.bigearthnet_dataset_builder"


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


@pytest.mark.parametrize(
    "code",
    [
        """
        import tensorflow_datasets as tfds
        import bigearthnet
        print(tfds.builder_cls("bigearthnet"))
        """,
        """
        import bigearthnet
        import tensorflow_datasets as tfds
        print(tfds.builder_cls("bigearthnet"))
        """,
        f"""
        import tensorflow_datasets as tfds
        built_in = tfds.builder_cls("bigearthnet")
        assert built_in.__module__ == "{BUILT_IN}", built_in
        import bigearthnet
        print(tfds.builder_cls("bigearthnet"))
        """,
        f"""
        import bigearthnet
        import {BUILT_IN}
        import tensorflow_datasets as tfds
        print(tfds.builder_cls("bigearthnet"))
        """,
        """
        import importlib
        import bigearthnet
        importlib.reload(bigearthnet)
        import tensorflow_datasets as tfds
        assert tfds.list_builders().count("bigearthnet") == 1
        print(tfds.builder_cls("bigearthnet"))
        """,
        """
        import importlib
        import bigearthnet.registration
        importlib.reload(bigearthnet.registration)
        import tensorflow_datasets as tfds
        print(tfds.builder_cls("bigearthnet"))
        """,
    ],
    ids=[
        "tfds-first",
        "ours-first",
        "built-in-used",
        "built-in-after",
        "reload",
        "twice",
    ],
)
def test_the_name_is_ours_in_any_order_of_imports(code: str) -> None:
    """tfds.builder_cls("bigearthnet") is ours, whatever was imported before."""
    assert OURS == run(code)


def test_other_data_sets_are_still_found() -> None:
    """Our provider answers for our name only."""
    code = """
        import bigearthnet
        import tensorflow_datasets as tfds
        print(tfds.builder_cls("mnist").name)
        """

    assert "mnist" == run(code)


def test_prepared_data_loads_without_our_package(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Data that was built once is read by a process that never imports us."""
    build = """
        import sys
        from pathlib import Path
        from bigearthnet.release import RELEASES
        from bigearthnet.schema.configs import get_config
        from bigearthnet.engine.options import BuildOptions
        from builder.build import build
        for config in ("s2", "s2-rgb", "s2-random"):
            build(
                Path(sys.argv[1]), Path(sys.argv[2]), get_config(config, RELEASES),
                BuildOptions(include_excluded=config == "s2", quiet=True),
            )
        assert "tensorflow" not in sys.modules
        """
    load = """
        import sys
        import tensorflow_datasets as tfds
        for config in ("s2", "s2-rgb", "s2-random"):
            loaded = tfds.load(f"bigearthnet/{config}", data_dir=sys.argv[1])
            counts = {name: len(list(part)) for name, part in loaded.items()}
            print(config, *sorted(counts.items()))
        assert "bigearthnet" not in sys.modules
        """
    run(build, sample_folder, tmp_path)

    assert [
        "s2 ('excluded', 1) ('test', 1) ('train', 4)",
        "s2-rgb ('test', 1) ('train', 4)",
        "s2-random ('test', 2) ('train', 3)",
    ] == run(load, tmp_path).splitlines()
