"""From listings to verdicts: recognition by content, units, completeness, failure, and what a person must decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.runs.instruments import INSTRUMENTS
from tests.runs.run_folders import (
    LAYOUTS,
    MISEQ_RUN,
    RUN,
    Stamp,
    Tree,
    bclconvert,
    completion_status,
    miseq,
    novaseqx,
    run_info,
)
from watcher.runs.layout import detection, find_units, judge, recognise, wanted
from watcher.runs.predicates import still_to_lie

BASE_CALLS = "Data/Intensities/BaseCalls"


def folder(*names: str) -> Tree:
    """Return somebody's own folder."""
    tree = Tree("my reads")
    for name in names or ("a_R1.fastq.gz", "a_R2.fastq.gz"):
        tree.add(name)
    return tree


def unmet(tree: Tree, layout: str, unit: str = ".", quiet_s: float = 3600.0) -> list[str]:
    """Return the details of the predicates that do not hold."""
    judgement = tree.judged(layout, unit, quiet_s=quiet_s)
    assert judgement.complete is all(one.holds for one in judgement.predicates)
    return [one.detail for one in judgement.predicates if not one.holds]


@pytest.mark.parametrize(
    ("tree", "layout"),
    [
        (bclconvert(), "bclconvert"),
        (bclconvert().without("Reports/fastq_list.csv", "Logs/FastqComplete.txt"), "bclconvert"),
        (miseq(), "miseq-msr"),
        (novaseqx(), "novaseqx"),
        (folder(), "folder"),
        (folder("p/q/a.bam"), "folder"),
        (Tree("run").add("RunInfo.xml", run_info(RUN)), "dragen-bcl"),
        (Tree("run").add("RunInfo.xml", run_info("run")), "illumina-bcl"),
        (Tree("run").add("RunInfo.xml", run_info("120110_HWI-M00119_0068_A")), "miseq-bcl"),
        (Tree("run").add("RunInfo.xml", run_info("120110_HWI-ST00119_0068_A")), "hiseq2500"),
        (Tree("empty"), None),
        (Tree("notes").add("readme.txt"), None),
    ],
    ids=[
        "bclconvert",
        "bclconvert-growing",
        "miseq",
        "novaseqx",
        "folder",
        "folder-bam",
        "run-without-reads",
        "run-of-an-unknown-instrument",
        "run-of-an-early-miseq",
        "run-of-an-early-hiseq",
        "empty",
        "no-reads",
    ],
)
def test_folders_are_recognised_by_what_is_in_them(tree: Tree, layout: str | None) -> None:
    """The name of a folder never matters where the content says more, and a run without reads is nobody's folder."""
    for name in ("anything", RUN, MISEQ_RUN):
        if b'Id="run"' in tree.files.get("RunInfo.xml", b"") and name != "anything":
            continue  # then the name is all there is
        found = recognise(LAYOUTS, tree.listing(), name, tree.files.get("RunInfo.xml", b""))
        assert (found.name if found else None) == layout


def test_detection_enters_no_base_calls_but_all_places_of_recognition() -> None:
    """One cheap listing serves all layouts."""
    look = detection(LAYOUTS)
    assert look.depth == 5
    assert f"{BASE_CALLS}/L[0-9][0-9][0-9]" in look.prune
    assert "Logs" not in look.prune


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if not layout.abstract])
def test_every_layout_asks_for_quiet_and_for_files(name: str) -> None:
    """However a layout is written, nothing is taken while it moves, and nothing is complete without files."""
    layout = LAYOUTS[name]
    folder = {
        "Alignment_*/*": "Alignment_1/x",
        "Analysis/[0-9]*": "Analysis/1",
        "[0-9]_[A-H][0-9][0-9]": "1_A01",
        "L0[1-8]": "L01",
    }.get(layout.unit, layout.unit)
    tree = Tree("any").add(f"{folder}/a_pass_0a0b0c0d_01020304_0.bam".removeprefix("./"))
    (found,) = tree.units(name)
    names = [one.name for one in tree.judged(name, found.unit).predicates]
    assert any("quiet" in one for one in names)
    assert ("files" in names) is bool(layout.include)
    assert layout.include or layout.nothing, "what a run has nothing of must be said"


