"""Which file or folder each archive of a configuration is read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from absl import flags

from bigearthnet.errors import ArchiveError, OptionError, StoreError
from bigearthnet.release import RELEASES, Archive
from bigearthnet.schema.configs import Config
from bigearthnet.source.candidates import choose, list_candidates
from bigearthnet.source.cut import find_cut
from bigearthnet.source.folder import find_levels, find_root
from bigearthnet.source.listing import is_folder
from bigearthnet.util import command
from bigearthnet.util.paths import check_path
from bigearthnet.util.remote import Place, RemotePath, SomePlace
from bigearthnet.util.remote_files import list_names

# Levels of folders below the one that holds all sources.
_DEPTH = 2


def find_sources(
    config: Config, source: SomePlace | None, named: Mapping[str, SomePlace]
) -> dict[str, SomePlace]:
    """Returns name of each archive of a configuration → what it is read from.

    Args:
        config: The configuration.
        source: An archive or a folder of patches; or the folder that holds all archives
            that are not named, as they were downloaded or extracted; None if all are.
        named: Name of an archive → its file or folder.

    Raises:
        OptionError: If an archive is missing, or one is not of the configuration.
        ArchiveError: If nobody can know which file or folder to read.
        DownloadError: If a folder at a URL cannot be listed.
    """
    names = [archive.name for archive in config.archives]
    built_from = f"config {config.name} is built from {', '.join(names)}"
    for name in named:
        if name not in names:
            raise OptionError(f"{built_from}: got --{name}. Leave it out.")
    others = [archive for archive in config.archives if archive.name not in named]
    if source is None:
        missing = ", ".join(f"--{archive.name}=..." for archive in others)
        if missing:
            raise OptionError(
                f"{built_from}: expected --source=..., an archive, a folder of "
                f"patches, or the folder that holds all archives; or {missing}."
            )
        return {name: named[name] for name in names}
    if not isinstance(source, RemotePath):
        check_path(source, "source")
    if not others:
        raise OptionError(f"{built_from}: leave out --source={source}, all are named.")
    if len(others) > 1 and not is_folder(source):
        flags_of = ", ".join(f"--{archive.name}=..." for archive in others)
        raise OptionError(
            f"{built_from}: got --source={source}; expected the folder that holds "
            f"them, or {flags_of}."
        )
    found = {archive.name: _find_in(source, archive) for archive in others}
    for archive in others if len(others) > 1 else ():
        if found[archive.name] == source and not _holds(source, archive):
            raise OptionError(
                f"{built_from}: {source} holds no {archive.name}. Expected "
                f"{archive.filenames[0]} or the folder {archive.folder} there; or "
                f"--{archive.name}=..."
            )
    return {name: {**found, **named}[name] for name in names}


def find_given(
    archives: Iterable[Archive], source: Path | None, named: Mapping[str, Path]
) -> dict[str, Path]:
    """Returns name of each archive that is given → what it is read from.

    Args:
        archives: The archives that some stores were built from.
        source: As of `find_sources`; None for none but those that are named.
        named: Likewise.

    Raises:
        OptionError: If one is named that no store was built from, or nobody can know
            which one is meant.
        ArchiveError: If nobody can know which file or folder to read.
    """
    chosen = {archive.name: archive for archive in archives}
    built_from = f"the stores were built from {', '.join(chosen)}"
    for name in named:
        if name not in chosen:
            raise OptionError(f"{built_from}: got --{name}. Leave it out.")
    others = [archive for name, archive in chosen.items() if name not in named]
    if source is None:
        return dict(named)
    check_path(source, "source")
    if len(others) > 1 and not source.is_dir():
        flags_of = ", ".join(f"--{archive.name}=..." for archive in others)
        raise OptionError(
            f"{built_from}: use {flags_of} in place of --source={source}."
        )
    return {**{a.name: _find_in(source, a) for a in others}, **named}


def _holds(source: Place, archive: Archive) -> bool:
    """Whether a folder holds patches of an archive itself; one at a URL does not."""
    return isinstance(source, Path) and (
        find_levels(source, archive) is not None or bool(find_cut(source, archive))
    )


def _find_in(source: SomePlace, archive: Archive) -> SomePlace:
    """Returns what a folder holds of an archive; itself if it is that, or nothing."""
    if not is_folder(source):
        return source
    if not isinstance(source, Path):
        try:
            has_folder = archive.folder in list_names(source)
        except StoreError:  # of which opening it says more
            return source
        return source / archive.folder if has_folder else source
    try:
        return find_root(source, archive)
    except ArchiveError:
        found = choose(list_candidates(source, archive, _DEPTH), archive)
        return source if found is None else found.path


def _list_names() -> list[str]:
    return list(dict.fromkeys(a.name for r in RELEASES for a in r.archives))


def define_flags(*, takes_urls: bool = False) -> None:
    """Defines the flags `--source`, and one for each archive that there is.

    Args:
        takes_urls: Whether they may be URLs of object stores.
    """
    define = command.define_place if takes_urls else _define_path
    define("source", "Archive or folder of patches, or the folder that holds all.")
    for name in _list_names():
        define(name, f"The archive {name}, or a folder of it.")


def _define_path(name: str, description: str) -> None:
    command.define_path(name, None, description)


def read_flags(config: Config) -> dict[str, Path]:
    """Returns what the flags say; errors as of `find_sources`."""
    return find_sources(config, flags.FLAGS.source, _read_named())


def read_given_flags(configs: Iterable[Config]) -> dict[str, Path]:
    """Returns what the flags say of the archives of stores; errors as of `find_given`.

    Args:
        configs: The configurations of the stores.

    Raises:
        OptionError: If they are of several releases, whose archives share names.
    """
    source, named = flags.FLAGS.source, _read_named()
    if source is None and not named:
        return {}
    configs = list(configs)
    if len({config.release.name for config in configs}) > 1:
        raise OptionError(
            "the stores are of several releases, whose archives have the same names: "
            "pass the folder of one store as --data_dir."
        )
    archives = dict.fromkeys(a for config in configs for a in config.archives)
    return find_given(archives, source, named)


def _read_named() -> dict[str, Path]:
    given = {name: flags.FLAGS[name].value for name in _list_names()}
    return {name: path for name, path in given.items() if path is not None}


# `--help` shows these flags as those of the command that defines them.
flags.disclaim_key_flags()
