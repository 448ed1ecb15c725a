"""Errors and settings of the hub's client, so that it neither talks nor leaks."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import TypeVar

from bigearthnet.errors import BigEarthNetError, PublishError
from bigearthnet.util.secrets import clients_silent, redact

_Value = TypeVar("_Value")

# What the same request may not get again (RFC 9110, 15.5 and 15.6; RFC 6585, 4).
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_ADVICE = {
    401: "The hub accepts no such login: run `hf auth login`, or set HF_TOKEN.",
    402: "The hub has no room for it: see the storage of the account.",
    403: "The login may not do this: it needs a token that may write there.",
    404: "Is the name right, and may the login read it?",
    412: "Somebody else has committed meanwhile: run the same command again.",
    413: "The hub has no room for it: see the storage of the account.",
    507: "The hub has no room for it: see the storage of the account.",
}
_LATER = "Run the same again later: what has arrived is kept."


class HubError(PublishError):
    """Raised when the hub refuses something, or cannot be reached.

    Attributes:
        is_temporary: Whether the same may work later.
        retry_after_s: Seconds that the hub asks to wait; 0 if it does not.
    """

    def __init__(self, message: str, is_temporary: bool, retry_after_s: float) -> None:
        super().__init__(message)
        self.is_temporary, self.retry_after_s = is_temporary, retry_after_s


def call(repo: str, action: Callable[[], _Value]) -> _Value:
    """Does something with the client, and turns what it raises into errors of ours.

    Args:
        repo: The repository, for errors.
        action: What to do.

    Returns:
        What the action returns.

    Raises:
        HubError: If the hub refuses something, or cannot be reached.
    """
    try:
        with clients_silent():
            return action()
    except (BigEarthNetError, MemoryError):
        raise
    except Exception as error:
        problem = _explain(error, repo)
    # Not while the client's error is handled: its text and request would be kept.
    raise problem


def _explain(error: Exception, repo: str) -> HubError:
    """Returns the error for what the client raised, perhaps for another reason."""
    reasons: list[BaseException] = [error]
    while cause := reasons[-1].__cause__ or reasons[-1].__context__:
        reasons.append(cause)
    for reason in reasons:
        response = getattr(reason, "response", None)
        if response is not None:
            return _explain_status(response.status_code, response.headers, repo)
    for reason in reasons:
        # Of the client (httpx2), and of hf_xet.
        is_httpx = type(reason).__module__.startswith("httpx")
        if is_httpx or type(reason) in (ConnectionError, TimeoutError):
            text = redact(f"{type(reason).__name__}: {reason}")
            problem = f"the connection to the hub of {repo} failed ({text}). {_LATER}"
            return HubError(problem, True, 0.0)
    text = redact(f"{type(error).__name__}: {error}")
    problem = f"{repo}: the client of the hub failed ({text}). {_LATER}"
    return HubError(problem, False, 0.0)


def _explain_status(status: int, headers: object, repo: str) -> HubError:
    found = dict(headers)  # type: ignore[call-overload]
    message = redact(found.get("x-error-message") or "")
    is_temporary = status in _TEMPORARY
    advice = _ADVICE.get(status, _LATER if is_temporary else "")
    text = f"{repo}: the hub answers {status}{f' ({message})' if message else ''}."
    asked = found.get("retry-after", "")
    return HubError(
        f"{text} {advice}".strip(), is_temporary, float(asked) if asked.isdigit() else 0
    )


@contextlib.contextmanager
def uploading(repo: str, endpoint: str, repo_type: str = "dataset") -> Iterator[bool]:
    """Uploads large files quietly, and without Xet where the hub has none.

    The client would draw its own bars, and it uses Xet wherever `hf_xet` is installed,
    whatever the hub has. Gives whether Xet is used.

    Args:
        repo: The repository.
        endpoint: Address of the hub.
        repo_type: `dataset` or `model`.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    were_disabled = are_progress_bars_disabled()
    without_xet = constants.HF_HUB_DISABLE_XET
    disable_progress_bars()
    try:
        constants.HF_HUB_DISABLE_XET = without_xet or not _has_xet(
            repo, endpoint, repo_type
        )
        is_installed = importlib.util.find_spec("hf_xet") is not None
        yield is_installed and not constants.HF_HUB_DISABLE_XET
    finally:
        constants.HF_HUB_DISABLE_XET = without_xet
        if not were_disabled:
            enable_progress_bars()


def _has_xet(repo: str, endpoint: str, repo_type: str) -> bool:
    """Whether a hub gives out tokens for Xet."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = f"{endpoint}/api/{repo_type}s/{repo}/xet-read-token/main"
    response = get_session().get(url, headers=build_hf_headers())
    if response.status_code == 404:
        return False
    hf_raise_for_status(response)
    return True
