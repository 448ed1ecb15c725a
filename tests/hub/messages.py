"""Requests, answers, and what goes wrong between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Request:
    """A request and what became of it.

    Attributes:
        method: GET, for example.
        path: Path of the URL, still quoted.
        query: Its query.
        headers: Its headers, in lower case.
        body: What was sent; of PUT, a file that holds it.
        received: Bytes of the body that were received.
        sent: Bytes of the answer's body.
        status: Status of the answer; 0 if there was none.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes | Path = b""
    received: int = 0
    sent: int = 0
    status: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Answer:
    """What is answered.

    Attributes:
        content: JSON, bytes, or a file.
        status: Its status.
        headers: Its headers.
    """

    content: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong, in some of the requests that match.

    Attributes:
        pattern: Regular expression, searched in `METHOD /path`.
        first: The first request that fails, from 1.
        times: How many fail from there on; None for all.
        status: What is answered, and nothing done; 0 for none.
        drop: `request`: the connection ends in the middle of what is sent, and nothing
            is done; `answer`: it is done, but the connection ends in the middle of the
            answer.
        message, headers: Of the answer.
        call: Called when it fails; before anything is done.
        count: Requests that matched so far.
    """

    pattern: str = ""
    first: int = 1
    times: int | None = 1
    status: int = 0
    drop: str = ""
    message: str = "told to fail"
    headers: Mapping[str, str] = field(default_factory=dict)
    call: Callable[[], object] | None = None
    count: int = 0

    def hits(self, request: Request) -> bool:
        """Counts a request, and says whether it fails."""
        if not re.search(self.pattern, str(request)):
            return False
        self.count += 1
        after = self.count - self.first
        return after >= 0 and (self.times is None or after < self.times)
