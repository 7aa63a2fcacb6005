"""What an HTTP answer that is no success means in our words.

Galaxy has several shapes of error body: `err_msg` with `err_code` (the API), `detail` (TUS, ranges, unknown addresses
behind a prefix), text (unhandled 500) and HTML (unknown routes of the API; 413, 502, 503 and 504 of a proxy). The
status decides, the body only explains. All shapes were measured on Galaxy 26.1.2 and 24.1.4, alone and behind nginx.
What is done about an error is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watcher.errors import (
    AnswerLost,
    Forbidden,
    GalaxyAway,
    GalaxyBroken,
    GalaxyBusy,
    GalaxyError,
    KeyRefused,
    NotThere,
    Refused,
)

TEXT_LIMIT = 600
"""Characters of Galaxy's own explanation that are kept."""

READING = frozenset({"GET", "HEAD"})
"""Methods that change nothing: a lost answer may be asked for again."""

IN_FRONT = "What stands in front of"
"""How a message begins that tells of a proxy which answered 401 itself."""

RUN_AS_FORBIDDEN = 400001
"""Galaxy's own code, in an answer with status 403, for one who may not act for others."""

_NOT_NOW = READING | {"PATCH"}
"""Methods for which a 503 with Retry-After is believed to have done nothing: the offset of an upload is asked for
before the next byte, and reading is harmless.
"""

