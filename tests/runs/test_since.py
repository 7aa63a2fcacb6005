"""Since when conditions hold or do not, told by the times of the files alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.runs.run_folders import READS, START, Stamp, Tree, bclconvert, completion_status, miseq, novaseqx
from watcher.runs.layout import judge, load_layouts
from watcher.runs.since import since_when


def seconds(tree: Tree, layout: str, unit: str = ".", **look: float | bool) -> dict[str, float | None]:
    """Return, by predicate, how many seconds after the first file it began to be as it is."""
    view = tree.look(layout, unit, **look)  # type: ignore[arg-type] # numbers and flags only
    judgement = judge(view)
    moments = since_when(view, judgement.predicates)
    return {
        one.name: (moment - START).total_seconds() if moment else None
        for one, moment in zip(judgement.predicates, moments, strict=True)
    }


def at(tree: Tree, path: str) -> float:
    """Return how many seconds after the first file this one was written."""
    return float(list(tree.files).index(path))


def test_a_marker_holds_since_it_was_written() -> None:
    """By its change time here: a time of writing that was copied along says nothing of this folder."""
    tree = bclconvert()
    told = seconds(tree, "bclconvert")
    assert told["file Logs/FastqComplete.txt"] == at(tree, "Logs/FastqComplete.txt")
    tree.stamps["Logs/FastqComplete.txt"] = Stamp(mtime_ns=1)
    assert seconds(tree, "bclconvert") == told


def test_what_is_not_there_is_missing_since_the_first_file_came() -> None:
    """Nobody can know better without having looked."""
    tree = bclconvert().without("Logs/FastqComplete.txt")
    assert seconds(tree, "bclconvert")["file Logs/FastqComplete.txt"] == 0.0


def test_quiet_is_counted_from_the_last_change() -> None:
    """Not quiet: since the last change; quiet: since the time was over; assumed: nobody knows."""
    tree = bclconvert()
    taken = len(tree.files) + 3600
    assert seconds(tree, "bclconvert", quiet_s=5.0)["quiet"] == taken - 5
    settle = tree.look("bclconvert").layout.settle.total_seconds()
    assert seconds(tree, "bclconvert", quiet_s=3000.0)["quiet"] == taken - 3000 + settle
    assert seconds(tree, "bclconvert", assume_quiet=True)["quiet"] is None


def test_what_a_file_says_it_says_since_it_was_written() -> None:
    """A status that is not the wished one is no less of a fact than the wished one."""
    tree = novaseqx()
    name = "RunCompletionStatus.xml"
    told = {one: moment for one, moment in seconds(tree, "novaseqx", "Analysis/1").items() if name in one}
    assert set(told.values()) == {at(tree, name)}
    assert told
    worse = tree.copied().add(name, completion_status("RunErrored"))
    assert {seconds(worse, "novaseqx", "Analysis/1")[one] for one in told} == {at(worse, name)}


def test_pairs_and_lists_hold_since_the_last_of_their_files() -> None:
    """All of them are needed; while one is missing, it is since the beginning."""
    tree = miseq()
    last = max(at(tree, path) for path in tree.files if path.endswith(".fastq.gz"))
    assert seconds(tree, "miseq-msr")["pairs"] == last
    assert seconds(tree, "miseq-msr")["files"] == min(at(tree, path) for path in tree.files if ".fastq" in path)
    without = tree.without(next(path for path in tree.files if "_R2_" in path))
    assert seconds(without, "miseq-msr")["pairs"] == 0.0


def test_one_of_several_ways_holds_since_the_first_that_does() -> None:
    """Of alternatives the earliest counts, without any it is since the beginning."""
    tree = Tree("x").add("a_R1.fastq.gz").add("a_R2.fastq.gz")
    (name,) = [one for one in seconds(tree, "folder") if " or " in one]
    assert seconds(tree, "folder", quiet_s=1.0)[name] == 0.0
    tree.add("READY", b"")
    assert seconds(tree, "folder", quiet_s=1.0)[name] == at(tree, "READY")


def test_times_to_come_are_cut(tmp_path: Path) -> None:
    """A file server whose clock is ahead makes nothing hold since tomorrow."""
    tree = bclconvert()
    ahead = START + timedelta(days=1)
    tree.stamps["Logs/FastqComplete.txt"] = Stamp(ctime_ns=int(ahead.timestamp()) * 10**9)
    assert seconds(tree, "bclconvert")["file Logs/FastqComplete.txt"] == len(tree.files) + 3600


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('{ no_file = "busy" }', 2.0),
        ('{ no_file = "idle" }', 0.0),
        ('{ file = "busy" }', 2.0),
        ('{ file = ["*.fastq.gz"] }', 0.0),
        ('{ count = { glob = "*.fastq.gz", equals = 2 } }', 1.0),
        ('{ count = { glob = "*.fastq.gz", equals = 3 } }', 0.0),
        ('{ text = { file = "busy", regex = "never" } }', 2.0),
        ('{ newer = { file = "done", than = "*.fastq.gz" } }', 3.0),
        ('{ newer = { file = "busy", than = "done" } }', 3.0),
        ('{ newer = { file = "idle", than = "done" } }', 0.0),
        ('{ age = { file = "idle", min = "5s" } }', 0.0),
        ('{ manifest = { file = "*.md5", kind = "md5", if_present = true } }', 0.0),
        ("{ sheet_covered = true }", 1.0),
    ],
)
def test_each_kind_of_condition_has_its_time(tmp_path: Path, condition: str, expected: float) -> None:
    """Two reads, a lock and a marker, a second apart."""
    (tmp_path / "x.toml").write_text(
        f'extends = "base"\n[complete]\nall = [{condition}]\n[files]\ninclude = ["*.fastq.gz"]\n'
    )
    tree = Tree("x").add("a_R1.fastq.gz", READS).add("a_R2.fastq.gz", READS).add("busy", b"x").add("done", b"")
    view = tree.look(load_layouts(tmp_path)["x"])
    judgement = judge(view)
    moment = since_when(view, judgement.predicates)[0]
    assert moment is not None
    assert (moment - START).total_seconds() == expected
