"""A server on the loopback interface that answers well, or as badly as it is told."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import random
import re
import threading
from collections.abc import Callable, Iterator

import pytest

# What a request is answered with; takes the handler.
Act = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; the answer is the next act of its path, or a good one."""

    protocol_version = "HTTP/1.1"
    server: LoopbackServer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""

    def do_GET(self) -> None:
        """Answers."""
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Request(self.path, fields))
        self.close_connection = True
        acts = self.server.acts.get(self.path, [])
        act = acts.pop(0) if acts else Handler.give
        with contextlib.suppress(OSError):  # the client has gone
            act(self)

    def give(
        self,
        *,
        status: int | None = None,
        has_ranges: bool = True,
        headers: dict[str, str | None] | None = None,
        cut: int | None = None,
        extra: bytes = b"",
    ) -> None:
        """Answers as RFC 9110 has it, except for what the arguments say.

        Args:
            status: Another status than the right one.
            has_ranges: Whether the server knows ranges.
            headers: Fields with other values; None for a field that is left out.
            cut: Bytes of the body after which the connection ends.
            extra: Bytes after the body.
        """
        content = self.server.content
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        if not has_ranges:
            match, start = None, 0
        body = content[start:]
        right, fields = 200, {"Content-Length": str(len(body))}
        if match and body:
            right = 206
            span = f"{start}-{len(content) - 1}/{len(content)}"
            fields["Content-Range"] = f"bytes {span}"
        elif match:
            right, fields["Content-Range"] = 416, f"bytes */{len(content)}"
        self.send_response(status or right)
        for name, value in (fields | (headers or {})).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if (status or right) < 300:
            self.server.served += len(body[:cut])
        self.wfile.write((body + extra)[:cut])


@dataclasses.dataclass(frozen=True)
class Request:
    """A request that came: its path, and its header fields in lower case."""

    path: str
    headers: dict[str, str]


class LoopbackServer(http.server.ThreadingHTTPServer):
    """A server of one file, under every path.

    Attributes:
        content: The file; 300,000 random bytes.
        acts: Path → acts that answer the next requests; then all are answered well.
        requests: The requests that came.
        served: Bytes of the file that were sent, but for those in errors.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = random.Random(7).randbytes(300_000)
        self.acts: dict[str, list[Act]] = {}
        self.requests: list[Request] = []
        self.served = 0

    def url(self, path: str = "/file") -> str:
        """Returns the URL of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def ranges(self) -> list[str | None]:
        """Returns the range that each request asked for."""
        return [request.headers.get("range") for request in self.requests]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """A running server, asked directly, whatever proxy the environment has."""
    monkeypatch.setenv("no_proxy", "*")
    with LoopbackServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