_AWAY = {408: "request timed out", 502: "bad gateway", 503: "service unavailable", 504: "gateway timed out"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as people read of it: "create a history"; `secrets` must not appear in any text."""

    method: str
    purpose: str
    shown_url: str
    secrets: tuple[str, ...] = ()

    @property
    def is_reading(self) -> bool:
        """Whether asking twice is harmless."""
        return self.method in READING


def away(
    asked: Asked,
    reason: str,
    *,
    surely_undone: bool,
    status: int | None = None,
    request_id: str = "",
    lost: type[AnswerLost] = AnswerLost,
) -> GalaxyAway:
    """Return the error for no answer: AnswerLost, or a kind of it, when something that changes Galaxy may have been
    carried out.
    """
    if surely_undone or asked.is_reading:
        return GalaxyAway(
            f"Galaxy at {asked.shown_url} does not answer when asked to {asked.purpose}: {reason}.",
            hint="The watcher asks again by itself; see whether Galaxy and the way to it are up.",
            status=status,
            request_id=request_id,
        )
    return lost(
        f"Galaxy at {asked.shown_url} gave no answer when asked to {asked.purpose}: {reason}. "
        "It may have done it, or do it yet.",
        hint="The watcher looks before it asks again.",
        status=status,
        request_id=request_id,
    )


def half_done(error: GalaxyError) -> AnswerLost:
    """Return the error for a thing that was made by one request and not marked by the next: it is there, to be looked
    for, whatever the second one met.
    """
    return AnswerLost(error.message, hint=error.hint, status=error.status, request_id=error.request_id)


def refusal(
    asked: Asked,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    hide: Callable[[str], str],
    rest_s: float | None = None,
) -> GalaxyError:
    """Return the error that an answer with a status outside 2xx stands for; `hide` removes the key from foreign
    texts, `rest_s` is for how long the server asks to be left alone (`rests.py`).
    """
    request_id = headers.get("x-request-id", "")
    explained = _explain(body, headers.get("content-type", ""))
    text = hide(explained.text)
    for secret in asked.secrets:
        text = text.replace(secret, "***")
    where = f"Galaxy at {asked.shown_url}"
    if status == 407:
        return away(
            asked, "the proxy on the way wants a login (407): see proxy_login_file", surely_undone=True, status=status
        )
    if status == 429 or (status == 503 and rest_s is not None and asked.method in _NOT_NOW):
        return GalaxyBusy(
            f"{where} has too much to do to {asked.purpose} ({status}).",
            retry_after_s=rest_s or 0.0,
            status=status,
            request_id=request_id,
        )
    if status in _AWAY:
        return away(asked, f"{_AWAY[status]} ({status})", surely_undone=False, status=status, request_id=request_id)
    if status == 403 and explained.code == RUN_AS_FORBIDDEN:
        return KeyRefused(
            f"{where} does not let our account act for another user (run_as).",
            hint="Galaxy's administrator has to name the account's e-mail address in api_allow_run_as of galaxy.yml.",
            status=status,
            request_id=request_id,
        )
    if status == 401 and explained.is_page:
        return KeyRefused(
            f"{IN_FRONT} {where} wants a login of its own (401).",
            hint="Put the header that it asks for into a file of its own (chmod 600) and name that file in "
            "headers_file; no restart is needed when the file changes.",
            status=status,
            request_id=request_id,
        )
    if status in _AWAY:
        return away(asked, f"{_AWAY[status]} ({status})", surely_undone=False, status=status, request_id=request_id)
    if status == 401 or (status == 403 and explained.code == 403001):
        return KeyRefused(
            f"{where} does not accept the API key ({status}).",
            hint="Make a new key in Galaxy (User, Preferences, Manage API key) and put it into the key file; "
            "no restart is needed.",
            status=status,
            request_id=request_id,
        )
    if status >= 500:
        return GalaxyBroken(
            f"{where} failed when asked to {asked.purpose}: {text or 'no explanation'} ({status}).",
            hint="Galaxy's own log tells more" + (f": look for request {request_id}." if request_id else "."),
            status=status,
            request_id=request_id,
        )
    if status == 404 and explained.is_unknown_address:
        return GalaxyBroken(
            f"{where} does not know the address that would {asked.purpose} (404).",
            hint="Is the url of this Galaxy right, with its path (https://host/galaxy), and the server at least 24.1?",
            status=status,
            request_id=request_id,
        )
    if status in (404, 410):
        return NotThere(
            f"{where} cannot {asked.purpose}: {text or 'it is not there'} ({status}).",
            status=status,
            request_id=request_id,
        )
    if status == 403:
        return Forbidden(
            f"{where} does not allow us to {asked.purpose}: {text or 'forbidden'} (403).",
            hint="The account needs the rights for it, or another account.",
            status=status,
            request_id=request_id,
        )
    if status == 413:
        hint = "A proxy in front of Galaxy limits the size of a request: send less at once, or raise its body limit."
    elif 300 <= status < 400:
        text, hint = (
            "it points elsewhere",
            "Write the address that Galaxy is reached at into the configuration, https if it says so.",
        )
    else:
        hint = ""
    error = Refused(
        f"{where} refused to {asked.purpose}: {text or 'no explanation'} ({status}).",
        hint=hint,
        status=status,
        request_id=request_id,
    )
    error.details = explained.details
    return error


def not_understood(asked: Asked, what: str, *, status: int, request_id: str) -> GalaxyError:
    """Return the error for a success whose body is no use: when something was changed, it has to be looked up."""
    if asked.is_reading:
        return GalaxyBroken(
            f"Galaxy at {asked.shown_url} gave an answer that is none when asked to {asked.purpose}: {what}.",
            hint="Is the url right, and is nothing between us and Galaxy that answers with pages of its own?",
            status=status,
            request_id=request_id,
        )
    return away(asked, what, surely_undone=False, status=status, request_id=request_id)


@dataclass(frozen=True, slots=True)
class _Explained:
    text: str
    code: int = 0
    is_unknown_address: bool = False
    is_page: bool = False
    details: Any = None


def _explain(body: bytes, content_type: str) -> _Explained:
    if not body.strip():
        return _Explained("")
    try:
        answer: Any = json.loads(body)
    except ValueError:
        if "html" in content_type or body.lstrip()[:1] == b"<":
            return _Explained("a web page instead of an answer", is_unknown_address=True, is_page=True)
        return _Explained(_short(body.decode("utf-8", "replace")), is_unknown_address=True)
    if not isinstance(answer, dict):
        return _Explained(_short(str(answer)))
    code = answer.get("err_code")
    if "err_msg" in answer:
        more = answer.get("err_data")
        text = f"{answer['err_msg']} {more}" if more else str(answer["err_msg"])
        return _Explained(_short(text), code if isinstance(code, int) else 0, details=more)
    if "detail" in answer:
        return _Explained(_short(str(answer["detail"])), is_unknown_address=answer["detail"] == "Not Found")
    # What Galaxy's old web framework makes of its HTML page when asked for JSON.
    return _Explained(_short(str(answer.get("message", ""))), is_unknown_address=True)


def _short(text: str) -> str:
    """One line of at most TEXT_LIMIT characters, without a full stop that would meet our own."""
    line = " ".join(text.split())
    return (line if len(line) <= TEXT_LIMIT else line[:TEXT_LIMIT] + "…").rstrip(". ")