@pytest.mark.parametrize(
    ("tree", "layout", "unit"),
    [(bclconvert(), "bclconvert", "."), (miseq(), "miseq-msr", "."), (novaseqx([3]), "novaseqx", "Analysis/3")],
)
def test_a_finished_run_is_complete_under_its_own_id(tree: Tree, layout: str, unit: str) -> None:
    """All predicates hold, and the id comes from RunInfo.xml."""
    judgement = tree.judged(layout, unit)
    assert judgement.complete and not judgement.failed and not judgement.held
    assert judgement.run == judgement.identity == (MISEQ_RUN if layout == "miseq-msr" else RUN)
    assert judgement.identity_from.endswith("RunInfo.xml:Run@Id")
    assert len(judgement.selected) == 4


def test_the_run_id_wins_over_the_folder_name_until_it_is_readable() -> None:
    """A renamed folder stays the same run; a broken RunInfo.xml leaves only the name."""
    assert miseq(run_id="260228_real").judged("miseq-msr").identity == "260228_real"
    broken = miseq().add("RunInfo.xml", b"<RunInfo><Run Id='x'").judged("miseq-msr")
    assert (broken.identity, broken.identity_from) == (MISEQ_RUN, "name")


@pytest.mark.parametrize(
    ("tree", "layout", "unit"),
    [
        *((miseq().without(path), "miseq-msr", ".") for path in ("RTAComplete.txt", "CompletedJobInfo.xml")),
        (bclconvert().without("Logs/FastqComplete.txt"), "bclconvert", "."),
        *(
            (novaseqx().without(path), "novaseqx", "Analysis/1")
            for path in (
                "CopyComplete.txt",
                "RunCompletionStatus.xml",
                "Analysis/1/CopyComplete.txt",
                "Analysis/1/Data/Secondary_Analysis_Complete.txt",
            )
        ),
    ],
)
def test_without_any_one_marker_nothing_is_complete(tree: Tree, layout: str, unit: str) -> None:
    """Each marker proves a thing of its own, and the missing one is named."""
    details = unmet(tree, layout, unit)
    assert details and all(detail.endswith("is not there") for detail in details)


def test_a_marker_without_data_is_not_complete() -> None:
    """A marker that comes first proves nothing."""
    tree = Tree(RUN).add("Logs/Info.log", b"").add("Logs/FastqComplete.txt", b"")
    assert unmet(tree, "bclconvert") == ["there is no file to take yet"]
    listed = bclconvert().without("S2_S2_L001_R1_001.fastq.gz", "S2_S2_L001_R2_001.fastq.gz")
    assert unmet(listed, "bclconvert") == [
        "S2_S2_L001_R1_001.fastq.gz, S2_S2_L001_R2_001.fastq.gz are listed in Reports/fastq_list.csv, but not there"
    ]


def test_data_that_moves_after_the_marker_is_waited_for() -> None:
    """The marker alone does not end the settle time of what is taken."""
    tree = bclconvert()
    quiet = dict.fromkeys(tree.files, 3600.0) | {"S2_S2_L001_R2_001.fastq.gz": 12.9}
    judgement = judge(tree.look("bclconvert", quiet_s=quiet))
    assert not judgement.complete
    assert judgement.predicates[-1].detail == "quiet for 12 s of 2 m, S2_S2_L001_R2_001.fastq.gz changed last"
    assert judge(tree.look("bclconvert", quiet_s=quiet, settle=timedelta(seconds=10))).complete
    assert judge(tree.look("bclconvert", quiet_s={}, assume_quiet=True)).complete
    assert not judge(tree.look("bclconvert", quiet_s={})).complete


