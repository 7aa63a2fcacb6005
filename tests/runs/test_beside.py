"""The content pass in two threads: order of results and errors, what is bounded, and the same facts as in one."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from tests.runs.gzips import bgzf, one_member, read_through, records
from watcher.errors import ContentBroken
from watcher.runs.beside import Beside

TEXT = records(20_000, 100)
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "one member": one_member,
    "bgzf": bgzf,
    "bgzf in small blocks": partial(bgzf, block_bytes=5000),
    "bgzf then gzip": lambda text: bgzf(text[:3_000_000]) + one_member(text[3_000_000:]) + bgzf(b""),
}


def test_results_are_taken_in_the_order_given() -> None:
    """What the giving thread does itself waits for the slower work that was given before."""
    beside, gate, taken = Beside("test"), threading.Event(), list[str]()

    def slow() -> str:
        assert gate.wait(10)
        return "slow"

    beside.give(slow, taken.append)
    beside.give(lambda: "second", taken.append)
    assert [beside.has_room] == [False]
    beside.work_here(lambda: "here", taken.append)
    assert taken == []
    gate.set()
    beside.catch_up()
    assert taken == ["slow", "second", "here"]
    assert [beside.has_room] == [True]
    beside.close()


def test_the_first_error_in_that_order_is_raised_and_nothing_runs_on() -> None:
    """An error here does not overtake one of earlier work; when it comes out, all work is over."""
    beside, gate, ended, done = Beside("test"), threading.Event(), threading.Event(), list[str]()

    def fail_slowly() -> str:
        assert gate.wait(10)
        raise ValueError("earlier")

    def fail_here() -> str:
        raise ValueError("later")

    def end() -> str:
        ended.set()
        return "last"

    beside.give(fail_slowly, done.append)
    beside.work_here(fail_here, done.append)
    beside.give(end, done.append)
    gate.set()
    with pytest.raises(ValueError, match="earlier"):
        beside.catch_up()
    assert ended.is_set()
    assert done == []
    beside.catch_up()
    beside.close()


@pytest.mark.parametrize("form", FORMS)
def test_one_large_chunk_gives_the_facts_of_many_small_ones(form: str) -> None:
    """In two threads nothing else is found than in one."""
    content = FORMS[form](TEXT)
    facts = read_through(content, "fastq.gz", 300_000)
    assert facts == read_through(content, "fastq.gz", *range(0, len(content), 50_000))
    assert facts.records == 20_000


@pytest.mark.parametrize("form", FORMS)
def test_of_two_faults_the_first_in_the_file_is_told(form: str) -> None:
    """A hole in the text is reported although the stream is damaged further on."""
    hole = TEXT[:2_000_000] + bytes(7) + TEXT[2_000_007:]
    content = bytearray(FORMS[form](hole))
    content[-400] ^= 255
    with pytest.raises(ContentBroken, match="zero bytes from byte 2000000 of its text on"):
        read_through(bytes(content))


@pytest.mark.parametrize("form", FORMS)
def test_damage_in_a_large_chunk_is_found(form: str) -> None:
    """Changed bytes anywhere are broken also where two threads work."""
    whole = FORMS[form](TEXT)
    for place in range(5000, len(whole) - 100, len(whole) // 5):
        content = bytearray(whole)
        for changed in (place, place + 20):  # one of the two is not in a block's header, where some bytes say nothing
            content[changed] ^= 255
        with pytest.raises(ContentBroken):
            read_through(bytes(content))
