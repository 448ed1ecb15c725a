"""Downloads archives of BigEarthNet, or published stores, and verifies them.

An archive (Sentinel-2 of v1.0: 70 GB) is received as OUTPUT/<name>.part and gets its
name once its size and checksum are right. If the download is interrupted, run the same
command again: it resumes. Mirrors are tried before the official URL; all must give the
same bytes. An archive that is there already is verified.

--only says which archives of a release: s2, s1, maps. No byte of another is received.

With --from, stores that somebody has published are mirrored into a data directory in
place of that: each file is verified, an interrupted download resumes, and a store gets
its name when it is complete. The same command again downloads nothing.

Example:
  python -m builder.download --output=downloads
  python -m builder.download --release=v2.0 --only=s2,maps --output=downloads
  python -m builder.download --mirror=https://mirror.example/BigEarthNet-S2-v1.0.tar.gz
  python -m builder.download --from=hf://datasets/ORG/NAME --data_dir=DIR --splits=train
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from urllib3 import Retry

from bigearthnet.download import RETRIES, fetch
from bigearthnet.download.mirror import mirror
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, V1, Archive, Release
from bigearthnet.schema.configs import list_configs
from bigearthnet.source.candidates import list_candidates
from bigearthnet.util import command
from bigearthnet.util.remote import is_url

# Name of the flag → release; `v1` is what the first was called here.
_RELEASES = {**{release.name: release for release in RELEASES}, "v1": V1}


def download(
    archive: Archive,
    output: Path,
    *,
    mirrors: Sequence[str] = (),
    retries: Retry = RETRIES,
    quiet: bool = False,
) -> Path:
    """Downloads an archive.

    Args:
        archive: What to download.
        output: Folder to put it in; made if missing.
        mirrors: Other URLs of the same file, tried first, in order.
        retries: How often a failed request is repeated, for each server.
        quiet: Shows no progress.

    Returns:
        The file, which has the published size and checksum.

    Raises:
        OptionError, ChecksumError, DownloadError, DiskSpaceError: See `download.fetch`.
    """
    name = next((n for n in archive.filenames if (output / n).exists()), None)
    path = output / (name or archive.filenames[0])
    urls = (*mirrors, archive.url)
    if not path.exists() and not quiet:
        _show_others(output, archive)
    fetch(urls, path, archive.nbytes, archive.digest, retries=retries, quiet=quiet)
    return path


def _show_others(output: Path, archive: Archive) -> None:
    """Names what is in a folder that could be built from instead."""
    for found in list_candidates(output, archive, 1):
        state = found.problem or (
            f"builds without a download: python -m builder.build --source={found.path}"
        )
        print(f"{found.path} is there: {state}", file=sys.stderr)


def choose_archives(release: Release, only: Sequence[str]) -> list[Archive]:
    """Returns the archives to download.

    Args:
        release: The release.
        only: Names of archives; empty for all, of v1.0 for Sentinel-2 alone.

    Raises:
        OptionError: If the release has none of such a name.
    """
    names = [archive.name for archive in release.archives]
    if not only and release.name == V1.name:
        names = names[:1]
    return [release.archive(name) for name in dict.fromkeys(only or names)]


def _suggest(release: Release, archives: Sequence[Archive], output: Path) -> str:
    """Returns the command that builds from archives; "" if they make nothing."""
    names = {archive.name for archive in archives}
    built = [c.name for c in release.choices if names.issuperset(c.archives)]
    if not built:
        return ""
    config = "" if built[0] == "s2" else f" --config={built[0]}"
    return f"next: python -m builder.build --data_dir=data --source={output}{config}"


def _define_flags() -> None:
    command.define_choice("release", V1.name, list(_RELEASES), "What to download.")
    names = dict.fromkeys(a.name for r in RELEASES for a in r.archives)
    flags.DEFINE_list(
        "only",
        [],
        f"Some of its archives: {', '.join(names)}. All if empty, of {V1.name} "
        "Sentinel-2 alone.",
    )
    flags.DEFINE_multi_string(
        "mirror", [], "URL of the same file, tried before the official one."
    )
    command.define_path("output", ".", "Folder to put the archive in.")
    flags.DEFINE_string(
        "from", None, "URL of published stores (hf://, s3://, gs://, https://)."
    )
    command.define_path("data_dir", None, "Data directory to mirror them into.")
    command.define_choice("config", "s2", [*list_configs(RELEASES)], "Which to mirror.")
    flags.DEFINE_list("stores", ["parquet"], f"Some of {', '.join(FORMATS)}.")
    flags.DEFINE_list("splits", [], "Splits whose shards are mirrored; all if empty.")


# Flags that mean something with --from alone, and those that mean nothing with it.
_MIRROR_FLAGS = ("data_dir", "config", "stores", "splits")
_ARCHIVE_FLAGS = ("release", "only", "mirror", "output")


def _check_flags(url: str | None) -> None:
    """Refuses flags that would have no effect."""
    for name in _MIRROR_FLAGS if url is None else _ARCHIVE_FLAGS:
        if flags.FLAGS[name].present:
            what = "without" if url is None else "with"
            raise OptionError(f"--{name} has no meaning {what} --from: see --help.")
    if url is not None and not is_url(url):
        raise OptionError(
            f"--from: expected a URL, as hf://datasets/ORG/NAME, got {url!r}. What is "
            "on this machine can be read where it is."
        )
    if url is not None and flags.FLAGS.data_dir is None:
        raise OptionError("--from needs --data_dir, which it mirrors into.")


def _mirror(url: str) -> None:
    values = flags.FLAGS
    print(
        f"mirrors {values.config} ({', '.join(values.stores)}; "
        f"{', '.join(values.splits) or 'all splits'}) from {url} into "
        f"{values.data_dir}",
        file=sys.stderr,
    )
    done = mirror(
        url,
        values.data_dir,
        list_configs(RELEASES)[values.config],
        formats=values.stores,
        splits=values.splits,
    )
    for store in done:
        text = f"shards: {store.num_files:,}, {store.nbytes:,} bytes: verified"
        text = text if store.num_files else "nothing had to be downloaded"
        if store.absent:
            text += (
                f"; it is a part, without {', '.join(store.absent)}, whose shards "
                "builder.verify calls missing"
            )
        print(f"{store.folder}: {text}")
    print(f'next: bigearthnet.load("train", "{values.data_dir}") loads it')


def _main() -> None:
    values = flags.FLAGS
    url = flags.FLAGS["from"].value
    _check_flags(url)
    if url is not None:
        return _mirror(url)
    release, output = _RELEASES[values.release], values.output
    archives = choose_archives(release, values.only)
    if values.mirror and len(archives) > 1:
        raise OptionError("--mirror is the URL of one archive: choose it with --only.")
    for archive in archives:
        size = archive.nbytes
        print(
            f"{archive.filenames[0]}, "
            f"{'size not known' if size is None else f'{size / 1e9:.1f} GB'}, to "
            f"{output}/ from {', else '.join((*values.mirror, archive.url))}",
            flush=True,
        )
        path = download(archive, output, mirrors=values.mirror)
        digest = archive.digest
        print(
            f"{path}: {path.stat().st_size:,} bytes, {digest.algorithm} "
            f"{digest.hexdigest}: verified",
            flush=True,
        )
    print(_suggest(release, archives, path if len(archives) == 1 else output))


if __name__ == "__main__":
    command.run(_main, _define_flags)
