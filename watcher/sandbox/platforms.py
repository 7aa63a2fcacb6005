"""In which order the instruments and converters of the pretend sequencer write what: files, growing reads, the marker
last.

Pure: a script is a list of steps with contents; `sequencer.py` writes them. What a real folder holds and which file
means what was taken from the vendors' documents; the watcher's own view of it stands in `runs/layouts/`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from watcher.sandbox.fastq import LONGEST_READ, Reads

SHEET_INDEXES = ("ATTACTCG", "TCCGGAGA", "CGCTCATT", "GAGATTCC", "ATTCAGAA", "GAATTCGT", "CTGAAGCT", "TAATGCGC")


@dataclass(frozen=True, slots=True)
class Written:
    """A file of reads as it was written."""

    path: str
    size: int
    sha256: str
    crc32: int


@dataclass(frozen=True, slots=True)
class Small:
    """A file written at once; its text may depend on the files of reads written before."""

    path: str
    text: str | Callable[[Mapping[str, Written]], str]


@dataclass(frozen=True, slots=True)
class FastqFile:
    """One file of reads."""

    path: str
    reads: Reads
    read: int


@dataclass(frozen=True, slots=True)
class Growing:
    """Files of reads that grow side by side."""

    files: tuple[FastqFile, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What the pretend run is about: `pairs` reads per sample and direction, on each lane."""

    run_id: str
    samples: tuple[str, ...]
    pairs: int
    lanes: tuple[int, ...] = (1,)
    project: str = ""
    length: int = LONGEST_READ
    seed: int = 1

    @property
    def instrument(self) -> str:
        """The instrument, from the run's id."""
        return self.run_id.split("_")[1]

    @property
    def flowcell(self) -> str:
        """The flow cell, from the run's id."""
        return self.run_id.split("_")[3]

    def index(self, number: int) -> str:
        """The index sequence of a sample, counted from 1."""
        return SHEET_INDEXES[(number - 1) % len(SHEET_INDEXES)]

    def fastq(self, folder: str, number: int, lane: int, read: int) -> FastqFile:
        """The file of one sample, lane and read."""
        name = f"{self.samples[number - 1]}_S{number}_L{lane:03}_R{read}_001.fastq.gz"
        reads = Reads(
            count=self.pairs + 37 * number,  # no two samples alike
            seed=self.seed * 1000 + number,
            length=self.length,
            gc=0.35 + 0.05 * (number % 6),
            instrument=self.instrument,
            flowcell=self.flowcell,
            lane=lane,
            index=self.index(number),
        )
        return FastqFile(f"{folder}/{name}".lstrip("/"), reads, read)

    def all_fastqs(self, folder: str) -> tuple[FastqFile, ...]:
        """Every file of the run, lane by lane and sample by sample."""
        numbers = range(1, len(self.samples) + 1)
        return tuple(self.fastq(folder, n, lane, read) for lane in self.lanes for n in numbers for read in (1, 2))


def bclconvert(run: Run) -> list[Small | Growing]:
    """The output folder of BCL Convert: all files at once, reports, `Logs/FastqComplete.txt` last."""
    fastqs = run.all_fastqs(run.project)
    return [
        Small("Logs/Info.log", "Conversion begins.\n"),
        Small("Logs/Warnings.log", ""),
        Small("Logs/Errors.log", ""),
        Growing(fastqs),
        Small("Logs/Info.log", "Conversion begins.\nConversion complete.\n"),
        Small("Reports/RunInfo.xml", run_info(run)),
        Small("Reports/SampleSheet.csv", sheet_v2(run)),
        Small("Reports/Demultiplex_Stats.csv", demultiplex_stats(run)),
        Small("Reports/fastq_list.csv", fastq_list(run, fastqs)),
        Small("Logs/FastqComplete.txt", ""),
    ]


def miseq_msr(run: Run) -> list[Small | Growing]:
    """A MiSeq run with MiSeq Reporter: one sample after the other, `CompletedJobInfo.xml` last."""
    folder = "Data/Intensities/BaseCalls"
    samples: list[Small | Growing] = [
        Growing((run.fastq(folder, n, 1, 1), run.fastq(folder, n, 1, 2))) for n in range(1, len(run.samples) + 1)
    ]
    return [
        Small("RunInfo.xml", run_info(run)),
        Small(
            "runParameters.xml", f'<?xml version="1.0"?>\n<RunParameters><RunID>{run.run_id}</RunID></RunParameters>\n'
        ),
        Small("SampleSheet.csv", sheet_v1(run)),
        Small("Basecalling_Netcopy_complete_Read1.txt", ""),
        Small("Basecalling_Netcopy_complete_Read2.txt", ""),
        Small("RTAComplete.txt", "11/20/2026,10:15:30.000,Illumina RTA 1.18.54\n"),
        Small("QueuedForAnalysis.txt", ""),
        *samples,
        Small(
            "CompletedJobInfo.xml", '<?xml version="1.0"?>\n<AnalysisJobInfo><Percent>100</Percent></AnalysisJobInfo>\n'
        ),
    ]


