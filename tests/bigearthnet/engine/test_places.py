from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.engine.job import JobSource
from bigearthnet.engine.places import check_places
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import OptionError
from bigearthnet.release import V1
from bigearthnet.schema.configs import get_config
from bigearthnet.util.remote import parse_url

S2 = get_config("s2", [V1])
ARCHIVE = V1.archive("s2")


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The parent of a folder of patches, `patches`, to which `link` leads."""
    (tmp_path / "patches" / "S2A_MSIL2A_20170613T101031_87_48").mkdir(parents=True)
    (tmp_path / "link").symlink_to("patches")
    return tmp_path


@pytest.mark.parametrize("source", ["patches", "link"])
@pytest.mark.parametrize("data_dir", ["patches", "patches/a/b", "link", "link/a"])
def test_a_data_directory_in_the_source_is_refused(
    source: str, data_dir: str, parent: Path
) -> None:
    """Nothing is written where patches are read, also through links."""
    with pytest.raises(OptionError, match=r"^data_dir: .* lies in the source /"):
        check_places(parent / data_dir, S2, [JobSource(ARCHIVE, parent / source)])


def test_the_parent_of_the_patches_may_be_built_in(parent: Path) -> None:
    """Given the parent, only the folder in it that holds the patches is refused."""
    (parent / "link").unlink()
    source = JobSource(ARCHIVE, parent)

    check_places(parent, S2, [source])
    check_places(parent / "data", S2, [source])
    with pytest.raises(OptionError, match=r"^data_dir: "):
        check_places(parent / "patches" / "data", S2, [source])


def test_a_source_that_would_be_deleted_is_refused(tmp_path: Path) -> None:
    """A build clears its workspace: an archive in there is refused."""
    archive = workspace_folder(tmp_path, S2) / "archive.tar"
    archive.parent.mkdir()
    archive.touch()

    with pytest.raises(OptionError, match=r"^source: .* is cleared by a build"):
        check_places(tmp_path, S2, [JobSource(ARCHIVE, archive)])


@pytest.mark.parametrize("name", ["data*", "data[1]"])
def test_a_pattern_at_a_url_is_refused(name: str, tmp_path: Path) -> None:
    """Clients delete all that a name with these letters matches: it is not used."""
    place = parse_url(f"s3://bucket/{name}")
    with pytest.raises(OptionError, match=r"read as a pattern"):
        check_places(place, S2, [JobSource(ARCHIVE, tmp_path)])
