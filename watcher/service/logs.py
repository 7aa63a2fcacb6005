"""Logging: few, rich lines; colour on a terminal, JSON otherwise; secrets never.

Every line passes a filter that blanks values under telling keys. Other libraries' warnings come through the same
renderer; httpx' request lines (whose addresses hold upload session ids) do not come at all.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import stamina.instrumentation
import structlog

SECRET_KEYS = frozenset({"key", "api_key", "session", "session_id", "password", "authorization", "x-api-key"})


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank values whose key tells that they are secret."""
    for name in event.keys() & SECRET_KEYS:
        event[name] = "***"
    return event


def _tell_short_retry(details: stamina.instrumentation.RetryDetails) -> None:
    """Say that a request is asked again soon; what lasts longer is told by the stage that meets it."""
    structlog.get_logger("watcher").debug(
        "request.again", reason=str(details.caused_by), after_s=round(details.wait_for, 2)
    )


def set_up_logs(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send log lines to stderr: `form` is auto (text on a terminal), text or json."""
    stream = stream or sys.stderr
    as_text = form == "text" or (form == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if as_text else structlog.processors.JSONRenderer()
    )
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    last = [structlog.processors.format_exc_info] if not as_text else []
    structlog.configure(
        processors=[*before, *last, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    others = logging.StreamHandler(stream)
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, renderer],
            foreign_pre_chain=before,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [others]
    root.setLevel(logging.WARNING)
    stamina.instrumentation.set_on_retry_hooks([_tell_short_retry])
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
