"""Asks rocrate-validator about a crate, in a process without any network: `python validator.py FOLDER CACHE`.

Prints a JSON list of [severity, check, message, entity], after the number of checks that were made. The one document
that the validator would fetch, RO-Crate's list of words, comes from the package of ro-crate-py: that of RO-Crate 1.3,
which knows the words of 1.1 as well.
"""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import requests
import requests_cache
import rocrate
import urllib3
from rocrate_validator.models import ValidationSettings
from rocrate_validator.services import validate

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
WORDS = Path(rocrate.__file__).with_name("data") / "ro-crate.jsonld"


class Shelf(requests.adapters.BaseAdapter):
    """Answers every request with RO-Crate's list of words."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return it, whatever is asked for."""
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url or "", request
        answer.headers["Content-Type"] = "application/ld+json"
        answer.raw = urllib3.HTTPResponse(
            io.BytesIO(WORDS.read_bytes()), headers=dict(answer.headers), status=200, preload_content=False
        )
        return answer

    def close(self) -> None:
        """Nothing is open."""


def refuse(*_: Any, **__: Any) -> NoReturn:
    """Stand in for every way out."""
    raise OSError("This process has no network.")


def main(folder: str, cache: str) -> None:
    """Put the words where the validator looks, and validate offline."""
    vars(socket)["getaddrinfo"] = vars(socket)["create_connection"] = refuse
    with requests_cache.CachedSession(cache, backend="sqlite", expire_after=-1, allowable_methods=("GET",)) as session:
        session.mount("https://w3id.org/", Shelf())
        session.get(CONTEXT).raise_for_status()
    found = validate(
        ValidationSettings(
            rocrate_uri=folder,
            profile_identifier="process-run-crate",
            requirement_severity="RECOMMENDED",
            offline=True,
            cache_path=Path(cache),
        )
    )
    print(len(found.executed_checks))
    issues = [
        [issue.severity.name, issue.check.identifier, issue.message, str(issue.violatingEntity or "")]
        for issue in found.get_issues()
    ]
    print(json.dumps(issues))


if __name__ == "__main__":
    main(*sys.argv[1:])
