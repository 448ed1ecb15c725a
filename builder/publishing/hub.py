"""Publishes to a hub that speaks Hugging Face's protocol: in one commit, or not at all.

Shards are sent first, by the client's own upload of large files; nobody sees them until
one commit adds them together with manifest and card, and deletes what an earlier build
left. Everything begins with what the hub has, so that whatever was interrupted is
finished by the same command. A version of the data gets a tag, and never changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigearthnet.errors import PublishError
from bigearthnet.store import Store
from bigearthnet.util.hub_client import HubError, call, uploading
from bigearthnet.util.progress import Progress
from bigearthnet.util.wording import count_of
from builder.publishing.files import Changes, PublishedFile, compare, is_data

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.hf_api import RepoFile

MAIN = "main"
# Seconds until all is tried again; the client repeats single requests itself.
_WAITS_S = (1.0, 5.0, 30.0)
# Files that are sent together over LFS, by as many threads of the client. Xet has its
# own threads, and takes some 60 MB for each further file.
_TOGETHER = 5
# Differences that an error shows.
_MOST_SHOWN = 5


@dataclass(frozen=True)
class HubTarget:
    """Where something is published.

    Attributes:
        repo: `organisation/name`.
        endpoint: Address of the hub; None for the client's own.
        revision: The branch.
        create_pr: Whether a pull request is opened instead of a commit to the branch.
    """

    repo: str
    endpoint: str | None = None
    revision: str = MAIN
    create_pr: bool = False


@dataclass(frozen=True)
class _Remote:
    """What there is: the branch's latest commit, and the commit of each tag."""

    exists: bool
    head: str | None
    tags: Mapping[str, str]


