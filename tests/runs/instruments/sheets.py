"""The small files that Illumina's instruments and converters write: RunInfo, RunParameters, verdicts, sample sheets,
reports.

Each platform's own spelling of them, with what the real ones are known for: dates in three forms, two dialects of
RunCompletionStatus.xml, CRLF and trailing commas. The run folders they lie in are in `illumina.py`, `dragen.py` and
`converters.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

XSI = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
DUAL_INDEX = ((151, False), (8, True), (8, True), (151, False))
SINGLE_INDEX = ((75, False), (6, True), (75, False))


@dataclass(frozen=True)
class Machine:
    """One kind of instrument: what it calls a run, and how it writes the files at the top of a run folder.

    `number` is the one in RunInfo.xml, which is not always the folder's; `date` is spelled as the platform does.
    """

    run: str
    instrument: str
    number: int
    flowcell: str
    date: str
    application: str
    lanes: int = 1
    surfaces: int = 2
    swaths: int = 1
    tiles: int = 14
    version: int = 2
    parameters: str = "RunParameters.xml"
    reads: Sequence[tuple[int, bool]] = DUAL_INDEX

    def with_lanes(self, lanes: int | None) -> Machine:
        """Return the same with another number of lanes, None = as it is."""
        return self if lanes is None else replace(self, lanes=lanes)

    def run_info(self) -> bytes:
        """Return its RunInfo.xml."""
        return run_info(self)

    def run_parameters(self) -> bytes:
        """Return its RunParameters.xml, under whatever name it writes it."""
        return (
            f'<?xml version="1.0"?>\r\n<RunParameters {XSI}>\r\n  <Setup><ApplicationName>{self.application}'
            f"</ApplicationName></Setup>\r\n  <RunID>{self.run}</RunID>\r\n  <ScannerID>{self.instrument}</ScannerID>"
            "\r\n  <OutputFolder>\\\\storage\\runs\\</OutputFolder>\r\n</RunParameters>\r\n"
        ).encode()


def run_info(machine: Machine) -> bytes:
    """Return the RunInfo.xml of a machine: the plan of reads, index reads among them, and of lanes."""
    reads = "\r\n".join(
        f'      <Read Number="{number}" NumCycles="{cycles}" IsIndexedRead="{"Y" if index else "N"}" />'
        for number, (cycles, index) in enumerate(machine.reads, start=1)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\r\n<RunInfo {XSI} Version="{machine.version}">\r\n'
        f'  <Run Id="{machine.run}" Number="{machine.number}">\r\n    <Flowcell>{machine.flowcell}</Flowcell>\r\n'
        f"    <Instrument>{machine.instrument}</Instrument>\r\n    <Date>{machine.date}</Date>\r\n"
        f"    <Reads>\r\n{reads}\r\n    </Reads>\r\n"
        f'    <FlowcellLayout LaneCount="{machine.lanes}" SurfaceCount="{machine.surfaces}" '
        f'SwathCount="{machine.swaths}" TileCount="{machine.tiles}" />\r\n  </Run>\r\n</RunInfo>'
    ).encode()


def status_a(value: str = "CompletedAsPlanned", description: str = "None") -> bytes:
    """Return RunCompletionStatus.xml as NextSeq 500 and MiSeq with control software 4 write it."""
    return (
        f'<?xml version="1.0"?>\r\n<RunCompletionStatus {XSI}>\r\n  <CompletionStatus>{value}</CompletionStatus>\r\n'
        f"  <ErrorDescription>{description}</ErrorDescription>\r\n</RunCompletionStatus>"
    ).encode()


def status_b(value: str = "RunCompleted", kind: str = "", message: str = "") -> bytes:
    """Return RunCompletionStatus.xml as NovaSeq X, MiSeq i100 and NextSeq 2000 write it."""
    error = f"\r\n  <RunError><Type>{kind}</Type><Message>{message}</Message></RunError>" if kind else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\r\n<RunCompletionStatus {XSI}>\r\n  <RunStatus>{value}</RunStatus>'
        f"{error}\r\n</RunCompletionStatus>"
    ).encode()


def job_info(machine: Machine, folder: str, inside: str = "") -> bytes:
    """Return CompletedJobInfo.xml of MiSeq Reporter and Local Run Manager; `inside` is an error or a warning."""
    return (
        f'<?xml version="1.0"?>\r\n<AnalysisJobInfo {XSI} Version="0">\r\n'
        f"  <AnalysisFolder>D:\\Illumina\\{machine.run}\\{folder}</AnalysisFolder>\r\n"
        f"  <CompletionTime>2026-03-01T11:16:52.4989741+01:00</CompletionTime>\r\n{inside}"
        f"  <RTARunInfo><RunID>{machine.run}</RunID><Instrument>{machine.instrument}</Instrument></RTARunInfo>\r\n"
        f"  <RunFolder>D:\\Illumina\\{machine.run}\\</RunFolder>\r\n"
        "  <StartTime>2026-03-01T11:03:03.8237582+01:00</StartTime>\r\n"
        "  <Workflow><Analysis>GenerateFASTQ</Analysis></Workflow>\r\n</AnalysisJobInfo>\r\n"
    ).encode()


def sheet_v1(samples: Iterable[str], project: str = "", reads: Sequence[int] = (151, 151)) -> bytes:
    """Return a sheet of the Experiment Manager: CRLF, and commas to the width of the widest line."""
    lines = ["[Header]", "IEMFileVersion,4", "Workflow,GenerateFASTQ", "Chemistry,Amplicon", "", "[Reads]"]
    lines += [*(str(one) for one in reads), "", "[Settings]", "ReverseComplement,0", "", "[Data]"]
    lines.append("Sample_ID,Sample_Name,I7_Index_ID,index,I5_Index_ID,index2,Sample_Project,Description")
    lines += [f"{sample},,N701,TAAGGCGA,S50{at % 8},CTCTCTAT,{project}," for at, sample in enumerate(samples, 1)]
    return "".join(line + "," * (7 - line.count(",")) + "\r\n" for line in lines).encode()


def sheet_v2(
    samples: Iterable[str],
    projects: Sequence[str] = ("",),
    lanes: Sequence[int] = (1,),
    settings: Iterable[str] = (),
    *,
    has_lanes: bool = True,
) -> bytes:
    """Return a sheet of BCL Convert; sample after sample gets the next of `projects`, and a row for each lane."""
    lines = ["[Header]", "FileFormatVersion,2", "RunName,run", "", "[Reads]", "Read1Cycles,151", "Read2Cycles,151"]
    lines += ["Index1Cycles,8", "Index2Cycles,8", "", "[BCLConvert_Settings]", "SoftwareVersion,4.1.7", *settings]
    lane_column = "Lane," if has_lanes else ""
    lines += ["", "[BCLConvert_Data]", f"{lane_column}Sample_ID,Index,Index2,Sample_Project"]
    for lane in lanes if has_lanes else (0,):
        for at, sample in enumerate(samples):
            start = f"{lane}," if has_lanes else ""
            lines.append(f"{start}{sample},ACGTACGT,TTGGCCAA,{projects[at % len(projects)]}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def demultiplex_stats(samples: Iterable[str], lanes: Sequence[int] = (1,), empty: Iterable[str] = ()) -> bytes:
    """Return Demultiplex_Stats.csv of BCL Convert; the `empty` samples have no reads at all."""
    none = set(empty)
    text = "Lane,SampleID,Index,# Reads,# Perfect Index Reads,# One Mismatch Index Reads,% Reads\n"
    for lane in lanes:
        for sample in samples:
            count = 0 if sample in none else 2
            text += f"{lane},{sample},ACGTACGT-TTGGCCAA,{count},{count},0,{0.25 if count else 0:.4f}\n"
        text += f"{lane},Undetermined,,2,0,0,0.5000\n"
    return text.encode()


def fastq_list(rows: Iterable[tuple[str, int, str, str]]) -> bytes:
    """Return fastq_list.csv of (sample, lane, file of R1, file of R2 or nothing)."""
    text = "RGID,RGSM,RGLB,Lane,Read1File,Read2File\n"
    for sample, lane, first, second in rows:
        text += f"ACGTACGT.TTGGCCAA.{lane},{sample},UnknownLibrary,{lane},{first},{second}\n"
    return text.encode()