def test_what_is_of_1970_must_lie_still_for_an_hour() -> None:
    """So robocopy has files that are not whole; a link may stall longer than the settle time."""
    tree = bclconvert()
    half = "S2_S2_L001_R2_001.fastq.gz"
    tree.stamps[half] = Stamp(mtime_ns=0)
    judgement = tree.judged("bclconvert", quiet_s=3599.0)
    assert not judgement.complete
    assert judgement.predicates[-1].detail.endswith(f"; {half} is of 1970, as robocopy has it until it is whole")
    assert still_to_lie(tree.look("bclconvert", quiet_s=3599.0)) == timedelta(seconds=1)
    assert tree.judged("bclconvert", quiet_s=3600.0).complete


@pytest.mark.parametrize(("quiet_s", "left_s"), [(0.0, 1800.0), (600.0, 1200.0), (1800.0, 0.0), (4000.0, 0.0)])
def test_the_next_look_is_when_the_longest_quiet_is_over(quiet_s: float, left_s: float) -> None:
    """Not after the settle time of two minutes, and then again and again: MGI wants half an hour."""
    view = INSTRUMENTS["MGI"].make().look("mgi", "L01", quiet_s=quiet_s)
    assert still_to_lie(view) == timedelta(seconds=left_s)
    assert [one.name for one in judge(view).predicates if not one.holds] == (["quiet 30m"] if left_s else [])


def test_a_transfer_in_progress_is_part_of_what_must_be_quiet() -> None:
    """A temporary name of rsync beside finished files says that more is coming."""
    temporary = ".S3_S3_L001_R1_001.fastq.gz.Ab12Cd"
    tree = bclconvert().add(temporary)
    quiet = dict.fromkeys(tree.files, 3600.0) | {temporary: 3.0}
    assert not judge(tree.look("bclconvert", quiet_s=quiet)).complete
    left_over = judge(tree.look("bclconvert"))
    assert left_over.complete
    assert (temporary, "temporary file of rsync") in [(one.path, one.reason) for one in left_over.left_out]


def test_markers_of_any_case_count() -> None:
    """`copycomplete.txt` has been seen."""
    content = novaseqx()
    tree = content.without("CopyComplete.txt", "Analysis/1/CopyComplete.txt")
    tree.add("copycomplete.txt", b"").add("Analysis/1/copycomplete.txt", b"")
    assert tree.judged("novaseqx", "Analysis/1").complete


def test_twins_of_macos_are_neither_markers_nor_reads() -> None:
    """`._RunInfo.xml` and `._S1…fastq.gz` are listed as left out and believed in nothing."""
    twin = f"{BASE_CALLS}/._S1_S1_L001_R1_001.fastq.gz"
    tree = miseq().add(twin, b"\0\5\x16\7").add("._RunInfo.xml", b"\0").add("._CompletedJobInfo.xml", b"\0")
    judgement = tree.judged("miseq-msr")
    assert judgement.complete and twin not in judgement.selected
    assert {one.path: one.reason for one in judgement.left_out}[twin] == "AppleDouble file of macOS"


def test_each_analysis_is_a_unit_with_its_own_sheet_and_markers() -> None:
    """Numbers need not start at 1, and one analysis says nothing of another."""
    tree = novaseqx([2, 10]).without("Analysis/10/CopyComplete.txt")
    assert [one.unit for one in tree.units("novaseqx")] == ["Analysis/2", "Analysis/10"]
    assert tree.judged("novaseqx", "Analysis/2").complete
    assert not tree.judged("novaseqx", "Analysis/10").complete
    assert all(path.startswith("Analysis/2/") for path in tree.judged("novaseqx", "Analysis/2").selected)
    look = tree.look("novaseqx", "Analysis/2")
    assert look.sheet.path == "Analysis/2/Data/BCLConvert/SampleSheet.csv"
    assert novaseqx([]).units("novaseqx") == []


