"""Quiet time is what was watched, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.disk.quiet import add_quiet, filer_time
from watcher.model import Kind, Listing, SourceFacts
from watcher.rows import SourceFile

START = datetime(2026, 1, 1, tzinfo=UTC)
RESCAN = timedelta(minutes=5)
FACTS = SourceFacts("a", Kind.FILE, 10, 100, 200, 3)


def listing(*seen: SourceFacts, at: datetime = START, seconds: float = 0.0) -> Listing:
    """Return what a look found."""
    return Listing("/r", {one.path: one for one in seen}, at, seconds=seconds)


def by_path(rows: list[SourceFile]) -> dict[str, SourceFile]:
    """Return rows as the next look gets them."""
    return {row.path: row for row in rows}


def look(
    previous: dict[str, SourceFile], now: Listing, at: datetime, *, blind: bool = False, restarted: bool = False
) -> dict[str, SourceFile]:
    """Add one look."""
    return by_path(add_quiet(previous, now, unit_id="u", at=at, rescan=RESCAN, blind=blind, restarted=restarted))


def test_time_between_two_looks_is_added() -> None:
    """A file that two looks see unchanged has been quiet for the time between them."""
    first = look({}, listing(FACTS), START)
    second = look(first, listing(FACTS), START + timedelta(seconds=40))
    third = look(second, listing(FACTS), START + timedelta(seconds=70))
    assert [rows["a"].unchanged_s for rows in (first, second, third)] == [0, 40, 70]
    assert third["a"].looked_at == START + timedelta(seconds=70)


@pytest.mark.parametrize("changed", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_any_change_starts_the_file_anew_and_no_other(changed: str) -> None:
    """Size, mtime, ctime and inode each reset the file's clock and its checksum, but not its neighbour's."""
    neighbour = replace(FACTS, path="b")
    rows = look({}, listing(FACTS, neighbour), START)
    rows = {path: replace(row, unchanged_s=50.0, sha256="x") for path, row in rows.items()}
    moved = replace(FACTS, **{changed: getattr(FACTS, changed) + 1})
    after = look(rows, listing(moved, neighbour), START + timedelta(seconds=30))
    assert (after["a"].unchanged_s, after["a"].sha256) == (0.0, "")
    assert (after["b"].unchanged_s, after["b"].sha256) == (80.0, "x")


def test_only_regular_files_have_clocks_and_missing_ones_lose_theirs() -> None:
    """Folders and unusable paths are not counted; a file that is gone leaves no row."""
    rows = look({}, listing(FACTS, SourceFacts("d", Kind.FOLDER), SourceFacts("p", Kind.OTHER, problem="x")), START)
    assert list(rows) == ["a"]
    assert look(rows, listing(), START) == {}


def test_while_blind_nothing_is_inferred() -> None:
    """Blind, a missing file keeps its row and time; a file that did change is known to have changed."""
    rows = look({}, listing(FACTS, replace(FACTS, path="b")), START)
    rows = {path: replace(row, unchanged_s=50.0) for path, row in rows.items()}
    later = START + timedelta(seconds=100)
    blind = look(rows, listing(replace(FACTS, path="b", size=11)), later, blind=True)
    assert [(row.path, row.unchanged_s, row.looked_at) for row in blind.values()] == [
        ("a", 50.0, later),
        ("b", 0.0, later),
    ]


def test_a_new_device_restarts_all_clocks_and_seeds_none() -> None:
    """After a remount the same files are watched from zero on."""
    rows = {"a": replace(look({}, listing(FACTS), START)["a"], unchanged_s=500.0)}
    now = listing(FACTS, replace(FACTS, path="b", ctime_ns=0))
    after = look(rows, now, START + timedelta(seconds=9), restarted=True)
    assert [row.unchanged_s for row in after.values()] == [0.0, 0.0]


def test_a_root_that_came_back_restarts_what_was_looked_at_before() -> None:
    """Rows from before the return begin at zero, rows from after it go on."""
    rows = {"a": replace(look({}, listing(FACTS), START)["a"], unchanged_s=500.0)}
    back, later = START + timedelta(seconds=60), START + timedelta(seconds=100)
    first = by_path(add_quiet(rows, listing(FACTS), unit_id="u", at=back, rescan=RESCAN, blind=False, back_since=back))
    second = by_path(
        add_quiet(first, listing(FACTS), unit_id="u", at=later, rescan=RESCAN, blind=False, back_since=back)
    )
    assert [first["a"].unchanged_s, second["a"].unchanged_s] == [0.0, 40.0]


def test_the_looking_itself_is_not_counted() -> None:
    """A slow look may have seen the file at its beginning, so its duration is taken off."""
    rows = look({}, listing(FACTS), START)
    after = look(rows, listing(FACTS, seconds=12.0), START + timedelta(seconds=40))
    assert after["a"].unchanged_s == 28


def test_ctime_seeds_the_very_first_look_only() -> None:
    """With nothing stored a file is as quiet as its ctime is old on the filer's clock; later files begin at zero."""
    old, young = replace(FACTS, ctime_ns=1_000 * 10**9), replace(FACTS, path="b", ctime_ns=1_600 * 10**9)
    first = look({}, listing(old, young), START)
    assert [row.unchanged_s for row in first.values()] == [600.0, 0.0], (
        "the filer's clock is at least the youngest ctime"
    )
    third = replace(FACTS, path="c", ctime_ns=1_000 * 10**9)
    assert look(first, listing(old, young, third), START)["c"].unchanged_s == 0.0
    assert look({}, listing(old, young), START, blind=True)["a"].unchanged_s == 0.0


