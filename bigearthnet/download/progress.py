"""Progress of a download: a bar on a terminal, plain lines elsewhere.

Not `encoding.progress`, which counts patches: here bytes may be there from an earlier
run, and must not count for the rate; and a server may start anew.
"""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

# Seconds between two plain lines.
_LINE_INTERVAL_S = 10.0


class ByteProgress:
    """Shows how many bytes are done, MB/s and the time that is left."""

    def __init__(
        self, title: str, total: int | None, *, done: int = 0, quiet: bool = False
    ) -> None:
        """Starts the clock.

        Args:
            title: What is done.
            total: Bytes of the whole; None if not known yet.
            done: Bytes that are there already.
            quiet: Shows nothing at all.
        """
        self.total = total
        self._title, self._quiet = title, quiet
        self._first = self._done = done
        self._start = self._last_line = time.monotonic()
        self._bar: tqdm[None] | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = tqdm(
                desc=title, total=total, initial=done, unit="B", unit_scale=True
            )

    def __enter__(self) -> ByteProgress:
        return self

    def update(self, done: int) -> None:
        """Says how many bytes are done; fewer than before if all starts anew."""
        self._first = min(self._first, done)
        self._done = done
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last_line >= _LINE_INTERVAL_S:
            self._print_line()

    def note(self, text: str) -> None:
        """Says what happened, above the bar."""
        if not self._quiet:
            tqdm.write(text, file=sys.stderr)

    def _print_line(self) -> None:
        now = time.monotonic()
        self._last_line = now
        if self._quiet:
            return
        received = self._done - self._first
        rate = received / max(now - self._start, 1e-9)
        line = f"{self._title}: {self._done / 1e6:,.1f} MB"
        if self.total is not None:
            line += f" of {self.total / 1e6:,.1f} MB"
        line += f", {rate / 1e6:,.1f} MB/s"
        if self.total is not None and received and self._done < self.total:
            line += f", {(self.total - self._done) / rate:,.0f} s left"
        print(line, file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            self._print_line()
