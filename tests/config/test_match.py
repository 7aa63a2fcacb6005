"""What a rule says of samples: which key misses, sizes, extensions and builds, and what is refused when it is read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.conftest import GOOD, WriteConfig
from watcher.config import RuleSettings, load_config
from watcher.config.match import Match, Miss
from watcher.errors import ConfigError

WHERE: dict[str, Any] = {"watch": "w", "layout": "ont", "run": "r", "instrument": "MN18495"}


@pytest.mark.parametrize(
    ("written", "miss"),
    [
        ({"instrument": ["M0*", "MN*"]}, None),
        ({"instrument": "M0*"}, Miss("instrument", ("MN18495",), ("M0*",))),
        ({"instrument": "M0*", "watch": "x"}, Miss("watch", ("w",), ("x",))),
        ({"sheet": {"PI": ["?o*", "a"]}}, Miss("sheet.PI", ("Jane",), ("?o*", "a"))),
        ({"sheet": {"other": "x"}}, Miss("sheet.other", ("",), ("x",))),
    ],
)
def test_the_first_key_that_misses_is_told(written: Any, miss: Miss | None) -> None:
    """With what is there and what is wanted."""
    assert Match.model_validate(written).miss(**WHERE, sheet={"pi": ("Jane",)}) == miss


@pytest.mark.parametrize(
    ("written", "holds", "misses"),
    [
        ({"min": "1kB"}, (1000, 10**12), (0, 999)),
        ({"max": "2KiB"}, (0, 2048), (2049,)),
        ({"min": 5, "max": 5}, (5,), (4, 6)),
        ({}, (0, 1), ()),
    ],
)
def test_sizes_have_two_ends(written: Any, holds: tuple[int, ...], misses: tuple[int, ...]) -> None:
    """Both ends belong to the range, and each may be left out."""
    size = Match.model_validate({"size": written}).size
    assert all(size.holds(one) for one in holds)
    assert not any(size.holds(one) for one in misses)


@pytest.mark.parametrize(
    ("written", "key", "told"),
    [
        ("match: {size: {min: 2GB, max: 1GB}}", "rules[1].match.size", "min that is larger than its max"),
        ("match: {size: {min: big}}", "rules[1].match.size.min", "is not a size"),
        ("match: {instrument: []}", "rules[1].match.instrument", "at least one entry"),
        ("ext: {'*.bam': 'b a m'}", "rules[1].ext", "is not an extension"),
        ("ext: ''", "rules[1].ext", "is empty"),
        ("dbkey: 'hg 38'", "rules[1].dbkey", "is not a dbkey"),
        ("also: maybe", "rules[1].also", ""),
        ("destination: {collection: list:lists}", "rules[1].destination.collection", "list:list"),
    ],
)
def test_what_cannot_be_meant_is_refused(write: WriteConfig, written: str, key: str, told: str) -> None:
    """With the key it stands at."""
    with pytest.raises(ConfigError) as refused:
        load_config(write(f"{GOOD}    {written}\n"), {})
    (problem,) = refused.value.problems
    assert problem.key.startswith(key)
    assert told in problem.message + problem.hint


def test_extensions_and_builds_are_read() -> None:
    """One extension is for all files; columns are taken as they are written."""
    rule = RuleSettings.model_validate({"name": "r", "ext": "bam", "dbkey": "sheet.My build"})
    assert (rule.ext, rule.dbkey) == ({"*": "bam"}, "sheet.My build")
    several = RuleSettings.model_validate({"name": "r", "ext": {"*.bam": "bam", "x/*": "sheet.Galaxy type"}})
    assert list(several.ext.items()) == [("*.bam", "bam"), ("x/*", "sheet.Galaxy type")]