def test_wanted_are_small_files_only() -> None:
    """What must be read to judge is named before, reads are never among it."""
    tree = novaseqx([1])
    unit = tree.units("novaseqx")[0]
    assert wanted(LAYOUTS["novaseqx"], tree.listing(), unit) == (
        "Analysis/1/Data/BCLConvert/SampleSheet.csv",
        "Analysis/1/Manifest.tsv",
        "RunCompletionStatus.xml",
        "RunInfo.xml",
        "SampleSheet.csv",
    )


@pytest.mark.parametrize(
    ("tree", "layout", "unit", "reason"),
    [
        (
            novaseqx().add(
                "RunCompletionStatus.xml",
                completion_status("RunErrored", "<RunError><Type>E</Type><Message>out of reagent</Message></RunError>"),
            ),
            "novaseqx",
            "Analysis/1",
            "RunStatus is 'RunErrored' in RunCompletionStatus.xml (E; out of reagent)",
        ),
        (
            novaseqx().add("Analysis/1/Data/Error_Summary.json", b'{"result":"error"}'),
            "novaseqx",
            "Analysis/1",
            "result is 'error' in Analysis/1/Data/Error_Summary.json",
        ),
        (
            miseq().add("CompletedJobInfo.xml", b"<AnalysisJobInfo><Error>no disk</Error></AnalysisJobInfo>"),
            "miseq-msr",
            ".",
            "CompletedJobInfo.xml says Error: no disk",
        ),
        (
            bclconvert().add("Logs/Errors.log", b"\nERROR: boom\n"),
            "bclconvert",
            ".",
            "Logs/Errors.log says: ERROR: boom",
        ),
    ],
)
def test_a_run_that_says_it_failed_is_failed_though_its_markers_are_there(
    tree: Tree, layout: str, unit: str, reason: str
) -> None:
    """Failure wins over completeness, and says what the instrument said."""
    judgement = tree.judged(layout, unit)
    assert (judgement.failed, judgement.complete, judgement.held) == (reason, False, "")


def test_an_unknown_status_is_for_a_person_to_decide() -> None:
    """Neither complete nor failed: held with the value."""
    judgement = novaseqx().add("RunCompletionStatus.xml", completion_status("Paused")).judged("novaseqx", "Analysis/1")
    assert (judgement.complete, judgement.failed) == (False, "")
    assert judgement.held == "RunStatus is 'Paused' in RunCompletionStatus.xml"


@pytest.mark.parametrize(
    ("inside", "held"),
    [
        ("<Warning>2 of 3 reads were analysed</Warning>", "says Warning: 2 of 3 reads were analysed"),
        ("<Warning> </Warning><Warning/>", ""),
        ("", ""),
    ],
)
def test_a_warning_of_miseq_reporter_is_for_a_person_to_read(inside: str, held: str) -> None:
    """The run is complete, but Reporter says that something is not as it should be."""
    tree = miseq().add("CompletedJobInfo.xml", f"<AnalysisJobInfo>{inside}</AnalysisJobInfo>".encode())
    judgement = tree.judged("miseq-msr")
    assert judgement.held == (f"CompletedJobInfo.xml {held}" if held else "")
    assert (judgement.held_as, judgement.complete, judgement.failed) == ("by_run" if held else "", not held, "")


def test_a_miseq_holds_and_fails_what_all_instruments_of_illumina_do() -> None:
    """What the common layout says of RunCompletionStatus.xml is not lost by adding to it."""
    tree = miseq().add("RunCompletionStatus.xml", completion_status("Paused"))
    assert tree.judged("miseq-msr").held == "RunStatus is 'Paused' in RunCompletionStatus.xml"
    tree.add("RunCompletionStatus.xml", b"<R><CompletionStatus>UserEndedEarly</CompletionStatus></R>")
    assert tree.judged("miseq-msr").failed == "CompletionStatus is 'UserEndedEarly' in RunCompletionStatus.xml"
    for own, inherited in (
        (LAYOUTS["miseq-msr"].held, LAYOUTS["illumina"].held),
        (LAYOUTS["miseq-msr"].failed, LAYOUTS["illumina"].failed),
    ):
        assert [condition for condition in own if condition in inherited] == list(inherited)


