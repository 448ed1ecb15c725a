"""Repositories as a hub keeps them: immutable commits, and references to them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# The suffixes of a new data set's .gitattributes that matter here.
_LARGE = re.compile(r"\.(parquet|arrow|png|jpe?g|webp)$|\.tfrecord")
_LARGE_NBYTES = 10_000_000
MAIN = "refs/heads/main"


class Refused(Exception):
    """An answer other than 2xx.

    Attributes:
        status: Its status.
        code: The header X-Error-Code.
        message: The header X-Error-Message, and the body.
    """

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class File:
    """A file of a commit; its bytes are an object of the hub, by sha256."""

    sha256: str
    nbytes: int
    oid: str
    is_large: bool

    def describe(self, path: str) -> dict[str, object]:
        """Returns how the hub lists the file."""
        entry = {"type": "file", "path": path, "size": self.nbytes, "oid": self.oid}
        if not self.is_large:
            return entry
        pointer = len(_pointer(self.sha256, self.nbytes))
        lfs = {"oid": self.sha256, "size": self.nbytes, "pointerSize": pointer}
        return {**entry, "lfs": lfs}


@dataclass(frozen=True)
class Commit:
    """A state of all files.

    Attributes:
        oid: Forty hexadecimal digits, of parent, files and title.
        parent: The commit before, or None.
        title: First line of its message.
        files: Path → file.
    """

    oid: str
    parent: str | None
    title: str
    files: Mapping[str, File]


def git_hash(content: bytes) -> str:
    """Returns the name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _pointer(sha256: str, nbytes: int) -> bytes:
    """Returns what git keeps of a large file (git-lfs, docs/spec.md)."""
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{sha256}\nsize {nbytes}\n"
    ).encode()


def large_file(sha256: str, nbytes: int) -> File:
    """Returns a file that is kept outside git."""
    return File(sha256, nbytes, git_hash(_pointer(sha256, nbytes)), True)


def is_large(path: str, nbytes: int, sample: bytes) -> bool:
    """Whether the hub keeps a file outside git; it refuses binary files within."""
    return bool(_LARGE.search(path)) or nbytes > _LARGE_NBYTES or b"\0" in sample


@dataclass
class Repository:
    """One repository.

    Attributes:
        name: `organisation/name`.
        objects: Folder of the objects, which all repositories share.
        commits: Object id → commit.
        refs: `refs/heads/…`, `refs/tags/…`, `refs/pr/…` → object id.
        pull_requests: Title of each, the first being number 1.
        merged: The numbers of those that were merged.
    """

    name: str
    objects: Path
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    pull_requests: list[str] = field(default_factory=list)
    merged: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        attributes = self.store(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")
        first = {".gitattributes": attributes}
        self.refs[MAIN] = self._add(None, "initial commit", first)

    def _add(self, parent: str | None, title: str, files: Mapping[str, File]) -> str:
        content = [parent, title, sorted((p, f.sha256) for p, f in files.items())]
        oid = hashlib.sha1(json.dumps(content).encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, dict(files))
        return oid

    def find_ref(self, revision: str) -> str | None:
        """Returns the full name of a branch, a tag or a pull request."""
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        return next((name for name in names if name in self.refs), None)

    def find(self, revision: str = "main") -> Commit:
        """Returns the commit of a revision."""
        oid = self.refs.get(self.find_ref(revision) or "", revision)
        if oid not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def history(self, revision: str = "main") -> list[str]:
        """Returns the titles of a revision's commits, the latest first."""
        titles, commit = [], self.find(revision)
        while commit.parent is not None:
            titles.append(commit.title)
            commit = self.commits[commit.parent]
        return titles

    def store(self, content: bytes) -> File:
        """Keeps the content of a small file."""
        digest = hashlib.sha256(content).hexdigest()
        (self.objects / digest).write_bytes(content)
        return File(digest, len(content), git_hash(content), False)

    def read(self, path: str, revision: str = "main") -> bytes:
        """Returns the content of a file."""
        return (self.objects / self.find(revision).files[path].sha256).read_bytes()

    def contents(self, revision: str = "main") -> dict[str, str]:
        """Returns path → sha256 of every file."""
        return {path: f.sha256 for path, f in sorted(self.find(revision).files.items())}

    def commit(
        self,
        revision: str,
        title: str,
        changes: Mapping[str, File | None],
        *,
        parent: str | None = None,
        pull_request: bool = False,
    ) -> tuple[Commit, int | None]:
        """Makes a commit.

        Args:
            revision: The branch or pull request that moves; the base of a new one.
            title: Its title.
            changes: Path → new file; None to delete it (`…/` for a folder).
            parent: What the head must be.
            pull_request: Whether a pull request is opened for it.

        Returns:
            The commit, and the number of the pull request.
        """
        ref = self.find_ref(revision) or ""
        head = self.find(revision)
        if ref not in self.refs or ref.startswith("refs/tags/"):
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if parent is not None and parent != head.oid:
            raise Refused(
                412, "A commit has happened since. Please refresh and try again."
            )
        files = dict(head.files)
        for path, file in changes.items():
            if file is not None:
                files[path] = file
                continue
            gone = [
                p
                for p in files
                if p == path or (path[-1] == "/" and p.startswith(path))
            ]
            if not gone:
                raise Refused(
                    404, "A file with this name doesn't exist", "EntryNotFound"
                )
            for name in gone:
                del files[name]
        oid, number = self._add(head.oid, title, files), None
        if pull_request:
            self.pull_requests.append(title)
            number = len(self.pull_requests)
            ref = f"refs/pr/{number}"
        self.refs[ref] = oid
        return self.commits[oid], number

    def merge(self, number: int) -> None:
        """Merges a pull request, as its reader does on the page of the hub."""
        self.refs[MAIN] = self.refs[f"refs/pr/{number}"]
        self.merged.add(number)

    def list_tree(self, revision: str, folder: str, recursive: bool) -> list[dict]:
        """Returns files and folders below a folder, as the hub lists them."""
        prefix = f"{folder}/" if folder else ""
        files = self.find(revision).files
        found = list(self._list(files, prefix, recursive))
        if folder and not found:
            raise Refused(
                404, f"{folder} does not exist on {revision}", "EntryNotFound"
            )
        return found

    @staticmethod
    def _list(
        files: Mapping[str, File], prefix: str, recursive: bool
    ) -> Iterator[dict]:
        folders = set()
        for path, file in sorted(files.items()):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                folder = prefix + "/".join(parts[:depth])
                if folder not in folders:
                    folders.add(folder)
                    oid = hashlib.sha1(folder.encode()).hexdigest()
                    yield {"type": "directory", "path": folder, "size": 0, "oid": oid}
            if recursive or len(parts) == 1:
                yield file.describe(path)
