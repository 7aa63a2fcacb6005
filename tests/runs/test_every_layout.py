"""Every layout against the run folders of the instruments it is for: recognised, complete only at the end, failed when
they say so.

The folders and what should be found in them come from `instruments/`; nothing here knows an instrument by name.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import pytest

from tests.runs.instruments import INSTRUMENTS, Failure, Instrument, Outcome
from tests.runs.instruments.arrival import State
from tests.runs.instruments.faults import faults
from tests.runs.instruments.instrument import EIGHT_HOURS_S
from tests.runs.instruments.trouble import ODD, STORIES, why_not
from tests.runs.run_folders import LAYOUTS, Tree
from watcher.runs.grouping import group
from watcher.runs.layout import Judgement, detection, judge, recognise
from watcher.runs.manifests import expected_checksums
from watcher.runs.view import UnitView

ALL = {**INSTRUMENTS, **ODD}
FAILURES = [(name, why) for name, one in ALL.items() for why in one.failures]
every_instrument = pytest.mark.parametrize("instrument", ALL.values(), ids=ALL)
# 1,500 files say no more than a dozen of what comes first.
SMALL = {name: one for name, one in ALL.items() if name != "96 samples over 8 lanes"}
every_small_one = pytest.mark.parametrize("instrument", SMALL.values(), ids=SMALL)
TOLD = [(name, story) for name, one in SMALL.items() for story in STORIES if not why_not(story, one)]

# What may be said before it is so, because no look can know better: reads are `missing` (a sheet that names their
# samples holds the unit at verify, else they are a later version); they are `damaged` (found when they are read); they
# are whole, but `unmarked`. The other words are holds, which end when anything comes.
WITH_READS = sorted({one.layout for one in SMALL.values() if one.outcome == "ready"})
# A list says which reads belong to the marker. A marker in somebody's folder must be younger than the reads.
LISTED = {"bclconvert", "novaseqx", "pacbio", "pacbio-sequel2"}
TRUSTED = sorted({*WITH_READS} - LISTED - {"folder", "files", "converter-begun"})
# Base calls come for days where nobody looks, because there are hundreds of thousands of them.
PRUNED = ("bcl2fastq-run", "dragen-bcl", "hiseq2500", "hiseq4000", "lrm", "nextseq500", "novaseqx", "pacbio")
UNKNOWABLE: Mapping[tuple[str, str], set[str]] = {
    **{("marker first", layout): {"missing", "no_reads"} for layout in TRUSTED},
    ("marker first", "folder"): {"missing"},  # by quiet time alone, as below
    **{("marker without data", layout): {"no_reads"} for layout in TRUSTED},
    **{("pauses longer than the quiet time", layout): {"never_started"} for layout in PRUNED},
    # Nothing but time tells here: bcl2fastq's folder is like anybody's before its statistics, without CopyComplete.txt
    # an analysis must lie still, a marker in a folder is a courtesy, and Ion Torrent and single files have none at all.
    ("pauses longer than the quiet time", "bcl2fastq"): {"missing", "unmarked"},
    ("pauses longer than the quiet time", "folder"): {"missing", "unmarked"},
    # Before the reads that no index claimed come, it is like anybody's folder; with nothing but a marker for six hours
    # it is one that nobody fills.
    ("pauses longer than the quiet time", "converter-begun"): {"missing", "unmarked"},
    ("slow writer", "converter-begun"): {"damaged", "missing", "unmarked"},
    ("marker without data", "converter-begun"): {"never_started"},
    ("rsync --delay-updates", "converter-begun"): {"never_started"},
    ("pauses longer than the quiet time", "iontorrent"): {"missing", "no_reads"},
    ("pauses longer than the quiet time", "nextseq2000"): {"unmarked"},
    ("slow writer", "bcl2fastq"): {"damaged", "missing", "unmarked"},
    ("slow writer", "files"): {"damaged"},
    ("slow writer", "folder"): {"damaged", "missing", "unmarked"},
    ("slow writer", "iontorrent"): {"damaged", "missing"},
    ("slow writer", "ont-pooled"): {"abandoned"},  # one of the two runs, while the other one is still written
    **{(story, layout): {"damaged"} for story in ("SMB", "a hole at the end", "truncated") for layout in WITH_READS},
}


def said(judgement: Judgement) -> Outcome:
    """Return the word for what a look says."""
    if judgement.failed:
        return "failed"
    if judgement.held:
        return "held"
    if judgement.complete:
        return "ready" if judgement.selected else "nothing"
    return "waiting"


def names_of_units(tree: Tree, layout: str) -> list[str]:
    """Return the units that a look finds which leaves out what the layout prunes."""
    return [found.unit for found in tree.seen_by(LAYOUTS[layout]).units(layout)]


def outcome_of(tree: Tree, layout: str, unit: str, quiet_s: float) -> tuple[Outcome, str]:
    """Return what is said of a unit, with the words for people."""
    judgement = tree.seen_by(LAYOUTS[layout]).judged(layout, unit, quiet_s=quiet_s)
    missing = [one.detail for one in judgement.predicates if not one.holds]
    return said(judgement), judgement.failed or judgement.held or "; ".join(missing)


def recognised(tree: Tree) -> str:
    """Return the layout of a run folder that is looked at as one that nobody knows yet, "" for none."""
    look = detection(LAYOUTS)
    depth = look.depth or 99
    near = Tree(tree.name, {path: one for path, one in tree.files.items() if path.count("/") < depth})
    listing = near.listing()
    deep = {path.rsplit("/", path.count("/") - depth + 1)[0] for path in tree.files if path.count("/") >= depth}
    for folder in deep:
        near.add(f"{folder}/any", b"")
    entries = {path: facts for path, facts in near.listing().entries.items() if path.count("/") < depth}
    found = recognise(LAYOUTS, type(listing)(listing.root, entries, listing.taken_at), tree.name)
    return found.name if found else ""


@every_instrument
def test_a_run_is_recognised_by_its_layout(instrument: Instrument) -> None:
    """The cheapest look that is made of an unknown folder finds the one layout that is meant for it."""
    assert instrument.layout in LAYOUTS
    if not LAYOUTS[instrument.layout].flat:
        assert recognised(instrument.make()) == instrument.layout


@every_instrument
def test_the_units_of_a_run_are_found(instrument: Instrument) -> None:
    """Each under its name, and no other."""
    assert sorted(names_of_units(instrument.make(), instrument.layout)) == sorted(instrument.units)


@every_instrument
def test_a_finished_run_is_complete_with_all_its_files(instrument: Instrument) -> None:
    """Each unit is what the instrument makes of it, with exactly the reads that should be taken."""
    tree = instrument.make().seen_by(LAYOUTS[instrument.layout])
    for unit in instrument.units:
        outcome, why = outcome_of(tree, instrument.layout, unit, instrument.quiet_s)
        assert outcome == instrument.outcome, why
        judgement = tree.judged(instrument.layout, unit, quiet_s=instrument.quiet_s)
        assert sorted(judgement.selected) == sorted(instrument.taken[unit])


@every_small_one
def test_a_unit_is_not_complete_before_its_last_file(instrument: Instrument) -> None:
    """However long nothing moves, a run that stopped anywhere before its proof is not taken for complete."""
    whole = instrument.make()
    order = list(whole.files)
    for unit, marker in instrument.last.items():
        for count in range(1, order.index(marker) + 1):
            tree = whole.without(*order[count:])
            if unit in names_of_units(tree, instrument.layout):
                outcome, _ = outcome_of(tree, instrument.layout, unit, instrument.quiet_s)
                assert outcome not in ("ready", "nothing"), f"{unit} is {outcome} after {order[count - 1]}"


@every_instrument
def test_a_unit_is_not_complete_while_it_moves(instrument: Instrument) -> None:
    """What was seen to change a second ago is not settled, whatever markers say."""
    tree = instrument.make()
    for unit in instrument.units:
        if instrument.taken[unit]:
            outcome, _ = outcome_of(tree, instrument.layout, unit, 1.0)
            assert outcome == "waiting"


@every_instrument
def test_the_samples_of_a_run_are_grouped_without_complaint(instrument: Instrument) -> None:
    """Each sample under its name, with all its files and nothing wrong; its checksums are found where there are any."""
    tree = instrument.make().seen_by(LAYOUTS[instrument.layout])
    for unit in instrument.units:
        look = tree.look(instrument.layout, unit, quiet_s=instrument.quiet_s)
        grouping = group(look, judge(look))
        assert grouping.problems == ()
        assert sorted(sample.name for sample in grouping.samples) == sorted(instrument.samples[unit])
        files = [file.path for sample in grouping.samples for file in sample.files]
        assert sorted(files) == sorted(instrument.taken[unit])
        assert set(expected_checksums(look)) <= set(files)


@pytest.mark.parametrize(("name", "why"), FAILURES, ids=[f"{name}: {why}" for name, why in FAILURES])
def test_a_run_that_ended_otherwise_is_told_so(name: str, why: str) -> None:
    """What concerns one unit is said of this one alone, and a folder that is recognised otherwise says so too."""
    instrument = ALL[name]
    failure: Failure = instrument.failures[why]
    tree = failure.change(instrument.make())
    layout = failure.layout or instrument.layout
    quiet_s = failure.quiet_s or min(instrument.quiet_s, EIGHT_HOURS_S)
    if failure.gone:
        concerned = {failure.unit} if failure.unit else set(instrument.units)
        assert concerned.isdisjoint(names_of_units(tree, layout))
        return
    if not LAYOUTS[layout].flat:
        assert recognised(tree) == layout
    for unit in names_of_units(tree, layout):
        outcome, said_why = outcome_of(tree, layout, unit, quiet_s)
        meant = failure.outcome if failure.unit in ("", unit) or failure.layout else instrument.outcome
        assert outcome == meant, f"{unit}: {said_why}"


def wrong_about(state: State, instrument: Instrument, view: UnitView, judgement: Judgement) -> set[str]:
    """Return what is not so of a unit that is told as complete: reads are missing or damaged, or its marker is
    missing.
    """
    unit, chosen = view.found.unit, set(judgement.selected)
    if not view.layout.include and view.layout.name != instrument.layout:
        return set()  # base calls so far; once there are reads the folder is another layout's, and a new version
    taken = set(instrument.taken.get(unit) or (path for paths in instrument.taken.values() for path in paths))
    damaged = state.damaged & taken & chosen
    assert all(faults(path, state.tree.files[path]) for path in damaged), "not even reading it through tells"
    assert chosen <= taken and all(view.quiet_s[path] for path in chosen), "taken while it moves, or is not to be taken"
    wrong = {"missing": taken - chosen, "damaged": damaged, "unmarked": {instrument.last.get(unit, "")} - {""}}
    wrong["unmarked"] -= set(state.tree.files)
    return {word for word, paths in wrong.items() if paths}


@functools.cache
def told(name: str, story: str) -> tuple[frozenset[str], Mapping[str, tuple[Outcome, frozenset[str]]]]:
    """Tell a story look by look, to its instrument's own layout and to the one that is recognised by then. Return what
    was said too early, and what the own layout says of each unit in the end, with what it takes.
    """
    instrument = ALL[name]
    early: set[str] = set()
    end: dict[str, tuple[Outcome, frozenset[str]]] = {}
    for state, quiet_s in STORIES[story](instrument).looks():
        layouts = {instrument.layout}
        if not LAYOUTS[instrument.layout].flat:
            layouts |= {recognised(state.tree)} - {""}
        for layout in layouts:
            judged = [(view, judge(view)) for view in state.tree.seen_by(LAYOUTS[layout]).views(layout, quiet_s)]
            for view, judgement in judged:
                assert not judgement.failed, state.what
                early |= {judgement.held_as} - {""}
                if judgement.complete:
                    early |= wrong_about(state, instrument, view, judgement)
            if layout == instrument.layout:
                end = {view.found.unit: (said(judgement), frozenset(judgement.selected)) for view, judgement in judged}
    return frozenset(early), end


@pytest.mark.parametrize(("name", "story"), TOLD)
def test_a_story_is_told_to_its_end(name: str, story: str) -> None:
    """Nothing is said of a run before it is so, but for what no look can know; in the end it is complete, with all its
    files.
    """
    instrument = ALL[name]
    early, end = told(name, story)
    own = {"no_reads"} if instrument.outcome == "held" else set()
    assert early <= UNKNOWABLE.get((story, instrument.layout), set()) | own
    if story == "marker without data":
        assert {outcome for outcome, _ in end.values()} <= {"waiting", "held"}
    else:
        assert end == {unit: (instrument.outcome, frozenset(paths)) for unit, paths in instrument.taken.items()}


@pytest.mark.parametrize(("story", "layout"), UNKNOWABLE)
def test_what_no_look_can_know_is_met(story: str, layout: str) -> None:
    """What is let pass is needed: an exception that has become superfluous is none any more."""
    names = [name for name, of in TOLD if of == story and ALL[name].layout == layout and ALL[name].outcome != "held"]
    assert set().union(*(told(name, story)[0] for name in names)) == UNKNOWABLE[story, layout]
