"""Where a build may write: not where it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bigearthnet.engine.job import JobSource
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import ArchiveError, OptionError
from bigearthnet.schema.configs import Config
from bigearthnet.source.folder import find_root
from bigearthnet.util.paths import is_inside


def check_places(data_dir: Path, config: Config, sources: Iterable[JobSource]) -> None:
    """Checks that a data directory and what is read for it do not harm each other.

    Args:
        data_dir: The data directory; need not exist.
        config: What is built there.
        sources: What is read.

    Raises:
        OptionError: If the data directory lies in the folder of patches that a source
            is, or a source in the workspace, which a build clears.
    """
    workspace = workspace_folder(data_dir, config)
    for source in sources:
        if not isinstance(source.path, Path):
            continue
        if is_inside(source.path, workspace):
            raise OptionError(
                f"source: {source.path} lies in {workspace}, which is cleared by a "
                "build. Move it to another folder."
            )
        if not source.path.is_dir():
            continue
        try:
            root = find_root(source.path, source.archive)
        except ArchiveError:
            continue  # of which opening it says more
        if is_inside(data_dir, root):
            raise OptionError(
                f"data_dir: {data_dir} lies in the source {root}, where what is "
                "written would be read as patches. Choose a folder outside of it."
            )
