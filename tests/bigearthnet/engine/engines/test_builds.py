from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bigearthnet.util.files import hash_file

pytestmark = pytest.mark.engines

_OPTIONS = {
    "spark": ["spark.master=local-cluster[2,1,512]", "spark.executor.memory=512m"],
    "beam": ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
}
_PACKAGES = {"spark": "pyspark", "beam": "apache_beam"}


def _build(source: Path, data_dir: Path, *options: str) -> dict[str, str]:
    """Builds as a user does; returns name of each shard and manifest → checksum."""
    command = [sys.executable, "-m", "builder.build", f"--source={source}"]
    command += [f"--data_dir={data_dir}", "--formats=parquet", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = [*data_dir.rglob("*-of-*.parquet"), *data_dir.rglob("manifest.json")]
    return {path.name: hash_file(path) for path in files}


@pytest.mark.parametrize("engine", _OPTIONS)
def test_an_engine_builds_the_same_bytes(
    engine: str, sample_folder: Path, tmp_path: Path
) -> None:
    """Real patches, built by an engine, have the bytes of a local build."""
    if find_spec(_PACKAGES[engine]) is None:
        pytest.skip(f"{engine} is not installed")
    options = [f"--engine={engine}", "--", *_OPTIONS[engine]]
    made = _build(sample_folder, tmp_path / "engine", *options)
    assert made == _build(sample_folder, tmp_path / "local")
    assert {"manifest.json"} < set(made)
    assert not list((tmp_path / "engine").glob("incomplete.*"))
