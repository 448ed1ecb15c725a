"""What is published where: checks of what the command is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bigearthnet.errors import OptionError
from bigearthnet.formats import get_format
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import Config, list_configs
from bigearthnet.store import Store
from bigearthnet.store.search import find_stores
from bigearthnet.util import command
from bigearthnet.util.options import look_up

# Scheme → the package that it needs, and the extra that installs it.
_SCHEMES = {
    "hf": ("huggingface_hub", "hub"),
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "file": ("fsspec", "hub"),
}
# Source: huggingface_hub's validate_repo_id; the organisation is not optional here.
REPO = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)/?")


def choose_stores(
    data_dir: Path,
    formats: Sequence[str],
    config: str | None,
    releases: Sequence[Release] = RELEASES,
) -> list[Store]:
    """Returns the stores to publish, one of each format, or each part of one.

    Args:
        data_dir: The data directory.
        formats: Names of formats.
        config: Name of the configuration; None if there is only one, or its parts.
        releases: The releases that stores may be of.

    Raises:
        OptionError: If a format is unknown, several configurations have one, or a part
            is missing.
        StoreError: If there is no such store.
        ShardError: If the JSON files of one cannot be read.
    """
    found, configs = find_stores(data_dir, releases), list_configs(releases)
    whole = None if config is None else look_up(configs, config, "config")
    chosen = []
    for form in dict.fromkeys(get_format(name) for name in formats):
        stores = [store for store in found if store.format == form]
        missing: list[str] = []
        if whole is not None:
            wanted = whole.parts if form.has_columns else (whole,)
            stores = [store for store in stores if store.config in wanted]
            there = [store.config for store in stores]
            missing = [part.name for part in wanted or (whole,) if part not in there]
        if missing or not stores:
            of = f" of {', '.join(missing)}" if missing else ""
            raise OptionError(
                f"{data_dir} has no {form.name} store{of}: build it, or choose among "
                f"{', '.join(sorted({s.format.name for s in found}))} with --stores."
            )
        chosen += stores
    if not chosen or not any(_belong(one, chosen) for one in configs.values()):
        names = sorted({store.config.name for store in chosen})
        raise OptionError(
            f"{data_dir} has stores of {', '.join(names) or 'nothing'}: choose one "
            "with --config, and --stores."
        )
    return chosen


def _belong(config: Config, stores: Sequence[Store]) -> bool:
    """Whether stores are all of a configuration, or of its parts."""
    return all(store.config in (config, *config.parts) for store in stores)


def check_target(
    to: str, endpoint: str | None, revision: str | None, create_pr: bool
) -> None:
    """Checks what `make_publisher` takes, before anything is verified.

    Raises:
        OptionError: If the address is none that can be published to, holds a user or
            password, or the package that it needs is not installed.
    """
    for address in (to, endpoint or ""):
        if "@" in urlsplit(address).netloc:  # not repeated: it may be a secret
            raise OptionError(
                "an address holds a user or a password: expected none. Credentials "
                "come from the environment, or the login of the hub."
            )
    parts = urlsplit(to)
    package, extra = look_up(_SCHEMES, parts.scheme, "scheme of --to")
    if parts.query or parts.fragment or (parts.scheme != "file" and not parts.netloc):
        raise OptionError(f"--to: expected {parts.scheme}://name/folder, got {to!r}.")
    if parts.scheme == "file" and (parts.netloc or parts.path in ("", "/")):
        raise OptionError(f"--to: expected file:///folder, got {to!r}.")
    if parts.scheme == "file" and endpoint:
        raise OptionError(f"--endpoint is for servers, got {to!r}.")
    if parts.scheme == "hf" and not REPO.fullmatch(to):
        raise OptionError(f"--to: expected hf://datasets/ORG/NAME, got {to!r}.")
    if parts.scheme != "hf" and (revision is not None or create_pr):
        raise OptionError(f"--revision and --create_pr are for hf://, got {to!r}.")
    command.check_packages(extra, package)
