from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.util.paths import is_inside, local_path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("data", Path("data")),
        ("a:b/c", Path("a:b/c")),
        ("/a:/b", Path("/a:/b")),
        (Path("~/data"), Path.home() / "data"),
        ("~/data", Path.home() / "data"),
        ("file:///data/a%20b%25", Path("/data/a b%")),
        ("FILE://localhost/data", Path("/data")),
        ("file:/data", Path("/data")),
    ],
)
def test_paths_of_this_machine_are_understood(
    value: Path | str, expected: Path
) -> None:
    """Paths stay, `~` is the home folder, and `file://` is decoded."""
    assert expected == local_path(value, "data_dir")


@pytest.mark.parametrize(
    "value",
    [
        *("s3://b/x", "gs://b", "https://h/x", "hf://a/b", "dbfs:/x", "", "a\0b"),
        *(Path("s3://b/x"), Path("file:///data"), "~nobody.of.that.name/x"),
        *("file://host/x", "file://data", "file:///a?b", "file:///a#b", "file:///a%00"),
        "file://[/x",
    ],
)
def test_other_places_are_refused(value: Path | str) -> None:
    """A URL of another place, also as pathlib leaves it, and what is no path at all."""
    with pytest.raises(OptionError, match=r"^data_dir: "):
        local_path(value, "data_dir")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(
            ("folder", True),
            ("folder/a/b", True),
            ("link/a", True),
            ("folder/..", False),
        ),
        *(("folder2", False), (".", False), ("link/../folder2", False)),
    ],
)
def test_inside_follows_links(path: str, expected: bool, tmp_path: Path) -> None:
    """A folder is inside itself, and so is what is below it, through links, too."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")

    assert expected == is_inside(tmp_path / path, tmp_path / "folder")
    assert expected == is_inside(tmp_path / path, tmp_path / "link")
    assert not is_inside(tmp_path / path, tmp_path / "missing")
