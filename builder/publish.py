"""Publishes what was built: to a hub, an object store, or a folder.

What is published is verified first, then what the target lacks is sent, and what it has
in the end is compared. A build that is incomplete, has made-up patches or some that
were set aside is refused unless --allow names that. An interrupted command is repeated.

  hf://datasets/ORG/NAME   one commit to a hub that speaks Hugging Face's protocol, for
                           `datasets.load_dataset("ORG/NAME", "s2-43")`, and a tag
  s3://BUCKET/FOLDER       an object store (extra [s3]; gs:// needs [gs])
  file:///FOLDER           a folder that others read

The Parquet store becomes the root of the target, with its card, or its parts do, with a
card above them (--config=v2-s1s2 is both); other stores keep their folders.
provenance.json is published without names of private files, command and time.
Credentials come from the environment or the login of the hub (`hf auth login`).

Example:
  python -m builder.publish --data_dir=data --to=hf://datasets/me/bigearthnet --dry_run
  python -m builder.publish --data_dir=data --to=hf://datasets/me/bigearthnet
  python -m builder.publish --data_dir=data --to=s3://bucket/2.0.0 --stores=arrow
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from absl import flags

from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import list_configs
from bigearthnet.store import Store
from bigearthnet.util import command
from bigearthnet.util.options import look_up
from bigearthnet.util.remote import is_url
from bigearthnet.util.wording import count_of
from builder.publishing.choice import REPO, check_target, choose_stores
from builder.publishing.files import Changes, PublishedFile, list_files, make_parts_card
from builder.publishing.hub import MAIN, HubPublisher, HubTarget
from builder.publishing.object_store import FolderPublisher
from builder.publishing.readiness import ALLOWED, check_ready


class Publisher(Protocol):
    """Something that publishes files of stores."""

    def find_changes(self) -> Changes:
        """Returns what would change; reads only."""

    def publish(self) -> str:
        """Publishes, compares, and returns what was done."""


def make_publisher(
    to: str,
    stores: Sequence[Store],
    files: Sequence[PublishedFile],
    *,
    endpoint: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    quiet: bool = False,
) -> Publisher:
    """Returns what publishes to an address.

    Args:
        to: `hf://datasets/ORG/NAME`, or a folder at `s3://`, `gs://` or `file://`;
            checked by `check_target`.
        stores: The stores.
        files: Their files.
        endpoint: Address of the server; None for the provider's own.
        revision: Branch of a hub's repository; None for `main`.
        create_pr: Whether a pull request is opened there.
        quiet: Shows no progress.

    Raises:
        PublishError: If an object store cannot be opened.
    """
    if found := REPO.fullmatch(to):
        target = HubTarget(found[1], endpoint, revision or MAIN, create_pr)
        return HubPublisher(target, stores, files, quiet=quiet)
    return FolderPublisher(to, stores, files, endpoint=endpoint, quiet=quiet)


def publish(
    data_dir: Path,
    to: str,
    *,
    stores: Sequence[str] = ("parquet",),
    config: str | None = None,
    allow: Collection[str] = (),
    endpoint: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    dry_run: bool = False,
    releases: Sequence[Release] = RELEASES,
    quiet: bool = False,
) -> str:
    """Publishes stores of one configuration.

    Args:
        data_dir: The data directory.
        to: See `make_publisher`.
        stores: Names of their formats.
        config: Name of the configuration; None if there is only one.
        allow: What may be published although people should not get it; names of
            `readiness.ALLOWED`.
        endpoint: Address of the server; None for the provider's own.
        revision: Branch of a hub's repository; None for `main`.
        create_pr: Whether a pull request is opened there.
        dry_run: Changes nothing.
        releases: The releases that stores may be of.
        quiet: Shows no progress.

    Returns:
        What was done, or would be.

    Raises:
        OptionError: If an option is invalid.
        PublishError: If a store should not be published, the target cannot be written,
            has something else, or what arrived is not what was sent.
        DiskSpaceError: If a folder's disk has no room for it.
        StoreError, ShardError: If there is no such store, or it cannot be read.
    """
    for name in allow:
        look_up(ALLOWED, name, "reason to publish all the same (--allow)")
    check_target(to, endpoint, revision, create_pr)
    chosen = choose_stores(data_dir, stores, config, releases)
    check_ready(data_dir, chosen, allow, quiet=quiet)
    publisher = make_publisher(
        to,
        chosen,
        [
            *(file for store in chosen for file in list_files(store)),
            *make_parts_card(chosen),
        ],
        endpoint=endpoint,
        revision=revision,
        create_pr=create_pr,
        quiet=quiet,
    )
    return describe(publisher.find_changes()) if dry_run else publisher.publish()


def describe(changes: Changes) -> str:
    """Returns what would change, a line for each file."""
    lines = [f"add      {f.path} ({f.nbytes:,} bytes)" for f in changes.missing]
    lines += [f"replace  {f.path} ({f.nbytes:,} bytes)" for f in changes.other]
    lines += [f"delete   {path}" for path in changes.extra]
    nbytes = sum(file.nbytes for file in changes.to_send)
    lines.append(
        f"{count_of(len(changes.to_send), 'file')} of {nbytes / 1e6:,.1f} MB would "
        "be sent, "
        f"{len(changes.extra):,} deleted, {len(changes.same):,} are there"
    )
    return "\n".join(lines)


def _define_flags() -> None:
    command.define_path("data_dir", None, "What was built.", required=True)
    flags.DEFINE_string(
        "to",
        None,
        "hf://datasets/ORG/NAME, or a folder: s3://…, gs://…, file://….",
        required=True,
    )
    flags.DEFINE_list("stores", ["parquet"], f"Formats: {', '.join(FORMATS)}.")
    command.define_choice(
        "config", None, [*list_configs(RELEASES)], "Which one, if several were built."
    )
    flags.DEFINE_string("endpoint", None, "Address of the hub's or store's server.")
    flags.DEFINE_string("revision", None, "Branch of the hub's repository [main].")
    flags.DEFINE_bool("create_pr", False, "Open a pull request instead of committing.")
    flags.DEFINE_bool("dry_run", False, "Only show what would change.")
    reasons = "; ".join(f"{name}: {what}" for name, what in ALLOWED.items())
    flags.DEFINE_list("allow", [], f"Publish although … {reasons}.")


def _main() -> None:
    values = flags.FLAGS
    tried = ", only to show what would change" if values.dry_run else ""
    print(
        f"publishes {', '.join(values.stores)} of {values.data_dir} at {values.to}"
        f"{tried}; verifies it first",
        file=sys.stderr,
    )
    done = publish(
        values.data_dir,
        values.to,
        stores=values.stores,
        config=values.config,
        allow=values.allow,
        endpoint=values.endpoint,
        revision=values.revision,
        create_pr=values.create_pr,
        dry_run=values.dry_run,
    )
    print(done)
    if values.dry_run:
        print("next: the same without --dry_run")
    elif is_url(values.to):
        print(
            f"next: python -m builder.download --from={values.to} --data_dir=DIR "
            f"--stores={','.join(values.stores)} mirrors it"
        )


if __name__ == "__main__":
    command.run(_main, _define_flags)
