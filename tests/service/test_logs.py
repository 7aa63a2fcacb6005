"""Log lines: JSON for machines, secrets blanked, and a short retry told in our own words."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import stamina
import structlog

from watcher.errors import GalaxyAway
from watcher.service.logs import set_up_logs


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """Return where log lines go while the test runs."""
    handlers, stream = logging.getLogger().handlers[:], StringIO()
    set_up_logs("json", "debug", stream)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    stamina.instrumentation.set_on_retry_hooks(None)


def test_values_of_secret_keys_are_blanked(lines: StringIO) -> None:
    """A key or a session never comes out, whoever logs it."""
    structlog.get_logger("watcher").warning("said", api_key="0123abcd", session="secret-session", run="R1")
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["api_key"], line["session"], line["run"]) == ("***", "***", "R1")
    assert "0123abcd" not in lines.getvalue()


def test_a_short_retry_is_one_quiet_line_with_its_reason(lines: StringIO) -> None:
    """What is asked again says why and when, at a level that nobody has to read."""
    for attempt in stamina.retry_context(on=GalaxyAway, attempts=2, wait_initial=0.001, wait_jitter=0):
        with attempt:
            if attempt.num == 1:
                raise GalaxyAway("Galaxy does not answer.")
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["event"], line["level"], line["reason"]) == ("request.again", "debug", "Galaxy does not answer.")


def test_lines_of_other_libraries_come_in_the_same_form(lines: StringIO) -> None:
    """A warning of a library is JSON too; request lines, whose addresses hold sessions, do not come."""
    logging.getLogger("some.library").warning("took %s s", 3)
    logging.getLogger("httpx").info("HTTP Request: PATCH http://host/api/upload/resumable_upload/abc")
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert line["event"] == "took 3 s"
