"""An S3 server in this process, which can fail."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECRET = "quite/secret+0123456789"
_DENIED = "<Error><Code>{}</Code><Message>told to fail</Message></Error>"


class S3:
    """An S3 server in this process, which can fail.

    Attributes:
        endpoint: Its address.
        requests: The requests so far.
        fails: Whether the request of a number, from 1, fails.
        is_done: Whether a request that fails is done all the same.
        status: How it fails.
        cuts: Whether the answer to a request lacks its last byte.
    """

    def __init__(self, endpoint: str, app: Callable[..., Iterable[bytes]]) -> None:
        self.endpoint, self.requests, self._app = endpoint, list[str](), app
        self.fails: Callable[[int], bool] = lambda number: False
        self.cuts: Callable[[str], bool] = lambda request: False
        self.is_done, self.status, self.code = False, "403 Forbidden", "AccessDenied"

    def __call__(self, environ: dict, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request (PEP 3333)."""
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if not self.fails(len(self.requests)):
            if self.cuts(self.requests[-1]):
                return self._cut(environ, start)
            return self._app(environ, start)
        body = environ["wsgi.input"]
        if self.is_done:
            list(self._app(environ, lambda *_: None))
        elif "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", ""):
            body.read(int(environ.get("CONTENT_LENGTH") or 0))
        start(self.status, [("Content-Type", "application/xml")])
        return [_DENIED.format(self.code).encode()]

    def _cut(self, environ: dict, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers as if the object were one byte shorter."""
        given: list[Any] = []
        body = b"".join(self._app(environ, lambda *args: given.append(args)))[:-1]
        status, headers, *_ = given[0]
        kept = [(n, v) for n, v in headers if n.lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    def contents(self, folder: str = "2.0.0") -> dict[str, bytes]:
        """Returns path → content of every object below a folder."""
        return {k.removeprefix(f"{folder}/"): self.read(k) for k in self.keys(folder)}

    def keys(self, folder: str = "2.0.0") -> list[str]:
        """Returns the names of the objects below a folder; nothing fails any more."""
        self.fails = lambda number: False
        self.cuts = lambda request: False
        # The servers of a process share their buckets, also with other tests.
        pages = self.client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket="bucket", Prefix=f"{folder}/")
        return [e["Key"] for page in found for e in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """Returns the content of an object."""
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()

    def write(self, path: str, content: bytes) -> None:
        """Writes an object, as somebody else might."""
        self.client.put_object(Bucket="bucket", Key=f"2.0.0/{path}", Body=content)

    def put_folder(self, path: Path, folder: str) -> None:
        """Copies all files below a folder of this machine."""
        for file in path.rglob("*"):
            if file.is_file():
                key = f"{folder}/{file.relative_to(path).as_posix()}"
                self.client.put_object(Bucket="bucket", Key=key, Body=file.read_bytes())

    def clear(self, folder: str = "2.0.0") -> None:
        """Deletes all objects, and forgets the requests."""
        if keys := [{"Key": key} for key in self.keys(folder)]:
            self.client.delete_objects(Bucket="bucket", Delete={"Objects": keys})
        self.requests.clear()

    @functools.cached_property
    def client(self) -> Any:
        """Amazon's own client."""
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint)


@contextmanager
def serve(environment: pytest.MonkeyPatch) -> Iterator[S3]:
    """Starts a server with an empty bucket; a context manager.

    Args:
        environment: Gets all that clients need to find it.
    """
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = S3(f"http://{host}:{port}", server._server.app)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": made.endpoint,
        "no_proxy": "*",
    }.items():
        environment.setenv(name, value)
    server._server.app = made
    made.client.create_bucket(Bucket="bucket")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        yield made
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()