@pytest.mark.parametrize("content", [b"", b"<RunCompletionStatus><RunStatus>RunComp", b"\xff\xfe\0"])
def test_a_half_written_status_is_no_status(content: bytes) -> None:
    """What cannot be parsed does not hold, and is no failure either."""
    judgement = novaseqx().add("RunCompletionStatus.xml", content).judged("novaseqx", "Analysis/1")
    assert (judgement.complete, judgement.failed, judgement.held) == (False, "", "")


def test_what_is_missing_for_too_long_is_told_and_then_asked_about() -> None:
    """After `max_wait` without any change it is told, after `abandoned` it is a person's business; never complete."""
    tree = bclconvert().without("Logs/FastqComplete.txt")
    early = tree.judged("bclconvert", quiet_s=11 * 3600)
    assert (early.overdue, early.held, early.complete) == ("", "", False)
    late = tree.judged("bclconvert", quiet_s=12 * 3600)
    assert late.overdue == "nothing has changed for 12 h, but Logs/FastqComplete.txt is not there"
    assert (late.held, late.complete) == ("", False)
    over = tree.judged("bclconvert", quiet_s=72 * 3600)
    assert over.held == "nothing has changed for 3 d, but Logs/FastqComplete.txt is not there"
    assert (over.held_as, over.overdue, over.complete) == ("abandoned", "", False)
    assert judge(tree.look("bclconvert", quiet_s=61, max_wait=timedelta(minutes=1))).overdue
    assert judge(tree.look("bclconvert", quiet_s=61, abandoned=timedelta(minutes=1))).held


def test_a_run_that_never_started_is_no_abandoned_one() -> None:
    """A folder with nothing of what the instrument writes later says so."""
    judgement = (
        Tree(RUN)
        .add("RunInfo.xml", run_info(RUN))
        .add("Analysis/1/x", b"")
        .judged("novaseqx", "Analysis/1", quiet_s=72 * 3600)
    )
    assert judgement.held_as == "never_started"
    assert judgement.held.startswith(
        "the run seems never to have started: nothing has changed for 3 d, but CopyComplete"
    )


def test_an_analysis_without_reads_says_so() -> None:
    """All markers are there, but no read is: a person is told once the copy lies still, with ORA named as such."""
    tree = novaseqx()
    reads = [path for path in tree.files if path.endswith(".fastq.gz")]
    bare = tree.without(*reads, "Analysis/1/Manifest.tsv")
    moving = bare.judged("novaseqx", "Analysis/1", quiet_s=299.0)
    assert (moving.held, moving.complete) == ("", False)
    judgement = bare.judged("novaseqx", "Analysis/1", quiet_s=300.0)
    assert (judgement.held_as, judgement.complete) == ("no_reads", False)
    assert judgement.held.startswith("it is complete, but there is no FASTQ in the analysis")
    packed = bare.add("Analysis/1/Data/BCLConvert/ora_fastq/S1_S1_L001_R1_001.fastq.ora")
    packed.add("Analysis/1/CopyComplete.txt", b"")
    assert "compressed as ORA" in packed.judged("novaseqx", "Analysis/1").held


