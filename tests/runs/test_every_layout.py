"""Every layout against the run folders of the instruments it is for: recognised, complete only at the end, failed when
they say so.

The folders and what should be found in them come from `instruments/`; nothing here knows an instrument by name.
"""

from __future__ import annotations

import pytest

from tests.runs.instruments import INSTRUMENTS, Failure, Instrument, Outcome
from tests.runs.instruments.instrument import EIGHT_HOURS_S
from tests.runs.instruments.trouble import ODD, STORIES
from tests.runs.run_folders import LAYOUTS, Tree
from watcher.runs.grouping import group
from watcher.runs.layout import Judgement, detection, judge, recognise
from watcher.runs.manifests import expected_checksums

ALL = {**INSTRUMENTS, **ODD}
FAILURES = [(name, why) for name, one in ALL.items() for why in one.failures]
every_instrument = pytest.mark.parametrize("instrument", ALL.values(), ids=ALL)
# 1,500 files say no more than a dozen of what comes first.
SMALL = {name: one for name, one in ALL.items() if name != "96 samples over 8 lanes"}
every_small_one = pytest.mark.parametrize("instrument", SMALL.values(), ids=SMALL)
with_reads = pytest.mark.parametrize("name", [name for name, one in SMALL.items() if one.outcome == "ready"])
# Names that say it is not over, whatever the layout; a look at any time must not take the run for complete.
UNDER_OTHER_NAMES = ("rsync", "rsync --delay-updates", "Aspera with .partial")


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


@with_reads
@pytest.mark.parametrize("story", UNDER_OTHER_NAMES)
def test_a_transfer_under_other_names_is_never_complete_before_its_end(name: str, story: str) -> None:
    """Temporary names are no reads: with a marker, a unit is complete only once the marker has its own name."""
    instrument = ALL[name]
    for state, quiet_s in STORIES[story](instrument).looks():
        tree = state.tree.seen_by(LAYOUTS[instrument.layout])
        for found in tree.units(instrument.layout):
            look = tree.look(instrument.layout, found.unit, quiet_s={**dict.fromkeys(tree.files, 0.0), **quiet_s})
            marker = instrument.last.get(found.unit, "")
            if not state.is_whole and marker and marker not in tree.files:
                assert not judge(look).complete, state.what


@with_reads
def test_a_run_whose_files_grow_slowly_is_not_complete_before_its_markers(name: str) -> None:
    """Pauses longer than any quiet time do not stand for the marker where there is one."""
    instrument = ALL[name]
    for state, _ in STORIES["slow writer"](instrument).looks():
        tree = state.tree.seen_by(LAYOUTS[instrument.layout])
        for unit, marker in instrument.last.items():
            if marker not in tree.files and unit in names_of_units(tree, instrument.layout):
                outcome, _ = outcome_of(tree, instrument.layout, unit, instrument.quiet_s)
                assert outcome not in ("ready", "nothing"), state.what


@with_reads
def test_a_run_without_its_reads_is_never_ready(name: str) -> None:
    """Markers alone make nobody upload nothing as if it were a run."""
    instrument = ALL[name]
    for state, _ in STORIES["marker without data"](instrument).looks():
        for unit in names_of_units(state.tree, instrument.layout):
            outcome, _ = outcome_of(state.tree, instrument.layout, unit, instrument.quiet_s)
            assert outcome in ("waiting", "held", "failed")


@with_reads
def test_old_times_prove_nothing(name: str) -> None:
    """A file that is a year old and was first seen just now is not quiet."""
    instrument = ALL[name]
    for state, quiet_s in STORIES["preserved times"](instrument).looks():
        if state.is_whole and state.after_s > EIGHT_HOURS_S / 2:
            continue
        tree = state.tree.seen_by(LAYOUTS[instrument.layout])
        for found in tree.units(instrument.layout):
            look = tree.look(instrument.layout, found.unit, quiet_s=quiet_s)
            if any(path in instrument.taken.get(found.unit, ()) for path in state.damaged):
                assert not judge(look).complete, state.what