def test_the_filers_clock() -> None:
    """On a local disk it is ours; on a file server never later than what its own stamps prove."""
    now = listing(replace(FACTS, ctime_ns=1_600 * 10**9))
    assert filer_time(now, at=START, is_network=False) == START
    assert filer_time(now, at=START, is_network=True) == datetime.fromtimestamp(1_600, UTC)
    assert filer_time(listing(), at=START) is None
    ahead = add_quiet(
        {}, now, unit_id="u", at=START, rescan=RESCAN, blind=False, filer_now=START - timedelta(days=99999)
    )
    assert ahead[0].unchanged_s == 0.0, "a ctime in the future is no negative age"


steps = st.lists(
    st.tuples(
        st.floats(-1_000, 10_000),  # seconds until the look: clocks may jump back
        st.booleans(),  # was blind
        st.sampled_from(["same", "size", "mtime_ns", "ctime_ns", "inode", "gone"]),
        st.floats(0, 400),  # duration of the look
    ),
    max_size=12,
)


@given(steps)
def test_quiet_time_is_never_more_than_what_was_watched(history: list[tuple[float, bool, str, float]]) -> None:
    """Over any history: at most a rescan interval per look, nothing while blind, zero after a change or an absence."""
    at, rows, seen, bound_s = START, look({}, listing(FACTS), START), FACTS, 0.0
    for passed_s, blind, change, seconds in history:
        at += timedelta(seconds=passed_s)
        before_s = rows["a"].unchanged_s if "a" in rows else 0.0
        if change == "gone":
            rows = look(rows, listing(at=at, seconds=seconds), at, blind=blind)
            if not blind:
                assert rows == {}
                bound_s = 0.0
                continue
        else:
            if change != "same":
                seen = replace(seen, **{change: getattr(seen, change) + 1})
                bound_s = 0.0
            elif not blind:
                bound_s += min(max(passed_s - seconds, 0.0), RESCAN.total_seconds())
            # A neighbour keeps the rows from being empty, which would be a first look.
            rows = look({**rows, "n": neighbour_row(at)}, listing(seen, at=at, seconds=seconds), at, blind=blind)
        quiet_s = rows["a"].unchanged_s if "a" in rows else 0.0
        assert 0.0 <= quiet_s <= bound_s + 1e-6
        assert quiet_s - before_s <= RESCAN.total_seconds()
        if blind:
            assert quiet_s <= before_s
        if change not in ("same", "gone"):
            assert quiet_s == 0.0
        rows.pop("n", None)


def neighbour_row(at: datetime) -> SourceFile:
    """Return a stored row of another file."""
    return SourceFile("u", "n", 1, 1, 1, 1, looked_at=at)
