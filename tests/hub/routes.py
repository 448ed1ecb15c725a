"""Sends each request of the hub's clients to the function that answers it.

Source: what `huggingface_hub` 2.4 and `datasets` 5.2 send, and read of the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.hub.messages import Answer, Request
from tests.hub.repository import Refused, Repository

if TYPE_CHECKING:
    from tests.hub.server import Hub

INVALID = "Invalid credentials in Authorization header"
REPO = r"/api/(?:datasets|models)/(?P<repo>[^/]+/[^/]+)"
# What addresses of files begin with; those of models have no kind.
FILES = r"(?:/datasets)?/(?P<repo>[^/]+/[^/]+)"
# Where addresses are secrets, and no token is shown.
_SIGNED = ("/objects/", "/api/complete_multipart/")
_ROUTES: list[tuple[str, Callable[..., Any]]] = []


def route(pattern: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the function that answers what matches `METHOD /path`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _ROUTES.append((pattern, function))
        return function

    return register


def answer(hub: Hub, request: Request) -> Answer:
    """Answers a request."""
    try:
        _check_token(hub, request)
        for pattern, function in _ROUTES:
            if found := re.fullmatch(pattern, str(request)):
                values = {k: unquote(v or "") for k, v in found.groupdict().items()}
                if "repo" in values:
                    values["repo"] = _find_repository(hub, request, values["repo"])
                done = function(hub, request, **values)
                return done if isinstance(done, Answer) else Answer(done)
        raise Refused(404, f"no such address: {request}")
    except Refused as refused:
        return describe(refused)


def describe(refused: Refused) -> Answer:
    """Returns the answer for a request that is refused."""
    headers = {"X-Error-Message": refused.message}
    if refused.code:
        headers["X-Error-Code"] = refused.code
    content = {"error": refused.message or responses.get(refused.status, "")}
    return Answer(content, refused.status, headers)


def _check_token(hub: Hub, request: Request) -> None:
    found = request.headers.get("authorization")
    if found is not None and found != f"Bearer {hub.token}":
        raise Refused(401, INVALID)
    signed = request.path.startswith(_SIGNED)
    if signed and request.query.get("X-Amz-Signature") != [hub.signature]:
        raise Refused(403, "SignatureDoesNotMatch")
    # Reading may be done by POST, too.
    reads = request.method in ("GET", "HEAD") or "/paths-info/" in request.path
    writes = not reads or "/xet-write-token/" in request.path
    if signed or not writes:
        return
    if found is None:
        raise Refused(401, "Invalid username or password.")
    if hub.read_only:
        raise Refused(403, "you must use a write token to do this")


def _find_repository(hub: Hub, request: Request, name: str) -> Repository:
    try:
        return hub.repositories[name]
    except KeyError:  # nobody learns what exists without showing a token
        status = 404 if "authorization" in request.headers else 401
        raise Refused(status, "Repository not found", "RepoNotFound") from None


def read_json(request: Request) -> Any:
    """Returns the body of a request, as JSON."""
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def is_set(request: Request, name: str) -> bool:
    """Whether the query of a request sets something."""
    return request.query.get(name, ["0"])[0].lower() in ("1", "true")


def sign(hub: Hub, name: str) -> str:
    """Returns an address that needs no token, since it is a secret itself."""
    # At another name of the host, as large files are: clients follow redirects to the
    # hub itself, and look for the headers of the file there.
    store = hub.endpoint.replace("127.0.0.1", "localhost")
    return f"{store}/objects/{name}?X-Amz-Signature={hub.signature}"
