"""Destinations that are there already, and who else may read: what a rule may not say together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from watcher.config import load_config
from watcher.errors import ConfigError

Json = dict[str, Any]
START = """\
galaxy: {url: "https://galaxy.example.org", api_key_file: KEY, access: ACCESS}
watches: [{name: miseq, path: /data/miseq}]
rules: [{name: all, destination: DESTINATION}]
"""


def problems(folder: Path, destination: str, access: str = "private") -> str:
    """Return what is wrong with a configuration of this destination."""
    file, key = folder / "config.yaml", folder / "key"
    key.touch(mode=0o600)
    key.write_text("0123456789")
    text = START.replace("DESTINATION", destination).replace("ACCESS", access).replace("KEY", str(key))
    file.write_text(text)
    try:
        load_config(file)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("{existing: archive, history: '{run}'}", "destination.existing: and history are both set."),
        ("{existing: archive, annotation: '{run}'}", "destination.annotation: is for a new history"),
        ("{existing: archive, share: {users: [a@b.org]}}", "destination.share.users: would share all of an existing"),
        ("{share: {users: [bob]}}", "is not an e-mail address."),
        ("{share: {users: [a@b.org, c@d.org]}}", "names several users, but Galaxy opens private datasets to one"),
        ("{annotation: 'of {sample}'}", "destination.annotation: {sample} has no single value here"),
        ("{existing: '{rum}'}", "Did you mean {run}?"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, destination: str, words: str) -> None:
    """Each with its key, and what to do."""
    assert words in problems(tmp_path, destination)


@pytest.mark.parametrize(
    ("destination", "access"),
    [
        ("{existing: archive}", "private"),
        ("{existing: '{sheet.Archive}', share: {roles: lab}}", "private"),
        ("{annotation: 'of {run}', share: {users: a@b.org}}", "private"),
        ("{share: {users: [a@b.org, c@d.org], roles: [lab]}}", "private"),
        ("{share: {users: [a@b.org, c@d.org]}}", "server"),
    ],
)
def test_what_fits_is_taken(tmp_path: Path, destination: str, access: str) -> None:
    """A place that is there needs no template, and several users need a role only where datasets are private."""
    assert problems(tmp_path, destination, access) == ""
