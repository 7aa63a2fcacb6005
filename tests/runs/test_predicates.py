"""The predicate language, kind by kind: what holds, what does not, and the words it says it with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.runs.run_folders import LAYOUTS, READS, Tree, run_info
from watcher.model import PredicateResult
from watcher.runs.conditions import parse_condition, parse_duration, spoken
from watcher.runs.layout import find_units
from watcher.runs.predicates import ask, ask_any, contents_needed
from watcher.runs.view import UnitView

BASE = replace(LAYOUTS["folder"], unit="U/*", include=("**/*.fastq.gz",))


def asked(written: Mapping[str, Any], tree: Tree, *, quiet_s: float = 60.0, failed: bool = False) -> PredicateResult:
    """Ask a condition of the unit U/1."""
    condition = parse_condition(dict(written), "complete.all")
    return ask(condition, view_of(tree, quiet_s), of_completeness=not failed)


def view_of(tree: Tree, quiet_s: float = 60.0) -> UnitView:
    """Return a look at the unit U/1 with everything read."""
    listing = tree.add("U/1/always.txt", b"").listing()
    found = next(one for one in find_units(BASE, listing) if one.unit == "U/1")
    return UnitView(BASE, "run", listing, found, tree.files, dict.fromkeys(tree.files, quiet_s))


def tree(**files: bytes) -> Tree:
    """Return a run folder with a unit U/1; `__` in a name stands for `/`, `_dot_` for a dot."""
    built = Tree("run")
    for name, content in files.items():
        built.add(name.replace("__", "/").replace("_dot_", "."), content)
    return built


XML = b'<a xmlns="urn:x"><b><Status>Good</Status></b><c v="7"/><Empty/></a>'
SUMMARY = b"x=1\nfiles_in_final_dest=2\nstopped=\n"


@pytest.mark.parametrize(
    ("written", "files", "holds", "detail"),
    [
        ({"file": "m.txt"}, {"U__1__m_dot_txt": b""}, True, "U/1/m.txt is there"),
        ({"file": "m.txt"}, {"U__2__m_dot_txt": b""}, False, "U/1/m.txt is not there"),
        ({"file": "M.TXT"}, {"U__1__m_dot_txt": b""}, False, "U/1/M.TXT is not there"),
        ({"file": "M.TXT", "ci": True}, {"U__1__m_dot_txt": b""}, True, "U/1/m.txt is there"),
        ({"file": "../../m.txt"}, {"m_dot_txt": b""}, True, "m.txt is there"),
        ({"file": "/m.txt"}, {"m_dot_txt": b""}, True, "m.txt is there"),
        ({"file": ["x", "*.tx?"]}, {"U__1__m_dot_txt": b""}, True, "U/1/always.txt is there"),
        ({"no_file": "m.txt"}, {}, True, "U/1/m.txt is not there"),
        ({"no_file": "m.txt"}, {"U__1__m_dot_txt": b""}, False, "U/1/m.txt is there"),
        ({"xml": {"file": "s", "at": "Status", "in": ["Good"]}}, {"U__1__s": XML}, True, "Status is 'Good' in U/1/s"),
        ({"xml": {"file": "s", "at": "b/Status", "in": ["Best"]}}, {"U__1__s": XML}, False, "Status is 'Good'"),
        ({"xml": {"file": "s", "at": "c/Status", "in": ["Good"]}}, {"U__1__s": XML}, False, "U/1/s has no c/Status"),
        ({"xml": {"file": "s", "at": "c@v", "in": ["7"]}}, {"U__1__s": XML}, True, "c@v is '7'"),
        ({"xml": {"file": "s", "at": "Status", "not_in": ["Bad"]}}, {"U__1__s": XML}, True, "'Good'"),
        ({"xml": {"file": "s", "at": "None", "not_in": ["Bad"]}}, {"U__1__s": XML}, False, "has no None"),
        ({"xml": {"file": "s", "at": "Empty", "exists": True}}, {"U__1__s": XML}, True, "has no Empty"),
        ({"xml": {"file": "s", "at": "Empty", "nonempty": True}}, {"U__1__s": XML}, False, "has no Empty"),
        ({"xml": {"file": "s", "at": "Status", "in": ["Good"]}}, {"U__1__s": XML[:-9]}, False, "cannot be read as XML"),
        ({"xml": {"file": "s", "at": "Status", "in": ["Good"]}}, {}, False, "U/1/s is not there"),
        ({"xml": {"file": "s", "at": "Status", "in": ["Good"], "if_present": True}}, {}, True, "is not there"),
        (
            {"xml": {"file": "s", "at": "Status", "in": ["Good"]}},
            {"U__1__s": b'<?xml version="1.0" encoding="utf-16"?>' + XML},
            True,
            "'Good'",
        ),
        ({"json": {"file": "j", "at": "a.1.b", "in": ["ok"]}}, {"U__1__j": b'{"a":[0,{"b":"ok"}]}'}, True, "'ok'"),
        ({"json": {"file": "j", "at": "n", "in": [3]}}, {"U__1__j": b'{"n":3}'}, True, "'3'"),
        ({"json": {"file": "j", "at": "a", "in": ["ok"]}}, {"U__1__j": b""}, False, "cannot be read as JSON"),
        ({"json": {"file": "j", "at": "x.y", "in": ["ok"]}}, {"U__1__j": b"[]"}, False, "has no x.y"),
        ({"kv": {"file": "k", "key": "x", "in": ["1"]}}, {"U__1__k": SUMMARY}, True, "x is '1'"),
        ({"kv": {"file": "k", "key": "stopped", "nonempty": True}}, {"U__1__k": SUMMARY}, False, "has no stopped"),
        ({"kv": {"file": "k", "key": "x", "nonempty": True}}, {"U__1__k": SUMMARY}, True, "says x: 1"),
        ({"text": {"file": "t", "regex": r"\S"}}, {"U__1__t": b"\n \n"}, False, "does not say"),
        ({"text": {"file": "t", "regex": r"\S"}}, {"U__1__t": b"\n boom\n"}, True, "U/1/t says: boom"),
        ({"count": {"glob": "*.fastq.gz", "equals": 1}}, {"U__1__a_dot_fastq_dot_gz": READS}, True, "1 of 1 files"),
        ({"count": {"glob": "*.fastq.gz", "equals": "*.bam"}}, {"U__1__a_dot_bam": READS}, False, "0 of 1 files"),
        (
            {"count": {"glob": "*.fastq.gz", "equals": "kv:k:files_in_final_dest"}},
            {"U__1__k": SUMMARY, "U__1__a_dot_fastq_dot_gz": READS},
            False,
            "1 of 2 files U/1/*.fastq.gz",
        ),
        ({"count": {"glob": "*", "equals": "kv:k:stopped"}}, {"U__1__k": SUMMARY}, False, "does not tell stopped"),
        ({"count": {"glob": "*", "equals": "kv:none:x"}}, {}, False, "U/1/none is not there"),
        (
            {"each": {"glob": "/R{n}.txt", "for": "runinfo.reads"}},
            {"RunInfo_dot_xml": run_info("r", [(10, False), (8, True)]), "R1_dot_txt": b""},
            False,
            "R2.txt is not there",
        ),
        (
            {"each": {"glob": "/R{n}.txt", "for": "runinfo.reads"}},
            {"RunInfo_dot_xml": run_info("r", [(10, False), (8, True)]), "R1_dot_txt": b"", "R2_dot_txt": b""},
            True,
            "each of 2 reads",
        ),
        (
            {"each": {"glob": "R{n}", "for": "runinfo.reads"}},
            {"RunInfo_dot_xml": b"<RunInfo/>"},
            False,
            "names no reads",
        ),
        ({"newer": {"file": "m", "than": "*.bam"}}, {"U__1__a_dot_bam": b"", "U__1__m": b""}, True, "is the newest"),
        (
            {"newer": {"file": "m", "than": "*.bam"}},
            {"U__1__m": b"", "U__1__a_dot_bam": b""},
            False,
            "U/1/m is older than U/1/a.bam",
        ),
        ({"newer": {"file": "m", "than": "*.bam"}}, {"U__1__a_dot_bam": b""}, False, "U/1/m is not there"),
        ({"age": {"file": "m", "min": "1m"}}, {"U__1__m": b""}, True, "quiet for 1 m"),
        ({"age": {"file": "m", "min": "2m"}}, {"U__1__m": b""}, False, "quiet for 1 m of 2 m"),
        ({"quiet": "1m"}, {}, True, "quiet for 1 m"),
        ({"quiet": "61s"}, {}, False, "quiet for 1 m of 1 m 1 s"),
        ({"pairs": True}, {"U__1__a_R1_dot_fastq_dot_gz": READS}, True, "no read is missing"),
        (
            {"pairs": True},
            {
                "U__1__a_R1_dot_fastq_dot_gz": READS,
                "U__1__b_R1_dot_fastq_dot_gz": READS,
                "U__1__b_R2_dot_fastq_dot_gz": READS,
            },
            False,
            "R2 of a is missing",
        ),
        ({"sheet_covered": True}, {}, True, "there is no sample sheet"),
        (
            {"manifest": {"file": "Manifest.tsv", "kind": "crc32-tsv"}},
            {
                "U__1__Manifest_dot_tsv": b"d/a.bam\t0a1b2c3d\nd/b.bam\t0a1b2c3d\n",
                "U__1__d__a_dot_bam": b"",
                "U__1__e__b_dot_bam": b"",
            },
            False,
            "d/b.bam is listed in U/1/Manifest.tsv, but not there",
        ),
        (
            {"manifest": {"file": "Manifest.tsv", "kind": "crc32-tsv"}},
            {"U__1__Manifest_dot_tsv": b""},
            False,
            "lists nothing",
        ),
        (
            {"manifest": {"file": "Manifest.tsv", "kind": "crc32-tsv"}},
            {"U__1__Manifest_dot_tsv": b"d/a.b"},
            False,
            "Manifest.tsv:1",
        ),
        ({"manifest": {"file": "M.tsv", "kind": "crc32-tsv", "if_present": True}}, {}, True, "is not there"),
    ],
)
def test_a_condition_says_what_it_saw(
    written: Mapping[str, Any], files: Mapping[str, bytes], holds: bool, detail: str
) -> None:
    """Each kind holds when it should, and says why not in words."""
    result = asked(written, tree(**files))
    assert result.holds is holds
    assert detail in result.detail
    assert result.name.startswith(next(iter(written)))


@pytest.mark.parametrize(
    "written",
    [
        {"xml": {"file": "s", "at": "Status", "not_in": ["Good"], "if_present": True}},
        {"json": {"file": "s", "at": "x", "exists": True}},
        {"text": {"file": "s", "regex": ".", "if_present": True}},
        {"manifest": {"file": "s", "kind": "md5", "if_present": True}},
    ],
)
def test_an_absent_file_never_says_failed(written: Mapping[str, Any]) -> None:
    """What is not there is no reason to fail, however the condition is written."""
    assert not asked(written, tree(), failed=True).holds


def test_for_completeness_all_files_must_hold_for_failure_one_is_enough() -> None:
    """Several status files are not averaged."""
    files = {"U__1__s1": b"ok", "U__1__s2": b"bad"}
    assert not asked({"text": {"file": "s*", "regex": "ok"}}, tree(**files)).holds
    assert asked({"text": {"file": "s*", "regex": "bad"}}, tree(**files), failed=True).holds


def test_alternatives_are_one_result_that_names_them_all() -> None:
    """While none holds all reasons are told, when one holds only its own."""
    conditions = [parse_condition({"file": name}, "complete.any") for name in ("a", "b")]
    neither = ask_any(conditions, view_of(tree()))
    assert (neither.name, neither.holds) == ("file a or file b", False)
    assert neither.detail == "U/1/a is not there; U/1/b is not there"
    assert ask_any(conditions, view_of(tree(U__1__b=b""))).detail == "U/1/b is there"


def test_a_file_that_was_not_read_does_not_hold() -> None:
    """Too big or gone between listing and reading is not good news."""
    view = view_of(tree(U__1__s=XML))
    unread = replace(view, contents={})
    condition = parse_condition({"xml": {"file": "s", "at": "Status", "in": ["Good"]}}, "complete.all")
    assert ask(condition, unread).detail == "U/1/s could not be read"
    assert contents_needed(condition) == ("s",)


def test_pruned_folders_do_not_count_as_missing() -> None:
    """A list may name files that nobody looks at."""
    built = tree(**{"U__1__M_dot_tsv": b"logs/x.log\t0a1b2c3d\na.bam\t0a1b2c3d\n", "U__1__a_dot_bam": b""})
    written = {"manifest": {"file": "M.tsv", "kind": "crc32-tsv"}}
    assert not asked(written, built).holds
    built.pruned = frozenset({"U/1/logs"})
    assert asked(written, built).holds


@pytest.mark.parametrize(
    ("text", "seconds"), [("2m", 120), ("90 s", 90), ("1.5h", 5400), ("3d", 259200), (0, 0), ("10ms", 0.01)]
)
def test_durations_are_read_and_spoken(text: object, seconds: float) -> None:
    """What an operator writes, and what a person reads."""
    assert parse_duration(text, "settle").total_seconds() == seconds


def test_durations_are_spoken_in_their_largest_units() -> None:
    """Short and exact."""
    assert [spoken(seconds) for seconds in (0, 0.5, 12, 120, 5400, 90061)] == [
        "0 s",
        "0.5 s",
        "12 s",
        "2 m",
        "1 h 30 m",
        "1 d 1 h 1 m 1 s",
    ]
