"""Durations, sizes and YAML: what is written comes back."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from watcher.config.values import format_duration, format_size, parse_duration, parse_size
from watcher.config.written import dump_yaml, read_yaml

DURATIONS = [
    ("0s", 0.0),
    ("5m", 300.0),
    ("90s", 90.0),
    ("12h", 43200.0),
    ("1h30m", 5400.0),
    ("1h 30m", 5400.0),
    ("2d", 172800.0),
    ("1.5s", 1.5),
    ("250ms", 0.25),
    (30, 30.0),
    ("30", 30.0),
    (0.5, 0.5),
]


@pytest.mark.parametrize(("written", "seconds"), DURATIONS)
def test_durations(written: object, seconds: float) -> None:
    """A duration is a number with a unit, several of them, or seconds."""
    assert parse_duration(written) == timedelta(seconds=seconds)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_a_written_duration_reads_the_same(value: timedelta) -> None:
    """What is shown as a duration is accepted as one, to the millisecond."""
    assert abs(parse_duration(format_duration(value)) - value) <= timedelta(milliseconds=1)


SIZES = [("10MiB", 10 * 1024**2), ("4 GB", 4 * 10**9), ("1KiB", 1024), ("1 kB", 1000), ("17", 17), (17, 17), ("3B", 3)]


@pytest.mark.parametrize(("written", "size"), SIZES)
def test_sizes(written: object, size: int) -> None:
    """A size is whole bytes, or a number with a unit of 1000 or 1024."""
    assert parse_size(written) == size


@given(st.integers(0, 10**15))
def test_a_written_size_reads_the_same(size: int) -> None:
    """What is shown as a size is accepted as one."""
    assert parse_size(format_size(size)) == size


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(), st.lists(st.text())))
def test_other_values_are_refused_as_such(written: object) -> None:
    """Nothing but a refusal comes of what is no duration or size."""
    for parse, least in ((parse_duration, timedelta(0)), (parse_size, 0)):
        try:
            value: Any = parse(written)
        except PydanticCustomError as refused:
            assert refused.context is not None
            assert refused.context["problem"].startswith("is ")
        else:
            assert value >= least


VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**12), 10**12),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=20),
        st.sampled_from(
            ["on", "no", "007", "1e5", "2025-01-31", "12:30", "~", "null", "*", "{run}", "=", "<<", "0x1f"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc:# *", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a", "on", "7", "b c"]), VALUE, min_size=1))
def test_yaml_comes_back_as_it_was(values: dict[str, object]) -> None:
    """Values written as YAML are read as the same values, of the same types."""
    written = read_yaml(dump_yaml(values).encode(), "x.yaml")
    assert written.problems == ()
    assert written.values == values
    assert repr(written.values) == repr(values)