class HubPublisher:
    """Publishes the files of some stores to a repository."""

    def __init__(
        self,
        target: HubTarget,
        stores: Sequence[Store],
        files: Sequence[PublishedFile],
        *,
        quiet: bool = False,
    ) -> None:
        """Sends nothing yet.

        Args:
            target: Where to.
            stores: The stores, of one configuration.
            files: Their files.
            quiet: Shows no progress.
        """
        from huggingface_hub import HfApi

        self._target, self._stores, self._files = target, stores, files
        self._quiet = quiet
        self._api = HfApi(endpoint=target.endpoint)
        self._repo: dict[str, Any] = {"repo_id": target.repo, "repo_type": "dataset"}
        version = stores[0].config.release.data_version
        build = hashlib.sha256(repr([(f.path, f.sha256) for f in files]).encode())
        self._tag = f"v{version}"
        # Says what it holds, so that a pull request is found again.
        self._title = f"Publish version {version} (build {build.hexdigest()[:12]})"

    def find_changes(self) -> Changes:
        """Returns what would change; reads only.

        Raises:
            PublishError: If the hub cannot be read, or has the version with other data.
        """
        return call(self._target.repo, lambda: self._find_changes(self._read_remote()))

    def publish(self) -> str:
        """Publishes, and compares what the hub has then with what was sent.

        The comparison takes the hub's word for the sha256 of a large file, by which it
        keeps them.

        Returns:
            What was done.

        Raises:
            PublishError: If it cannot be published, or did not arrive.
        """
        for wait_s in (*_WAITS_S, None):
            try:
                return call(self._target.repo, self._publish)
            except HubError as problem:
                if not problem.is_temporary or wait_s is None:
                    raise
                wait_s = problem.retry_after_s or wait_s
                with Progress("publish", quiet=self._quiet) as shown:
                    shown.note(f"{problem} Trying again in {wait_s:,.0f} s.")
                time.sleep(wait_s)
        raise AssertionError

    def _publish(self) -> str:
        remote = self._prepare()
        changes = self._find_changes(remote)
        where, done = remote.head, "nothing had to be sent"
        if changes:
            where = self._find_pull_request() or self._commit(changes, remote.head)
            nbytes = sum(file.nbytes for file in changes.to_send)
            done = (
                f"{count_of(len(changes.to_send), 'file')} of {nbytes / 1e6:,.1f} MB "
                "added, "
                f"{len(changes.extra):,} deleted"
            )
        if problems := list(self._compare(where).describe()):
            raise PublishError(
                f"{self._target.repo} at {where} is not what was sent: "
                f"{'; '.join(problems[:_MOST_SHOWN])}."
            )
        done += f"; {self._target.repo} at {where} was compared"
        if self._target.revision != MAIN or self._target.create_pr:
            return done
        tagged = remote.tags.get(self._tag)
        if tagged is None:
            self._api.create_tag(
                **self._repo, tag=self._tag, revision=where, exist_ok=True
            )
        return f"{done}; tag {self._tag} at {tagged or where}"

    def _prepare(self) -> _Remote:
        """Makes the repository and the branch, if they are missing."""
        remote = self._read_remote()
        if not remote.exists:
            self._api.create_repo(**self._repo, exist_ok=True)
            remote = self._read_remote()
        if remote.head is None:
            self._api.create_branch(
                **self._repo, branch=self._target.revision, exist_ok=True
            )
            remote = self._read_remote()
        return remote

    def _read_remote(self) -> _Remote:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs = self._api.list_repo_refs(**self._repo)
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:  # 401: nobody is logged in
                raise
            return _Remote(False, None, {})
        heads = {branch.name: branch.target_commit for branch in refs.branches}
        tags = {tag.name: tag.target_commit for tag in refs.tags}
        return _Remote(True, heads.get(self._target.revision), tags)

    def _find_changes(self, remote: _Remote) -> Changes:
        self._check_version(remote)
        return self._compare(remote.head)

    def _check_version(self, remote: _Remote) -> None:
        """Refuses other data under a version that is published."""
        commit = remote.tags.get(self._tag)
        if commit is None or self._target.revision != MAIN:
            return
        tagged = self._compare(commit)
        paths = [*(file.path for file in tagged.other), *tagged.extra]
        if other := [path for path in paths if is_data(path)]:
            raise PublishError(
                f"{self._target.repo} has {self._tag} with other data: "
                f"{', '.join(other[:_MOST_SHOWN])}. A published version does not "
                "change: raise the version of the data, or publish to another "
                "--revision. Nothing was published."
            )

    def _compare(self, revision: str | None) -> Changes:
        listed = {} if revision is None else self._list(revision)
        sizes = {path: file.size for path, file in listed.items()}
        return compare(
            self._stores, self._files, sizes, lambda f: _is_same(f, listed[f.path])
        )

    def _list(self, revision: str) -> dict[str, RepoFile]:
        from huggingface_hub.hf_api import RepoFile

        tree = self._api.list_repo_tree(**self._repo, revision=revision, recursive=True)
        return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

    def _find_pull_request(self) -> str | None:
        """Returns the revision of an open pull request of the same files."""
        if self._target.create_pr:
            for found in self._api.get_repo_discussions(
                **self._repo,
                discussion_type="pull_request",
                discussion_status="open",
            ):
                if found.title == self._title:
                    return f"refs/pr/{found.num}"
        return None

    def _commit(self, changes: Changes, head: str | None) -> str:
        """Sends what is missing; returns the revision that has it."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        files = changes.to_send
        additions = [CommitOperationAdd(file.path, file.source) for file in files]
        self._upload(files, additions)
        for file, addition in zip(files, additions, strict=True):
            if addition.upload_info.sha256.hex() != file.sha256:
                raise PublishError(
                    f"{file.source!s:.200} has changed since it was verified. Nothing "
                    "was published."
                )
        done = self._api.create_commit(
            **self._repo,
            operations=[*additions, *map(CommitOperationDelete, changes.extra)],
            commit_message=self._title,
            parent_commit=head,
            revision=self._target.revision,
            create_pr=self._target.create_pr,
        )
        return str(done.pr_revision or done.oid)

    def _upload(
        self,
        files: Sequence[PublishedFile],
        additions: Sequence[CommitOperationAdd],
    ) -> None:
        """Sends large files to where nobody sees them yet."""
        total = sum(file.nbytes for file in self._files)
        there = total - sum(file.nbytes for file in files)
        with (
            uploading(self._target.repo, self._api.endpoint) as is_xet,
            Progress(
                "publish", total_nbytes=total, first_nbytes=there, quiet=self._quiet
            ) as shown,
        ):
            count = 1 if is_xet else _TOGETHER
            for start in range(0, len(files), count):
                self._api.preupload_lfs_files(
                    self._target.repo,
                    list(additions[start : start + count]),
                    repo_type="dataset",
                    revision=self._target.revision,
                    create_pr=self._target.create_pr,
                    num_threads=count,
                )
                sent = files[start : start + count]
                shown.add(0, sum(file.nbytes for file in sent))


def _is_same(file: PublishedFile, listed: RepoFile) -> bool:
    """Whether the hub has the content of a file, by the checksum that it lists."""
    if listed.lfs is not None:
        return bool(listed.lfs.sha256 == file.sha256)
    content = file.read()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content)  # as git names it
    return bool(listed.blob_id == oid.hexdigest())
