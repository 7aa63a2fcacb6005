"""Whatever stands in a configuration, the answer is settings or a ConfigError that says where and what."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watcher.config import Settings, load_config
from watcher.config.written import dump_yaml
from watcher.errors import ConfigError

WORDS = [
    "galaxy",
    "galaxies",
    "url",
    "api_key_file",
    "api_key",
    "access",
    "timeouts",
    "state",
    "path",
    "watches",
    "name",
    "layout",
    "settle",
    "rules",
    "match",
    "watch",
    "per",
    "destination",
    "history",
    "collection",
    "workflow",
    "id",
    "file",
    "key",
    "inputs",
    "steps",
    "deliver",
    "folder",
    "outputs",
    "on",
    "tags",
    "limits",
    "transfers",
    "chunk_bytes",
    "rescan",
    "log",
    "finish",
    "source",
    "archive",
    "after",
    "30d",
    "run",
    "project",
    "sample",
    "miseq",
    "/data/x",
    "{run}",
    "{project}",
    "{id",
    "{}",
    "*",
    "5m",
    "-1s",
    "1e999",
    "https://g",
    "~",
    "..",
    "/",
    "\\0",
    "https://[",
    "http://a:b@c",
    "postgresql+psycopg://x",
]

SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
JUNK = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)),
    max_leaves=12,
)


def section(**options: st.SearchStrategy[object]) -> st.SearchStrategy[Mapping[str, object]]:
    """Return mappings with some of the options, each as it should be or junk, and now and then a key too many."""
    known = st.fixed_dictionaries({}, optional={name: st.one_of(value, JUNK) for name, value in options.items()})
    return st.builds(
        lambda first, second: {**first, **second}, st.dictionaries(st.sampled_from(WORDS), JUNK, max_size=1), known
    )


TEXT = st.sampled_from(["miseq", "x", "/data/x", "{run}", "/r/{run}/{project}", "*", "5m", "https://g.example.org"])
GALAXY = section(url=TEXT, api_key_file=TEXT, access=st.just("server"))
WATCH = section(name=TEXT, path=TEXT, layout=TEXT, settle=TEXT)
RULE = section(
    name=TEXT,
    match=section(watch=TEXT, project=st.lists(TEXT, max_size=2)),
    per=st.sampled_from(["run", "project", "sample"]),
    destination=section(history=TEXT, collection=st.just("list")),
    workflow=st.one_of(section(name=TEXT, id=TEXT, inputs=JUNK), st.lists(section(file=TEXT, key=TEXT), max_size=2)),
    deliver=st.lists(section(folder=TEXT, outputs=TEXT), max_size=2),
    tags=st.lists(TEXT, max_size=2),
)
CONFIGURATION = section(
    galaxy=GALAXY,
    galaxies=st.dictionaries(TEXT, GALAXY, max_size=2),
    state=section(path=TEXT, url=TEXT),
    watches=st.lists(WATCH, max_size=2),
    rules=st.lists(RULE, max_size=2),
    limits=section(transfers=st.integers()),
    layouts_dir=TEXT,
)


def load_bytes(content: bytes, env: Mapping[str, str]) -> Settings | ConfigError:
    """Return the settings, or the error that lists every problem."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_bytes(content)
        try:
            return load_config(file, env, layouts=["files"], secrets=Path(folder))
        except ConfigError as refused:
            return refused


def check_answer(answer: Settings | ConfigError) -> None:
    """Settings are whole; a refusal has a sentence for each problem, and none twice."""
    if isinstance(answer, ConfigError):
        assert answer.problems
        assert all(problem.message.endswith(".") and problem.key for problem in answer.problems)
        assert len(set(answer.problems)) == len(answer.problems)
    else:
        assert answer.galaxies
        assert answer.watches
        assert answer.rules


@given(st.one_of(CONFIGURATION, st.dictionaries(st.sampled_from(WORDS), JUNK)))
@example({"watches": [None], "rules": [None, []], "galaxies": {"": None}})
@example({"_env_file": "x", "_secrets_dir": "/", "model_config": 1, "self": 2})
def test_any_mapping_is_answered(values: Mapping[str, object]) -> None:
    """A mapping of whatever, as YAML, never ends in anything but settings or a ConfigError."""
    check_answer(load_bytes(dump_yaml(dict(values)).encode("utf-8", "replace"), {}))


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="ab:-*&!{}[]#'\"\n\t %@`|>?,=<\\0", max_size=60).map(str.encode)
    )
)
def test_any_bytes_are_answered(content: bytes) -> None:
    """Bytes of whatever kind never end in anything but a ConfigError."""
    answer = load_bytes(content, {})
    assert isinstance(answer, ConfigError)
    check_answer(answer)


NAMES = ["GALAXY", "GALAXY__URL", "GALAXIES", "GALAXIES__A__URL", "GALAXIES__A", "STATE__PATH__X", "WATCHES", "RULES"]
NAMES += ["WATCHES__0__NAME", "LIMITS__", "__", "", "LOG__LEVEL", "RESCAN", "LIMITS__CHUNK_BYTES", "CONFIG__X"]


@given(
    st.dictionaries(
        st.sampled_from(NAMES).map("WATCHER_{}".format),
        st.one_of(st.sampled_from(WORDS), JUNK.map(json.dumps), st.text(max_size=10)),
        max_size=4,
    )
)
def test_any_environment_is_answered(env: Mapping[str, str]) -> None:
    """Variables with whatever in them never end in anything but settings or a ConfigError."""
    content = b"galaxy: {url: https://g.example.org}\nwatches: [{name: x, path: /x}]\nrules: [{name: x}]\n"
    check_answer(load_bytes(content, env))


@pytest.mark.parametrize("text", ["a: 9" + "9" * 5000, "a: 1e999", "a: .inf", "rescan: 9" + "9" * 400])
def test_numbers_beyond_all_measure(text: str) -> None:
    """Numbers that no type holds are refused like any other wrong value."""
    check_answer(load_bytes(text.encode(), {}))
