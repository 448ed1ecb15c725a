"""Answers the requests that read: revisions, listings, files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.hub.messages import Answer, Request
from tests.hub.repository import Refused, Repository
from tests.hub.routes import (
    FILES,
    INVALID,
    REPO,
    describe,
    is_set,
    read_json,
    route,
    sign,
)

if TYPE_CHECKING:
    from tests.hub.server import Hub

_DATE = "2026-01-01T00:00:00.000Z"


@route("GET /api/whoami-v2")
def _who_am_i(hub: Hub, request: Request) -> Any:
    if "authorization" not in request.headers:
        raise Refused(401, INVALID)
    return {"type": "user", "name": "tester", "orgs": [{"name": "org"}]}


@route(rf"GET {REPO}(/revision/(?P<revision>[^/]+))?")
def _info(hub: Hub, request: Request, repo: Repository, revision: str) -> Any:
    commit = repo.find(revision or "main")
    files = [
        {"rfilename": path, "size": file.nbytes, "blobId": file.oid}
        for path, file in sorted(commit.files.items())
    ]
    return {
        "_id": "0",
        "id": repo.name,
        "author": repo.name.partition("/")[0],
        "sha": commit.oid,
        "lastModified": _DATE,
        "createdAt": _DATE,
        "private": False,
        "gated": False,
        "disabled": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": files,
    }


@route(rf"GET {REPO}/refs")
def _refs(hub: Hub, request: Request, repo: Repository) -> Any:
    def listed(kind: str) -> list[dict[str, str]]:
        names = sorted(ref for ref in repo.refs if ref.startswith(kind))
        return [
            {"name": r.removeprefix(kind), "ref": r, "targetCommit": repo.refs[r]}
            for r in names
        ]

    found = {
        "branches": listed("refs/heads/"),
        "tags": listed("refs/tags/"),
        "converts": [],
    }
    pulls = listed("refs/pr/") if is_set(request, "include_prs") else []
    return {**found, "pullRequests": pulls}


@route(rf"GET {REPO}/tree/(?P<revision>[^/]+)(/(?P<folder>.+))?")
def _tree(
    hub: Hub, request: Request, repo: Repository, revision: str, folder: str
) -> Answer:
    entries = repo.list_tree(revision, folder, is_set(request, "recursive"))
    if is_set(request, "expand"):
        entries = [_expand(repo, revision, entry) for entry in entries]
    start = int(request.query.get("cursor", ["0"])[0])
    stop, headers = start + hub.page, {}
    if stop < len(entries):
        asked = [f"{k}={v[0]}" for k, v in request.query.items() if k != "cursor"]
        query = "&".join([*asked, f"cursor={stop}"])
        headers["Link"] = f'<{hub.endpoint}{request.path}?{query}>; rel="next"'
    return Answer(entries[start:stop], headers=headers)


def _expand(repo: Repository, revision: str, entry: dict[str, Any]) -> dict[str, Any]:
    commit = repo.find(revision)
    latest = {"id": commit.oid, "title": commit.title, "date": _DATE}
    return {**entry, "lastCommit": latest}


@route(rf"POST {REPO}/paths-info/(?P<revision>[^/]+)")
def _paths_info(hub: Hub, request: Request, repo: Repository, revision: str) -> Any:
    assert isinstance(request.body, bytes)
    if "json" in request.headers.get("content-type", ""):
        asked = read_json(request)
        paths, expand = asked["paths"], asked.get("expand", False)
    else:
        form = parse_qs(request.body.decode())
        paths = form.get("paths", [])
        expand = form.get("expand", ["false"])[0].lower() == "true"
    listed = {e["path"]: e for e in repo.list_tree(revision, "", recursive=True)}
    found = [listed[path] for path in paths if path in listed]
    return [_expand(repo, revision, entry) for entry in found] if expand else found


@route(
    rf"(GET|HEAD) {FILES}/resolve"
    r"/(?P<revision>[^/]+)/(?P<path>.+)"
)
def _resolve(
    hub: Hub, request: Request, repo: Repository, revision: str, path: str
) -> Answer:
    commit = repo.find(revision)
    headers = {"X-Repo-Commit": commit.oid}
    if path not in commit.files:
        refused = describe(Refused(404, "Entry not found", "EntryNotFound"))
        refused.headers.update(headers)
        return refused
    file = commit.files[path]
    if not file.is_large:
        headers["ETag"] = f'"{file.oid}"'
        return Answer(hub.objects / file.sha256, headers=headers)
    headers |= {"X-Linked-Size": str(file.nbytes), "X-Linked-ETag": f'"{file.sha256}"'}
    headers["Location"] = sign(hub, file.sha256)
    return Answer(b"", 302, headers)


@route("(GET|HEAD) /objects/(?P<sha256>[0-9a-f]{64})")
def _download(hub: Hub, request: Request, sha256: str) -> Answer:
    if not (hub.objects / sha256).is_file():
        raise Refused(404, "NoSuchKey")
    return Answer(hub.objects / sha256, headers={"ETag": f'"{sha256}"'})


@route(rf"GET {REPO}/xet-(?P<kind>read|write)-token/(?P<revision>[^/]+)")
def _xet_token(
    hub: Hub, request: Request, repo: Repository, kind: str, revision: str
) -> Answer:
    if hub.xet is None:
        raise Refused(404, f"no such address: {request}")
    url, ends = f"local://{hub.xet}", int(time.time()) + 3600
    headers = {
        "X-Xet-Cas-Url": url,
        "X-Xet-Access-Token": hub.signature,
        "X-Xet-Token-Expiration": str(ends),
    }
    content = {"casUrl": url, "accessToken": hub.signature, "exp": ends}
    return Answer(content, headers=headers)


@route(rf"GET {REPO}/discussions")
def _discussions(hub: Hub, request: Request, repo: Repository) -> Any:
    found = [
        {
            "num": number,
            "title": title,
            "status": "merged" if number in repo.merged else "open",
            "author": {"name": "tester"},
            "isPullRequest": True,
            "createdAt": _DATE,
            "repo": {"name": repo.name, "type": "dataset"},
        }
        for number, title in enumerate(repo.pull_requests, 1)
    ]
    start = int(request.query.get("p", ["0"])[0]) * hub.page
    page = found[start : start + hub.page]
    return {"discussions": page, "count": len(found), "start": start}