def novaseqx(run: Run) -> list[Small | Growing]:
    """A NovaSeq X run analysed on the instrument: the raw run's markers first, `Analysis/1/CopyComplete.txt` last."""
    unit = "Analysis/1"
    fastqs = run.all_fastqs(f"{unit}/Data/BCLConvert/fastq")

    def manifest(written: Mapping[str, Written]) -> str:
        lines = (f"{path.removeprefix(unit + '/')}\t{file.crc32:08x}\n" for path, file in sorted(written.items()))
        return "".join(lines)

    good = '<?xml version="1.0"?>\n<RunCompletionStatus><RunStatus>RunCompleted</RunStatus></RunCompletionStatus>\n'
    return [
        Small("RunInfo.xml", run_info(run)),
        Small(
            "RunParameters.xml", f'<?xml version="1.0"?>\n<RunParameters><RunId>{run.run_id}</RunId></RunParameters>\n'
        ),
        Small("SampleSheet.csv", sheet_v2(run)),
        Small("RTAComplete.txt", ""),
        Small("RunCompletionStatus.xml", good),
        Small("CopyComplete.txt", ""),
        Small(f"{unit}/Data/BCLConvert/SampleSheet.csv", sheet_v2(run)),
        Growing(fastqs),
        Small(f"{unit}/Data/Secondary_Analysis_Complete.txt", ""),
        Small(f"{unit}/Manifest.tsv", manifest),
        Small(f"{unit}/CopyComplete.txt", ""),
    ]


SCRIPTS: Mapping[str, Callable[[Run], list[Small | Growing]]] = {
    "bclconvert": bclconvert,
    "miseq-msr": miseq_msr,
    "novaseqx": novaseqx,
}
RUN_IDS: Mapping[str, str] = {
    "bclconvert": "261120_NB551051_0042_AHDEMOBGX2",
    "miseq-msr": "261120_M00042_0042_000000000-DEMO1",
    "novaseqx": "20261120_LH00042_0042_A22DEMOLT3",
}


def run_id_of_its_own(platform: str) -> str:
    """Return the id of a run that was never before, for a Galaxy that may know earlier ones."""
    return RUN_IDS[platform].replace("DEMO", "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(4)))


def run_info(run: Run) -> str:
    """RunInfo.xml: written when the run starts, holds the run's identity."""
    reads = "".join(
        f'      <Read Number="{number}" NumCycles="{cycles}" IsIndexedRead="{indexed}" />\n'
        for number, cycles, indexed in ((1, run.length, "N"), (2, 8, "Y"), (3, run.length, "N"))
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<RunInfo Version="4">\n'
        f'  <Run Id="{run.run_id}" Number="{int(run.run_id.split("_")[2])}">\n    <Flowcell>{run.flowcell}</Flowcell>\n'
        f"    <Instrument>{run.instrument}</Instrument>\n    <Date>{run.run_id.split('_')[0]}</Date>\n"
        f'    <Reads>\n{reads}    </Reads>\n    <FlowcellLayout LaneCount="{len(run.lanes)}" SurfaceCount="2" '
        'SwathCount="1" TileCount="14" />\n'
        "  </Run>\n</RunInfo>\n"
    )


def sheet_v1(run: Run) -> str:
    """The sample sheet of older instruments, with line ends as their Windows computers write them."""
    rows = "".join(f"{name},{name},{run.index(n)},{run.project}\r\n" for n, name in enumerate(run.samples, 1))
    return (
        f"[Header]\r\nIEMFileVersion,4\r\n\r\n[Reads]\r\n{run.length}\r\n{run.length}\r\n\r\n[Data]\r\n"
        f"Sample_ID,Sample_Name,index,Sample_Project\r\n{rows}"
    )


def sheet_v2(run: Run) -> str:
    """The sample sheet of BCL Convert."""
    rows = "".join(
        f"{lane},{name},{run.index(n)},{run.project}\n" for lane in run.lanes for n, name in enumerate(run.samples, 1)
    )
    return (
        f"[Header]\nFileFormatVersion,2\n\n[Reads]\nRead1Cycles,{run.length}\nRead2Cycles,{run.length}\n\n"
        f"[BCLConvert_Data]\nLane,Sample_ID,Index,Sample_Project\n{rows}"
    )


def demultiplex_stats(run: Run) -> str:
    """How many reads each sample got."""
    rows = [
        f"{file.reads.lane},{run.samples[number % len(run.samples)]},{file.reads.index},{file.reads.count}\n"
        for number, file in enumerate(file for file in run.all_fastqs("") if file.read == 1)
    ]
    return "Lane,SampleID,Index,# Reads\n" + "".join(rows)


def fastq_list(run: Run, fastqs: Sequence[FastqFile]) -> str:
    """The list of files that BCL Convert writes at its end, by bare names."""
    lines = []
    for number, (one, two) in enumerate(zip(fastqs[::2], fastqs[1::2], strict=True)):
        sample = run.samples[number % len(run.samples)]
        names = ",".join(file.path.rpartition("/")[2] for file in (one, two))
        lines.append(f"{one.reads.index}.{one.reads.lane},{sample},UnknownLibrary,{one.reads.lane},{names}\n")
    return "RGID,RGSM,RGLB,Lane,Read1File,Read2File\n" + "".join(lines)
