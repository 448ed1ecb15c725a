"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time

from tqdm import tqdm

from bigearthnet.util.wording import count_of

# Seconds between two plain lines.
_LINE_INTERVAL_S = 10.0


# tqdm's, without its rate: ours has patches and bytes.
_BAR_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Shows how far a stage is: patches/s, MB/s and the time that is left.

    Use as a context manager around the stage. On a terminal it draws a bar, elsewhere
    it prints a line every ten seconds and one at the end.

    A download has bytes and no patches; what an earlier run left does not count for its
    rate, nor does what it throws away to start from zero.
    """

    def __init__(
        self,
        stage: str,
        *,
        total_nbytes: int | None = None,
        total_patches: int | None = None,
        first_nbytes: int | None = None,
        quiet: bool = False,
        ends: bool = True,
    ) -> None:
        """Starts the clock.

        Args:
            stage: Name of the stage.
            total_nbytes: Bytes the stage has to read, where known.
            total_patches: Patches the stage has to do, where known.
            first_nbytes: Bytes that are there already, of a stage that has bytes alone;
                None if it counts patches.
            quiet: Shows nothing at all.
            ends: Whether a plain line says at the end how it went.
        """
        self._stage = stage
        self._total = total_nbytes if total_patches is None else total_patches
        self._has_patches = first_nbytes is None
        self._in_patches = total_patches is not None or (
            self._has_patches and total_nbytes is None
        )
        self._quiet, self._ends = quiet, ends
        self._start = self._last_line = time.monotonic()
        self._patches, self._nbytes = 0, first_nbytes or 0
        self._first_nbytes = self._nbytes
        self._lock = threading.Lock()
        self._bar = self._make_bar() if not quiet and sys.stderr.isatty() else None

    def _make_bar(self) -> tqdm[None]:
        unit = " patches" if self._in_patches else "B"
        return tqdm(
            desc=self._stage,
            total=self._total,
            initial=self._nbytes,
            unit=unit,
            unit_scale=not self._in_patches,
            mininterval=0.5,
            bar_format=None if self._total is None else _BAR_FORMAT,
        )

    def __enter__(self) -> Progress:
        return self

    def update(self, patches: int, nbytes: int) -> None:
        """Sets how far the stage is.

        Args:
            patches: Patches done so far.
            nbytes: Bytes done so far; fewer than before if all starts from zero.
        """
        self._first_nbytes = min(self._first_nbytes, nbytes)
        self._patches, self._nbytes = patches, nbytes
        if self._quiet:
            return
        if self._bar is not None:
            done = patches if self._in_patches else nbytes
            self._bar.update(done - self._bar.n)
            self._bar.set_postfix_str(self._rates(), refresh=False)
        elif time.monotonic() - self._last_line >= _LINE_INTERVAL_S:
            self._print_line()

    def add(self, patches: int, nbytes: int) -> None:
        """Adds what was done since the last call; any thread may call it."""
        with self._lock:
            self.update(self._patches + patches, self._nbytes + nbytes)

    def note(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        if not self._quiet:
            tqdm.write(text, file=sys.stderr)

    def _rates(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        patches = f"{self._patches / seconds:,.0f} patches/s, "
        nbytes = self._nbytes - self._first_nbytes
        return f"{patches * self._has_patches}{nbytes / seconds / 1e6:,.1f} MB/s"

    def _amount(self) -> str:
        if self._has_patches:
            return count_of(self._patches, "patch")
        of_total = "" if self._total is None else f" of {self._total / 1e6:,.1f} MB"
        return f"{self._nbytes / 1e6:,.1f} MB{of_total}"

    def _print_line(self) -> None:
        now = time.monotonic()
        line = f"{self._stage}: {self._amount()}, {self._rates()}"
        first, done = self._first_nbytes, self._nbytes
        if self._in_patches:
            first, done = 0, self._patches
        if self._total and first < done < self._total:
            left = (now - self._start) * (self._total - done) / (done - first)
            line += f", {left:,.0f} s left"
        print(line, file=sys.stderr, flush=True)
        self._last_line = now

    def __exit__(self, kind: object, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._ends and not self._quiet and kind is None:
            self._print_line()
