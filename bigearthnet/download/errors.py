"""What a server can be asked again after."""

from __future__ import annotations


class TryAgainError(Exception):
    """Raised within this package when the same request may succeed later.

    Attributes:
        wait_s: Seconds that the server asks to wait; None if it does not say.
    """

    def __init__(self, problem: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(problem)
