"""Run folders with many files, made quickly: what tells a run is true text, every other file is empty.

Finished runs of BCL Convert, NovaSeq X and MinKNOW, as many as `Runs` says, each in a watched folder of its kind; and
the base calls of a HiSeq that is still writing. Nothing is measured here; see `scale.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

PROJECTS, SAMPLES = 10, 49  # of a run of BCL Convert; two files for each sample, and 20 more
LANES, CYCLES, SURFACES = 8, 25, 5  # of a NovaSeq X run's base calls, which nobody enters
BARCODES, CHUNKS, RAW_FILES = 24, 30, 27  # of a MinKNOW run
MINKNOW_SAMPLES, MINKNOW_RUNS = 5, 4  # of a group
HISEQ_CYCLES, HISEQ_TILES = 318, 112

Tree = Mapping[str, "Iterable[str] | str"]
"""Folder → names of the empty files in it; file → its text."""


@dataclass(frozen=True, slots=True)
class Runs:
    """How many finished runs lie in the watches, by kind."""

    bclconvert: int = 400
    novaseqx: int = 200
    minknow: int = 400

    @property
    def count(self) -> int:
        """Return how many they are together."""
        return self.bclconvert + self.novaseqx + self.minknow

    def part(self, share: float) -> Runs:
        """Return as many of each kind as this share of them, at least one."""
        return Runs(*(max(round(count * share), 1) for count in (self.bclconvert, self.novaseqx, self.minknow)))


def write_runs(places: Mapping[str, Path], runs: Runs) -> int:
    """Write finished runs into the folder of each kind (`bclconvert`, `novaseqx`, `minknow`); return how many files."""
    ways: dict[str, tuple[int, Callable[[int], tuple[str, Tree]]]] = {
        "bclconvert": (runs.bclconvert, _bclconvert),
        "novaseqx": (runs.novaseqx, _novaseqx),
        "minknow": (runs.minknow, _minknow),
    }
    count = 0
    for kind, (how_many, way) in ways.items():
        for number in range(how_many):
            path, tree = way(number)
            count += _write(places[kind] / path, tree)
    return count


def write_hiseq(place: Path, cycles: int = HISEQ_CYCLES, tiles: int = HISEQ_TILES) -> int:
    """Write the base calls of a HiSeq in the middle of a run, every cycle of every lane; return how many files."""
    run = "260101_D00042_0042_AHBENCHXX"
    names = [f"s_{1 + number % LANES}_{1101 + number}.bcl" for number in range(tiles)]
    calls = "Data/Intensities/BaseCalls"
    tree: dict[str, Iterable[str] | str] = {
        "RunInfo.xml": _run_info(run, "D00042"),
        "runParameters.xml": f'<?xml version="1.0"?>\n<RunParameters><RunID>{run}</RunID></RunParameters>\n',
        "First_Base_Report.htm": "",
    }
    tree |= {f"{calls}/L00{lane}/C{cycle}.1": names for lane, cycle in _counted(LANES, cycles)}
    return _write(place / run, tree)


def _bclconvert(number: int) -> tuple[str, Tree]:
    run = f"260101_NB551051_{number:04d}_AHBENCHBGX"
    files, listed, sheet = [], [], []
    for project, sample in _counted(PROJECTS, SAMPLES):
        name = f"P{project:02d}-{sample:02d}"
        pair = [f"{name}_S{(project - 1) * SAMPLES + sample}_L001_R{read}_001.fastq.gz" for read in (1, 2)]
        files.append((f"Project_{project:02d}", pair))
        listed.append(f"ACGTACGT.1,{name},UnknownLibrary,1,{','.join(pair)}")
        sheet.append(f"1,{name},ACGTACGT,Project_{project:02d}")
    tree: dict[str, Iterable[str] | str] = {
        folder: [name for project, pair in files if project == folder for name in pair]
        for folder in dict.fromkeys(project for project, _ in files)
    }
    tree["Logs"] = ["FastqComplete.txt", "Warnings.log", "Errors.log"]
    tree["Logs/Info.log"] = "Conversion complete.\n"
    tree["Reports"] = ["Quality_Metrics.csv", "Adapter_Metrics.csv", "Index_Hopping_Counts.csv", "Top_Unknown.csv"]
    tree["Reports/RunInfo.xml"] = _run_info(run, "NB551051")
    tree["Reports/SampleSheet.csv"] = _sheet(sheet)
    tree["Reports/fastq_list.csv"] = "\n".join(["RGID,RGSM,RGLB,Lane,Read1File,Read2File", *listed, ""])
    tree["Reports/legacy/html"] = [f"tile-{tile:02d}.html" for tile in range(9)]
    return run, tree


def _novaseqx(number: int) -> tuple[str, Tree]:
    run = f"20260101_LH00042_{number:04d}_A22BENCHLT3"
    inner = "Data/BCLConvert/fastq"
    names, sheet = [], []
    for lane, sample in _counted(LANES, 24):
        names += [f"S{sample:02d}_S{sample}_L00{lane}_R{read}_001.fastq.gz" for read in (1, 2)]
        sheet.append(f"{lane},S{sample:02d},ACGTACGT,")
    good = '<?xml version="1.0"?>\n<RunCompletionStatus><RunStatus>RunCompleted</RunStatus></RunCompletionStatus>\n'
    tree: dict[str, Iterable[str] | str] = {
        "RunInfo.xml": _run_info(run, "LH00042"),
        "RunParameters.xml": f'<?xml version="1.0"?>\n<RunParameters><RunId>{run}</RunId></RunParameters>\n',
        "SampleSheet.csv": _sheet(sheet),
        "RunCompletionStatus.xml": good,
        "": ["RTAComplete.txt", "CopyComplete.txt"],
        "Analysis/1": ["CopyComplete.txt"],
        "Analysis/1/Manifest.tsv": "".join(f"{inner}/{name}\t00000000\n" for name in names),
        "Analysis/1/Data": ["Secondary_Analysis_Complete.txt"],
        "Analysis/1/Data/BCLConvert/SampleSheet.csv": _sheet(sheet),
        f"Analysis/1/{inner}": names,
        "InterOp": [f"Metrics{part:03d}Out.bin" for part in range(106)],
    }
    calls = "Data/Intensities/BaseCalls"
    stubs = [f"surface_{surface}.cbcl" for surface in range(SURFACES)]
    tree |= {f"{calls}/L00{lane}/C{cycle}.1": stubs for lane, cycle in _counted(LANES, CYCLES)}
    return run, tree


def _minknow(number: int) -> tuple[str, Tree]:
    group, inside = divmod(number, MINKNOW_SAMPLES * MINKNOW_RUNS)
    sample, turn = divmod(inside, MINKNOW_RUNS)
    flow_cell, acquisition = f"FBA{number:05d}", f"{number:08x}"
    run = f"20260101_12{turn:02d}_X1_{flow_cell}_{acquisition}"
    tail = f"{acquisition}_0a1b2c3d"
    tree: dict[str, Iterable[str] | str] = {
        f"final_summary_{flow_cell}_{tail}.txt": "\n".join(
            [
                f"protocol_run_id={acquisition}",
                f"sample_id=sample-{sample}",
                "acquisition_stopped=2026-01-03T12:00:00.000000+00:00",
                f"fastq_files_in_final_dest={BARCODES * CHUNKS}",
                "fastq_files_in_fallback=0",
                "",
            ]
        ),
        "": [f"report_{flow_cell}_{tail}.html", f"sequencing_summary_{flow_cell}_{tail}.txt"],
        "pod5": [f"{flow_cell}_{tail}_{chunk}.pod5" for chunk in range(RAW_FILES)],
    }
    for barcode in range(1, BARCODES + 1):
        names = [f"{flow_cell}_pass_barcode{barcode:02d}_{tail}_{chunk}.fastq.gz" for chunk in range(CHUNKS)]
        tree[f"fastq_pass/barcode{barcode:02d}"] = names
    return f"group-{group:02d}/sample-{sample}/{run}", tree


def _counted(first: int, second: int) -> Iterator[tuple[int, int]]:
    return product(range(1, first + 1), range(1, second + 1))


def _run_info(run: str, instrument: str) -> str:
    reads = "".join(
        f'<Read Number="{number}" NumCycles="{cycles}" IsIndexedRead="{indexed}" />'
        for number, cycles, indexed in ((1, 151, "N"), (2, 8, "Y"), (3, 151, "N"))
    )
    return (
        f'<?xml version="1.0"?>\n<RunInfo Version="4"><Run Id="{run}" Number="1"><Flowcell>HBENCH</Flowcell>'
        f"<Instrument>{instrument}</Instrument><Reads>{reads}</Reads></Run></RunInfo>\n"
    )


def _sheet(rows: Iterable[str]) -> str:
    head = "[Header]\nFileFormatVersion,2\n\n[BCLConvert_Data]\nLane,Sample_ID,Index,Sample_Project\n"
    return head + "\n".join(rows) + "\n"


def _write(root: Path, tree: Tree) -> int:
    """Write a tree; an empty file is one system call, and nothing is opened for it."""
    count = 0
    for path, inside in tree.items():
        if isinstance(inside, str):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(inside)
            count += 1
            continue
        (root / path).mkdir(parents=True, exist_ok=True)
        place = os.open(root / path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in inside:
                os.mknod(name, stat.S_IFREG | 0o644, dir_fd=place)
                count += 1
        finally:
            os.close(place)
    return count