def test_every_file_of_reads_is_taken_or_left_out_with_a_reason() -> None:
    """Index and undetermined reads, links that leave, devices, ORA and strays are all told."""
    tree = bclconvert().add("S1_S1_L001_I1_001.fastq.gz").add("other.fastq.gz").add("S1_S1_L001_R1_001.fastq.ora")
    tree.others = {"S9_S9_L001_R1_001.fastq.gz": "leaves the watch folder", "pipe": "FIFO"}
    judgement = tree.judged("bclconvert")
    assert {one.path: one.reason for one in judgement.left_out} == {
        "S1_S1_L001_I1_001.fastq.gz": "index read",
        "Undetermined_S0_L001_R1_001.fastq.gz": "Undetermined reads",
        "Undetermined_S0_L001_R2_001.fastq.gz": "Undetermined reads",
        "S9_S9_L001_R1_001.fastq.gz": "leaves the watch folder",
        "pipe": "FIFO",
        "other.fastq.gz": "not where layout bclconvert looks for reads",
        "S1_S1_L001_R1_001.fastq.ora": "compressed as ORA, which Galaxy does not know",
    }


def test_a_folder_is_complete_by_marker_made_last() -> None:
    """READY after the data is enough with a short settle time; READY before it is not."""
    last = folder().add("READY", b"")
    assert last.judged("folder", quiet_s=130).complete
    first = Tree("x").add("ready", b"").add("a_R1.fastq.gz").add("a_R2.fastq.gz")
    assert "ready is older than a_R2.fastq.gz" in unmet(first, "folder", quiet_s=130)[0]
    assert first.judged("folder", quiet_s=16 * 60).complete


def test_a_folder_is_complete_by_a_list_of_checksums_that_names_every_file() -> None:
    """A list that misses a file, or lists one that is not there yet, is half of something."""
    sums = b"0123456789abcdef0123456789abcdef  a_R1.fastq.gz\n0123456789abcdef0123456789abcdef  a_R2.fastq.gz\n"
    tree = folder().add("md5sum.txt", sums)
    assert tree.judged("folder", quiet_s=130).complete
    assert (
        "a_R2.fastq.gz is listed in md5sum.txt, but not there"
        in unmet(tree.without("a_R2.fastq.gz"), "folder", quiet_s=130)[0]
    )
    assert "b.fastq.gz is not listed in md5sum.txt" in unmet(tree.add("b.fastq.gz"), "folder", quiet_s=130)[0]
    sidecars = folder("a.fastq.gz").add("a.fastq.gz.md5", b"0123456789abcdef0123456789abcdef\n")
    assert not sidecars.judged("folder", quiet_s=130).complete


def test_a_folder_without_marker_must_be_quiet_as_a_whole() -> None:
    """Any moving file counts, and no settle time is so short that one look is enough."""
    tree = folder().add("log.txt", b"")
    assert tree.judged("folder", quiet_s=16 * 60).complete
    moving = dict.fromkeys(tree.files, 16 * 60.0) | {"log.txt": 5.0}
    assert not judge(tree.look("folder", quiet_s=moving)).complete
    assert not judge(folder().look("folder", quiet_s=0, settle=timedelta(0))).complete
    assert judge(folder().look("folder", quiet_s=1, settle=timedelta(0))).complete
    assert judge(folder().add("READY", b"").look("folder", quiet_s=0, settle=timedelta(0))).complete


def test_ten_thousand_files_are_judged_by_one_pass_over_each_name() -> None:
    """Big runs are judged whole and in little time (the test's own time limit would end a quadratic search)."""
    tree = novaseqx([1], [f"s{number}" for number in range(2500)])
    tree.files |= {f"Analysis/1/Data/logs/{number}.log": b"" for number in range(5000)}
    judgement = tree.judged("novaseqx", "Analysis/1")
    assert judgement.complete and len(judgement.selected) == 5000


def test_units_are_found_from_files_alone() -> None:
    """A listing that names files without their folders leads to the same units."""
    listing = novaseqx([1, 2]).listing()
    files = replace(listing, entries={facts.path: facts for facts in listing.files()})
    assert find_units(LAYOUTS["novaseqx"], files) == find_units(LAYOUTS["novaseqx"], listing)
