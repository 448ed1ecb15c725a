"""Keeps secrets out of messages: tokens, and addresses that are secrets themselves."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator

# Names of environment variables whose values are shown to nobody.
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
# Shorter ones would cut ordinary words out of messages.
_MIN_LENGTH = 8
# Messages are shown up to here.
_MAX_LENGTH = 500

# Loggers of the clients, whose lines have addresses, and at DEBUG headers.
_LOGGERS = (
    *("huggingface_hub", "httpx", "httpcore", "httpx2", "httpcore2", "fsspec", "s3fs"),
    *("botocore", "aiobotocore", "gcsfs", "aiohttp", "urllib3", "google"),
)


@contextlib.contextmanager
def clients_silent() -> Iterator[None]:
    """Keeps the clients' loggers silent: absl shows INFO, and the user may show all."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def redact(text: str) -> str:
    """Returns a text of a library or a server without what it should not say.

    Without the values of secret environment variables and the hub's login, without the
    queries of URLs, which sign an upload, and users in them.
    """
    for secret in sorted(_list_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(https?://[^\s?'\"<>]*)\?[^\s'\"<>]*", r"\1", text)
    text = re.sub(r"(\w://)[^\s/@]*@", r"\1", text)
    return " ".join(text.split())[:_MAX_LENGTH]


def _list_secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _MIN_LENGTH:
            yield value
    try:
        from huggingface_hub import get_token

        if token := get_token():
            yield token
    except Exception:  # not installed, or a login that cannot be read
        return
