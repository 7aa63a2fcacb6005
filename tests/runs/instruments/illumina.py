"""Run folders of Illumina's instruments without DRAGEN: base calls alone, with MiSeq Reporter, with Local Run Manager.

What each writes before it is over is in `base_calls.py`, NextSeq 2000 and its successors in `dragen.py`, what a
converter makes elsewhere in `converters.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.runs.instruments.base_calls import (
    CALLS,
    HISEQ_2500,
    HISEQ_4000,
    HISEQ_X,
    ISEQ,
    MINISEQ,
    MISEQ,
    MISEQ_4,
    NEXTSEQ_550,
    NOVASEQ_6000,
    call_rta1,
    call_rta2,
    call_rta3,
    run_folder,
)
from tests.runs.instruments.content import fastq_gz
from tests.runs.instruments.instrument import (
    OVER_A_DAY_S,
    Failure,
    Instrument,
    base_calls_only,
    both,
    crashed_before,
    one_unit,
    with_file,
    without,
)
from tests.runs.instruments.sheets import Machine, job_info, sheet_v1, status_a
from tests.runs.run_folders import Tree, fastq_names

STAMP = "20260301_110937"
TWO = ("S1", "S2")
_SAID_ERROR = "<Error>The disk is full</Error>"
_SAID_WARNING = "<Warning>Index CTCTCTAT was not found</Warning>"


def add_reads(
    tree: Tree,
    folder: str,
    samples: Sequence[str],
    lanes: Iterable[int] = (1,),
    reads: Sequence[str] = ("R1", "R2"),
    *,
    order: Sequence[str] = (),
    blocks: bool = False,
) -> list[str]:
    """Write FASTQs in Illumina's names, and return their paths.

    `order` are the samples of the whole sheet, whose order gives the S numbers; without it these samples are all.
    """
    paths = []
    for name in fastq_names(order or samples, list(lanes), reads):
        sample, read = name.rsplit("_S", 1)[0], name.rsplit("_", 2)[1]
        if sample not in samples:
            continue
        paths.append(f"{folder}/{name}".strip("/"))
        tree.add(paths[-1], fastq_gz(sample, read, blocks=blocks))
    return paths


def add_undetermined(tree: Tree, folder: str, lanes: Iterable[int] = (1,), reads: Iterable[str] = ("R1", "R2")) -> None:
    """Write the reads that no index claimed."""
    for lane in lanes:
        for read in reads:
            name = f"Undetermined_S0_L{lane:03d}_{read}_001.fastq.gz"
            tree.add(f"{folder}/{name}".strip("/"), fastq_gz("Undetermined", read))


def miseq_msr(samples: Sequence[str] = TWO) -> Tree:
    """Return a MiSeq with MiSeq Reporter, which makes the FASTQs beside the base calls."""
    tree = call_rta1(run_folder(MISEQ, sheet_v1(samples)), MISEQ)
    add_reads(tree, CALLS, samples)
    add_undetermined(tree, CALLS)
    tree.add(f"{CALLS}/Alignment/SampleSheetUsed.csv", sheet_v1(samples))
    tree.add(f"{CALLS}/Alignment/GenerateFASTQRunStatistics.xml", b"<StatisticsGenerateFASTQ/>")
    tree.add(f"{CALLS}/Alignment/CompletedJobInfo.xml", job_info(MISEQ, r"Data\Intensities\BaseCalls\Alignment"))
    tree.add("GenerateFASTQRunStatistics.xml", b"<StatisticsGenerateFASTQ/>")
    return tree.add("CompletedJobInfo.xml", job_info(MISEQ, r"Data\Intensities\BaseCalls\Alignment"))


def miseq_bcl(samples: Sequence[str] = TWO) -> Tree:
    """Return a MiSeq whose FASTQs somebody else makes."""
    return call_rta1(run_folder(MISEQ, sheet_v1(samples)), MISEQ)


def local_run_manager(machine: Machine = MINISEQ, samples: Sequence[str] = TWO, attempts: Iterable[int] = (1,)) -> Tree:
    """Return an instrument with Local Run Manager: each attempt has its folder, and most a verdict of its own.

    The root holds the verdict of the last attempt; a MiSeq keeps no other.
    """
    tree = run_folder(machine, sheet_v1(samples))
    if machine is ISEQ:
        call_rta3(tree, machine)
    elif machine is MISEQ_4:
        call_rta1(tree, machine)
    else:
        call_rta2(tree, machine)
    if machine is not MISEQ_4:
        tree.add("RTAComplete.txt", b"RTA 2.11.3 completed on 2/28/2026 6:40:01 PM\r\n")
    if machine is not MINISEQ:
        tree.add("RunCompletionStatus.xml", status_a()).add("CopyComplete.txt", b"")
    tree.add("QueuedForAnalysis.txt", b"")
    for attempt in attempts:
        place = f"Alignment_{attempt}/2026030{attempt}_110937"
        tree.add(f"{place}/SampleSheetUsed.csv", sheet_v1(samples)).add(f"{place}/Checkpoint.txt", b"0\r\nDemultiplex")
        lanes = range(1, machine.lanes + 1)
        add_reads(tree, f"{place}/Fastq", samples, lanes)
        add_undetermined(tree, f"{place}/Fastq", lanes)
        tree.add(f"{place}/Logging/AnalysisLog.txt", b"done\r\n").add(f"{place}/Checkpoint.txt", b"3\r\n")
        if machine is not MISEQ_4:
            tree.add(f"{place}/CompletedJobInfo.xml", job_info(machine, place.replace("/", "\\")))
        tree.add("CompletedJobInfo.xml", job_info(machine, place.replace("/", "\\")))
    return tree


def nextseq500(samples: Sequence[str] = TWO) -> Tree:
    """Return the base calls of a NextSeq 500 or 550."""
    tree = call_rta2(run_folder(NEXTSEQ_550, sheet_v1(samples, reads=(75, 75))), NEXTSEQ_550)
    tree.add("RTAComplete.txt", b"RTA 2.11.3 completed on 2/28/2026 6:40:01 PM\r\n")
    return tree.add("RunCompletionStatus.xml", status_a()).add("CopyComplete.txt", b"")


def hiseq2500(lanes: int | None = None) -> Tree:
    """Return the base calls of a HiSeq 2500, which has no sheet of its own."""
    machine = HISEQ_2500.with_lanes(lanes)
    return call_rta1(run_folder(machine), machine)


def hiseq4000(machine: Machine = HISEQ_4000, lanes: int | None = None) -> Tree:
    """Return the base calls of a HiSeq 4000 or X: one file for each tile, so the most files of all."""
    machine = machine.with_lanes(lanes)
    tree = call_rta2(run_folder(machine), machine, by_lane=False)
    text = f"Sequencing for flowcell {machine.run.split('_')[-1][0]} completed on 2/28/2026 at 6:31:07 PM.\r\n"
    tree.add("SequencingComplete.txt", text.encode())
    return tree.add("RTAComplete.txt", b"RTA 2.7.7 completed on 2/28/2026 6:40:01 PM\r\n")


def hiseq_x(lanes: int | None = None) -> Tree:
    """Return the base calls of a HiSeq X, with a dash in the name of the instrument."""
    return hiseq4000(HISEQ_X, lanes)


def novaseq6000(lanes: int | None = None) -> Tree:
    """Return the base calls of a NovaSeq 6000: called, sequenced and only then copied."""
    machine = NOVASEQ_6000.with_lanes(lanes)
    tree = call_rta3(run_folder(machine), machine)
    tree.add("RTA3.cfg", b"[rta]\n").add("SequenceComplete.txt", b"").add("RTAComplete.txt", b"")
    return tree.add("CopyComplete.txt", b"")


def _lrm_of(machine: Machine) -> Instrument:
    place = f"Alignment_1/{STAMP}"
    names = fastq_names(TWO, list(range(1, machine.lanes + 1)))
    samples, taken = one_unit(TWO, (f"{place}/Fastq/{name}" for name in sorted(names)), place)

    def make(samples: Sequence[str] = TWO, attempts: Iterable[int] = (1,)) -> Tree:
        return local_run_manager(machine, samples, attempts)

    failures: dict[str, Failure] = {
        "error of the manager": Failure(_saying(machine, place, _SAID_ERROR), "failed"),
        "warning of the manager": Failure(_saying(machine, place, _SAID_WARNING), "held"),
        "crashed while making FASTQs": Failure(crashed_before(f"{place}/Fastq/{names[-1]}"), "waiting"),
        "queued, but never analysed": Failure(crashed_before(f"{place}/SampleSheetUsed.csv"), "waiting", gone=True),
    }
    if machine is not MINISEQ:
        ended = with_file("RunCompletionStatus.xml", status_a("UserEndedEarly", "Stopped by the operator"))
        failures["stopped by a person"] = Failure(ended, "failed")
        unknown = with_file("RunCompletionStatus.xml", status_a("CompletedWithWonders"))
        failures["unknown verdict"] = Failure(unknown, "held")
    # Where an attempt has a verdict of its own, the one at the root is a copy made later.
    last = "CompletedJobInfo.xml" if machine is MISEQ_4 else f"{place}/CompletedJobInfo.xml"
    return Instrument("lrm", make, samples, taken, {place: last}, failures)


def _saying(machine: Machine, place: str, inside: str) -> Callable[[Tree], Tree]:
    verdict = job_info(machine, place.replace("/", "\\"), inside)
    at_root = with_file("CompletedJobInfo.xml", verdict)
    return at_root if machine is MISEQ_4 else both(with_file(f"{place}/CompletedJobInfo.xml", verdict), at_root)


def _again() -> Tree:
    return local_run_manager(attempts=(1, 2))


_MSR = one_unit(TWO, (f"{CALLS}/{name}" for name in fastq_names(TWO)))
_AGAIN = (f"Alignment_1/{STAMP}", "Alignment_2/20260302_110937")
_NO_VERDICT = {
    "half a verdict": Failure(with_file("RunCompletionStatus.xml", b"<RunCompletionStatus><Comp"), "waiting")
}
_VERDICT_A = {
    "stopped by a person": Failure(with_file("RunCompletionStatus.xml", status_a("UserEndedEarly", "Stop")), "failed"),
    "exception": Failure(with_file("RunCompletionStatus.xml", status_a("ExceptionEndedEarly", "Chiller")), "failed"),
    "unknown verdict": Failure(with_file("RunCompletionStatus.xml", status_a("PausedForever")), "held"),
    "copied before the verdict": Failure(without("RunCompletionStatus.xml"), "waiting"),
    **_NO_VERDICT,
}

TABLE: Mapping[str, Instrument] = {
    "MiSeq MSR": Instrument(
        "miseq-msr", miseq_msr, *_MSR, {".": "CompletedJobInfo.xml"},
        {
            "error of Reporter": Failure(with_file("CompletedJobInfo.xml", job_info(MISEQ, "", _SAID_ERROR)), "failed"),
            "warning of Reporter": Failure(
                with_file("CompletedJobInfo.xml", job_info(MISEQ, "", _SAID_WARNING)), "held"
            ),
            "half a marker": Failure(with_file("CompletedJobInfo.xml", job_info(MISEQ, "")[:200]), "waiting"),
            "crashed while making FASTQs": Failure(crashed_before(f"{CALLS}/{fastq_names(TWO)[-1]}"), "waiting"),
        },
    ),
    "MiSeq BCL": base_calls_only(
        "miseq-bcl", miseq_bcl, "RTAComplete.txt",
        {
            "last read not copied": Failure(
                without("Basecalling_Netcopy_complete_Read4.txt"), "waiting", quiet_s=OVER_A_DAY_S
            ),
            "not called to its end": Failure(without("RTAComplete.txt"), "waiting", quiet_s=OVER_A_DAY_S),
            "crashed in the second read": Failure(
                crashed_before("Basecalling_Netcopy_complete_Read2.txt"), "waiting", quiet_s=OVER_A_DAY_S
            ),
        },
        # MiSeq Reporter may still begin.
        OVER_A_DAY_S,
    ),
    "MiSeq LRM": _lrm_of(MISEQ_4),
    "MiniSeq": _lrm_of(MINISEQ),
    "MiniSeq analysed again": Instrument(
        "lrm", _again,
        {place: TWO for place in _AGAIN},
        {place: tuple(f"{place}/Fastq/{name}" for name in fastq_names(TWO)) for place in _AGAIN},
        {place: f"{place}/CompletedJobInfo.xml" for place in _AGAIN},
        {
            "the second try failed, the first did not": Failure(
                _saying(MINISEQ, _AGAIN[1], _SAID_ERROR), "failed", _AGAIN[1]
            ),
            "the second try is under way": Failure(
                # The root still holds the verdict of the first one, written before.
                crashed_before(f"{_AGAIN[1]}/Fastq/{fastq_names(TWO)[-1]}"), "waiting", _AGAIN[1]
            ),
        },
    ),
    "iSeq 100": _lrm_of(ISEQ),
    "NextSeq 550 LRM": _lrm_of(NEXTSEQ_550),
    "NextSeq 550 BCL": base_calls_only("nextseq500", nextseq500, "CopyComplete.txt", _VERDICT_A),
    "HiSeq 2500": base_calls_only(
        "hiseq2500", hiseq2500, "RTAComplete.txt",
        {"one read was not copied": Failure(without("Basecalling_Netcopy_complete_Read3.txt"), "waiting")},
    ),
    "HiSeq 4000": base_calls_only(
        "hiseq4000", hiseq4000, "RTAComplete.txt",
        {
            "one read was not called": Failure(without("RTARead4Complete.txt"), "waiting"),
            "called, but the control software died": Failure(without("SequencingComplete.txt"), "waiting"),
        },
    ),
    "HiSeq X": base_calls_only(
        "hiseq4000", hiseq_x, "RTAComplete.txt",
        {"crashed in the second read": Failure(crashed_before("RTARead2Complete.txt"), "waiting")},
    ),
    "NovaSeq 6000": base_calls_only(
        "novaseq6000", novaseq6000, "CopyComplete.txt",
        {
            "called, but not copied": Failure(without("CopyComplete.txt"), "waiting"),
            "copied, but not all called": Failure(without("RTAComplete.txt"), "waiting"),
        },
    ),
}  # fmt: skip
