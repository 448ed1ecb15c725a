"""Where a build may write: not where it reads."""

from __future__ import annotations

from collections.abc import Iterable

from bigearthnet.engine.job import JobSource
from bigearthnet.engine.workspace import workspace_folder
from bigearthnet.errors import ArchiveError, OptionError
from bigearthnet.schema.configs import Config
from bigearthnet.source.folder import find_root
from bigearthnet.util.paths import is_inside
from bigearthnet.util.remote import Place, RemotePath

# What fsspec expands when it deletes files (`fsspec.utils`, `glob_translate`).
_PATTERN = frozenset("*?[")


def check_places(data_dir: Place, config: Config, sources: Iterable[JobSource]) -> None:
    """Checks that a data directory and what is read for it do not harm each other.

    Args:
        data_dir: The data directory; need not exist.
        config: What is built there.
        sources: What is read.

    Raises:
        OptionError: If the data directory lies in the folder of patches that a source
            is, or a source in the workspace, which a build clears; or if its URL is a
            pattern.
    """
    if isinstance(data_dir, RemotePath) and not _PATTERN.isdisjoint(data_dir.target):
        raise OptionError(
            f"data_dir: {data_dir} has one of {' '.join(sorted(_PATTERN))}, which "
            "clients of object stores read as a pattern that other folders match, too. "
            "Choose another name."
        )
    for source in sources:
        if isinstance(data_dir, RemotePath) or isinstance(source.path, RemotePath):
            if f"{data_dir}/".startswith(f"{source.path}/"):
                raise _refuse_inside(data_dir, source.path)
            continue
        workspace = workspace_folder(data_dir, config)
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
            raise _refuse_inside(data_dir, root)


def _refuse_inside(data_dir: Place, root: Place) -> OptionError:
    return OptionError(
        f"data_dir: {data_dir} lies in the source {root}, where what is written would "
        "be read as patches. Choose a folder outside of it."
    )
