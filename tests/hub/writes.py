"""Answers the requests that write: objects, commits, tags, branches.

Source: the Git LFS batch protocol (git-lfs, docs/api/batch.md), and the clients.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.hub.messages import Answer, Request
from tests.hub.repository import (
    MAIN,
    File,
    Refused,
    Repository,
    is_large,
    large_file,
)
from tests.hub.routes import FILES, REPO, is_set, read_json, route, sign

if TYPE_CHECKING:
    from tests.hub.server import Hub


@route("POST /api/repos/create")
def _create(hub: Hub, request: Request) -> Any:
    asked = read_json(request)
    assert asked.get("type", "model") in ("dataset", "model")
    name = f"{asked['organization'] or 'tester'}/{asked['name']}"
    url = {"url": f"{hub.endpoint}/datasets/{name}"}
    if name in hub.repositories:
        return Answer({**url, "error": "You already created this dataset repo"}, 409)
    hub.repositories[name] = Repository(name, hub.objects)
    return url


@route("POST /api/validate-yaml")
def _validate(hub: Hub, request: Request) -> Any:
    content = read_json(request)["content"]
    try:
        header = yaml.safe_load(content.split("---\n")[1])
        problem = "" if isinstance(header, dict) else "metadata is not a mapping"
    except (IndexError, yaml.YAMLError) as error:
        problem = f"{error}"
    errors = [{"message": problem}] if problem else []
    return Answer({"errors": errors, "warnings": []}, 400 if errors else 200)


@route(rf"POST {REPO}/preupload/(?P<revision>[^/]+)")
def _preupload(hub: Hub, request: Request, repo: Repository, revision: str) -> Any:
    files, listed = read_json(request)["files"], repo.find(revision).files
    assert len(files) <= 256
    modes = []
    for file in files:
        path, sample = file["path"], base64.b64decode(file["sample"])
        large, known = is_large(path, file["size"], sample), listed.get(path)
        mode = {"path": path, "uploadMode": "lfs" if large else "regular"}
        if known is not None:
            mode["oid"] = known.sha256 if known.is_large else known.oid
        modes.append({**mode, "shouldIgnore": False})
    return {"files": modes, "commitOid": repo.find(revision).oid}


@route(rf"POST {FILES}[.]git/info/lfs/objects/batch")
def _batch(hub: Hub, request: Request, repo: Repository) -> Any:
    asked = read_json(request)
    assert asked["operation"] == "upload"
    return {
        "transfer": "basic" if hub.part_nbytes is None else "multipart",
        "objects": [_offer(hub, repo, o["oid"], o["size"]) for o in asked["objects"]],
    }


def _offer(hub: Hub, repo: Repository, oid: str, size: int) -> dict[str, Any]:
    """Says where an object is sent, unless it is there already."""
    if (hub.objects / oid).is_file():
        return {"oid": oid, "size": size}
    upload: dict[str, Any] = {"href": sign(hub, oid)}
    if hub.part_nbytes is not None:
        count = -(-size // hub.part_nbytes)
        parts = {str(n): sign(hub, f"{oid}/{n}") for n in range(1, count + 1)}
        upload = {
            "href": f"{hub.endpoint}/api/complete_multipart/{oid}"
            f"?X-Amz-Signature={hub.signature}",
            "header": {"chunk_size": str(hub.part_nbytes), **parts},
        }
    verify = {"href": f"{hub.endpoint}/datasets/{repo.name}.git/info/lfs/verify"}
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {"upload": upload, "verify": verify},
    }


@route("PUT /objects/(?P<sha256>[0-9a-f]{64})(/(?P<part>[0-9]+))?")
def _receive(hub: Hub, request: Request, sha256: str, part: str) -> Answer:
    assert isinstance(request.body, Path)
    if part:
        request.body.rename(hub.folder / f"{sha256}.{part}")
        return Answer(headers={"ETag": f'"{part}"'})
    _keep(hub, request.body, sha256)
    return Answer(headers={"ETag": f'"{sha256}"'})


@route("POST /api/complete_multipart/(?P<sha256>[0-9a-f]{64})")
def _complete(hub: Hub, request: Request, sha256: str) -> Any:
    whole = hub.new_file()
    with whole.open("wb") as file:
        for part in read_json(request)["parts"]:
            piece = hub.folder / f"{sha256}.{part['partNumber']}"
            file.write(piece.read_bytes())
            piece.unlink()
    _keep(hub, whole, sha256)
    return {}


def _keep(hub: Hub, path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise Refused(400, f"BadDigest: expected {sha256}, got {found}")
    path.rename(hub.objects / sha256)


@route(rf"POST {FILES}[.]git/info/lfs/verify")
def _verify(hub: Hub, request: Request, repo: Repository) -> Any:
    asked = read_json(request)
    _find_object(hub, asked["oid"], asked["size"])
    return {}


def _find_object(hub: Hub, oid: str, size: int) -> File:
    """Returns an object that was sent; with Xet, it may be in another store."""
    path = hub.objects / oid
    if hub.xet is None and not path.is_file():
        raise Refused(404, f"LFS object {oid} was not uploaded")
    if path.is_file() and path.stat().st_size != size:
        raise Refused(400, f"LFS object {oid} has another size")
    return large_file(oid, size)


@route(rf"POST {REPO}/commit/(?P<revision>[^/]+)")
def _commit(hub: Hub, request: Request, repo: Repository, revision: str) -> Any:
    assert isinstance(request.body, bytes)
    header: dict[str, str] = {}
    changes: dict[str, File | None] = {}
    for line in request.body.splitlines():
        item = json.loads(line)
        value = item["value"]
        match item["key"]:
            case "header":
                header = value
            case "file":
                changes[value["path"]] = repo.store(base64.b64decode(value["content"]))
            case "lfsFile":
                changes[value["path"]] = _find_object(hub, value["oid"], value["size"])
            case "deletedFile":
                changes[value["path"]] = None
            case "deletedFolder":
                changes[value["path"].rstrip("/") + "/"] = None
    commit, number = repo.commit(
        revision,
        header["summary"],
        changes,
        parent=header.get("parentCommit"),
        pull_request=is_set(request, "create_pr"),
    )
    url = f"{hub.endpoint}/datasets/{repo.name}"
    pull = f"{url}/discussions/{number}" if number else None
    return {
        "success": True,
        "commitUrl": f"{url}/commit/{commit.oid}",
        "commitOid": commit.oid,
        "pullRequestUrl": pull,
    }


@route(rf"POST {REPO}/tag/(?P<revision>[^/]+)")
def _tag(hub: Hub, request: Request, repo: Repository, revision: str) -> Any:
    ref = f"refs/tags/{read_json(request)['tag']}"
    if ref in repo.refs:
        raise Refused(409, "Tag reference exists already")
    repo.refs[ref] = repo.find(revision).oid
    return {}


@route(rf"POST {REPO}/branch/(?P<name>[^/]+)")
def _branch(hub: Hub, request: Request, repo: Repository, name: str) -> Any:
    if f"refs/heads/{name}" in repo.refs:
        raise Refused(409, f"Reference already exists: refs/heads/{name}")
    start = read_json(request).get("startingPoint", MAIN)
    repo.refs[f"refs/heads/{name}"] = repo.find(start).oid
    return {}
