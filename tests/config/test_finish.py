"""What a rule may say about the end: which values go together, and what is refused at once, with place and remedy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.config.conftest import GOOD, WriteConfig
from watcher.config import load_config
from watcher.errors import ConfigError

LINKED = """\
galaxy: {url: https://galaxy.example.org, api_key_file: KEY, paths: [{here: /data, there: /data}]}
state: {path: /var/lib/galaxy-watcher/state.sqlite}
watches:
  - {name: miseq, path: /data/miseq, transfer: TRANSFER}
rules:
  - {name: linked, destination: {library: {name: Runs}}, finish: {source: delete, after: 30d}}
"""

MISFITS = [
    ("{source: archive}", "archive", "is missing"),
    ("{source: archive, archive: /archive}", "archive", "same place for every run"),
    ("{source: archive, archive: '/{run}'}", "archive", "fixed folder"),
    ("{source: archive, archive: 'archive/{run}'}", "archive", "absolute path"),
    ("{source: archive, archive: '/archive/{id}'}", "archive", "another one for each batch"),
    ("{source: archive, archive: '/archive/{run}/{project}'}", "archive", "a run folder goes as a whole"),
    ("{source: archive, archive: '/archive/{date}'}", "archive", "same place for every run"),
    ("{source: archive, archive: '/data/miseq/old/{run}'}", "archive", "the watch miseq (/data/miseq) lie one in"),
    ("{source: archive, archive: '/data/{run}'}", "archive", "the watch miseq (/data/miseq) lie one in"),
    ("{source: delete}", "after", "is missing"),
    ("{source: delete, after: 30d, archive: '/archive/{run}'}", "archive", "source is delete"),
    ("{after: 30d}", "after", "source is keep"),
    ("{source: delete, after: soon}", "after", ""),
    ("{history: tag}", "tag", "is missing"),
    ("{history: archive, tag: over}", "tag", "history is archive"),
    ("{history: tag, tag: 'watcher:x'}", "tag", "tag of our own"),
    ("{history: tag, tag: '{sample}'}", "tag", "no single value"),
    ("{history: burn}", "history", "must be keep, tag, archive or delete"),
]


def with_finish(finish: str) -> str:
    """Return a good configuration whose first rule ends like that."""
    return GOOD.replace("    per: project\n", f"    per: project\n    finish: {finish}\n", 1)


@pytest.mark.parametrize(("finish", "key", "problem"), MISFITS)
def test_what_does_not_go_together_is_refused(write: WriteConfig, finish: str, key: str, problem: str) -> None:
    """Every mistake is told with its key path, what is wrong and what to do."""
    with pytest.raises(ConfigError) as refused:
        load_config(write(with_finish(finish)))
    found = [one for one in refused.value.problems if one.key == f"rules[0].finish.{key}"]
    assert found, refused.value.problems
    assert problem in found[0].message
    assert found[0].hint or "must be" in found[0].message


@pytest.mark.parametrize("finish", ["{history: archive}", "{history: delete}", "{purge_intermediates: true}"])
def test_a_history_of_before_is_left_alone(write: WriteConfig, finish: str) -> None:
    """What others put into an existing history may not go with the batch."""
    text = with_finish(finish).replace('history: "{run} {project}"', "existing: Archive")
    with pytest.raises(ConfigError, match="was there before"):
        load_config(write(text))


def test_what_only_a_workflow_makes_needs_one(write: WriteConfig) -> None:
    """Without a workflow nothing is made by the way."""
    text = GOOD + "    finish: {purge_intermediates: true}\n"
    with pytest.raises(ConfigError, match="the rule has none"):
        load_config(write(text))


@pytest.mark.parametrize("transfer", ["link", "copy"])
def test_what_galaxy_only_links_to_must_stay(write: WriteConfig, transfer: str) -> None:
    """A run that Galaxy reads where it lies cannot go; one that it has copied can."""
    file = write(LINKED.replace("TRANSFER", transfer))
    if transfer == "copy":
        load_config(file)
        return
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert [one.key for one in refused.value.problems] == ["rules[0].finish.source"]


def test_an_archive_is_at_once_unless_told(write: WriteConfig) -> None:
    """Nothing is done by default; a time is read as everywhere."""
    rest = load_config(write(GOOD)).rules[1].finish
    assert (rest.source, rest.history, rest.receipt, rest.purge_intermediates) == ("keep", "keep", False, False)
    asked = load_config(write(with_finish("{source: archive, archive: '/archive/{run}'}"))).rules[0].finish
    assert asked.delay == timedelta(0)
    later = load_config(write(with_finish("{source: delete, after: 30d}"))).rules[0].finish
    assert later.delay == timedelta(days=30)
