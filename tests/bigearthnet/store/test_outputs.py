from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.store.outputs import check_output


@pytest.mark.parametrize("name", ["huggingface", "arrow", "bigearthnet/s2/2.0.0"])
@pytest.mark.parametrize("below", ["", "new/folder"])
def test_nothing_is_written_into_a_store(
    name: str, below: str, all_stores: Path, tmp_path: Path
) -> None:
    """A store, and what is below it, is refused, also through a link."""
    (tmp_path / "link").symlink_to(all_stores / name)

    for folder in (all_stores / name, tmp_path / "link"):
        with pytest.raises(OptionError, match=r"^output: .* lies in the store /"):
            check_output(folder / below, "output")


def test_nothing_is_written_among_patches(sample_folder: Path, tmp_path: Path) -> None:
    """Neither beside patches nor into one; the folder above holds no patch."""
    (tmp_path / "link").symlink_to(sample_folder)
    patch = next(sample_folder.iterdir())

    for path in (
        sample_folder,
        sample_folder / "new",
        patch,
        tmp_path / "link" / "new",
    ):
        with pytest.raises(OptionError, match=r"^data_dir: .* among the patches in /"):
            check_output(path, "data_dir")
    check_output(sample_folder.parent, "data_dir")


def test_other_folders_may_hold_a_manifest(tmp_path: Path) -> None:
    """A manifest.json of something else, or that is damaged, is no reason to refuse."""
    (tmp_path / "manifest.json").write_text('{"name": "an app", "files": []}')
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").write_text("{")

    check_output(tmp_path / "b" / "runs", "workdir")
