"""HTTP for the hub: receives requests, counts bytes, and fails when it is told to."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.hub import reads, routes, writes
from tests.hub.messages import Answer, Fault, Request
from tests.hub.repository import Refused, Repository

# Importing these registers what they answer.
ANSWERED = (reads, writes)

_PIECE_NBYTES = 1 << 20


class Hub:
    """A hub; a context manager.

    Attributes:
        folder: Where it keeps the objects.
        endpoint: Its address.
        token: What writers must show; readers need none.
        read_only: Whether the token allows no writing.
        part_nbytes: Size of the parts of an upload; None for uploads in one piece.
        xet: Folder of hf_xet's own store, to offer Xet; None for LFS alone.
        page: Entries of a page of a listing.
        repositories: Name → repository.
        requests: All requests so far.
        faults: What goes wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.token = folder, f"hf_{secrets.token_hex(17)}"
        self.read_only, self.page = False, 1000
        self.part_nbytes: int | None = None
        self.xet: Path | None = None
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        # What signs the addresses of uploads and downloads: a secret, too.
        self.signature = secrets.token_hex(32)
        self.objects = folder / "objects"
        self.objects.mkdir(parents=True)
        self.lock, self._numbers = threading.RLock(), itertools.count()
        handler = type("_Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Hub:
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        serve.daemon = True
        serve.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, pattern: str = "", **options: object) -> Fault:
        """Makes requests fail; see `Fault`."""
        self.faults.append(fault := Fault(pattern, **options))  # type: ignore[arg-type]
        return fault

    def recover(self) -> None:
        """Ends all faults, and forgets the requests so far."""
        self.faults.clear()
        self.requests.clear()

    def count(self, pattern: str) -> int:
        """Returns how many requests matched a regular expression."""
        return sum(bool(re.search(pattern, str(request))) for request in self.requests)

    def environment(self, home: Path) -> dict[str, str]:
        """Returns the environment of a process whose clients talk to this hub.

        Args:
            home: Folder for their caches.
        """
        names = ("HF_", "HUGGING_FACE_", "AWS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(names)}
        return {
            **kept,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": self.token,
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # would ask a server elsewhere
            "no_proxy": "*",
        }

    def new_file(self) -> Path:
        """Returns the path of a file for something received."""
        return self.folder / f"received-{next(self._numbers)}"


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""

    def _do(self) -> None:
        parts, headers = (
            urlsplit(self.path),
            {k.lower(): v for k, v in self.headers.items()},
        )
        request = Request(self.command, parts.path, parse_qs(parts.query), headers)
        with self.hub.lock:
            self.hub.requests.append(request)
            hits = [fault for fault in self.hub.faults if fault.hits(request)]
        fault = hits[0] if hits else Fault()
        if fault.call is not None:
            fault.call()
        if not self._receive(request, cut=fault.drop == "request"):
            return self._cut()
        if fault.status:
            answer = routes.describe(Refused(fault.status, fault.message))
            answer.headers.update(fault.headers)
        else:
            with self.hub.lock:
                answer = routes.answer(self.hub, request)
        self._send(request, answer, cut=fault.drop == "answer")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _do

    def _receive(self, request: Request, *, cut: bool) -> bool:
        """Receives the body; returns whether all of it came."""
        total = int(request.headers.get("content-length", 0))
        left = total // 2 if cut else total
        pieces: list[bytes] = []
        with open(self.hub.new_file(), "w+b") as file:
            while left and (piece := self.rfile.read(min(left, _PIECE_NBYTES))):
                left -= len(piece)
                request.received += len(piece)
                file.write(piece) if request.method == "PUT" else pieces.append(piece)
        path = Path(file.name)
        if request.method == "PUT":
            request.body = path
        else:
            path.unlink()
            request.body = b"".join(pieces)
        return not cut and not left

    def _send(self, request: Request, answer: Answer, *, cut: bool) -> None:
        content = answer.content
        if not isinstance(content, bytes | Path):
            content = json.dumps(content).encode()
            answer.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        start, stop = self._find_range(request, answer, size)
        request.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if request.method != "HEAD":
            self._write(request, content, start, (start + stop) // 2 if cut else stop)
        if cut:
            self._cut()

    def _find_range(
        self, request: Request, answer: Answer, size: int
    ) -> tuple[int, int]:
        """Returns first and last byte + 1 of what is sent (RFC 9110, 14)."""
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if answer.status != 200 or not isinstance(answer.content, Path):
            return 0, size
        answer.headers["Accept-Ranges"] = "bytes"
        if span is None:
            return 0, size
        first, last = span.groups()
        start = int(first) if first else max(0, size - int(last))
        stop = min(int(last) + 1, size) if first and last else size
        if start >= size:
            answer.status, answer.content = 416, b""
            answer.headers["Content-Range"] = f"bytes */{size}"
            return 0, 0
        answer.status = 206
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return start, stop

    def _write(
        self, request: Request, content: bytes | Path, start: int, stop: int
    ) -> None:
        if isinstance(content, bytes):
            self.wfile.write(content[start:stop])
            request.sent += stop - start
            return
        with content.open("rb") as file:
            file.seek(start)
            while request.sent < stop - start:
                piece = file.read(min(_PIECE_NBYTES, stop - start - request.sent))
                self.wfile.write(piece)
                request.sent += len(piece)

    def _cut(self) -> None:
        """Ends the connection at once."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
