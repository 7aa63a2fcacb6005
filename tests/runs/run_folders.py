"""Builds run folders as sequencers write them, in memory or on disk, small enough to read and true enough to trip
over.

Each function returns a `Tree`: paths with their bytes, in the order an instrument writes them. `Tree.look` makes the
view that a stage would make of it. Knows the names of platforms; the layouts under test are looked up by name, never
by what a tree was built for.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.model import Kind, Listing, SourceFacts
from watcher.runs.globs import compiled
from watcher.runs.layout import FoundUnit, Judgement, Layout, UnitView, find_units, judge, load_layouts, wanted
from watcher.runs.selection import NO_WISH, Wish

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAYOUTS = load_layouts()
READS = gzip.compress(b"@r1\nACGT\n+\nFFFF\n", mtime=0)
RUN = "20260228_LH00188_0028_B22F52TLT3"
MISEQ_RUN = "260228_M02439_0043_000000000-KT42M"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a look says of one file where it differs from what its place in the order of writing tells.

    Times are nanoseconds since 1970. A `size` that is not the content's is what NTFS and caches report meanwhile.
    """

    mtime_ns: int | None = None
    ctime_ns: int | None = None
    size: int | None = None


@dataclass
class Tree:
    """A folder's files in the order they were written, one second apart; `others` are no regular files.

    `stamps` say of single files what a look sees of them instead; `taken_at` is when the folder is looked at, without
    it an hour after the last file.
    """

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    pruned: frozenset[str] = frozenset()
    stamps: dict[str, Stamp] = field(default_factory=dict)
    taken_at: datetime | None = None

    def add(self, path: str, content: bytes = READS) -> Tree:
        """Write a file, or write it again: it is then the last one written."""
        self.files.pop(path, None)
        self.files[path] = content
        return self

    def without(self, *paths: str) -> Tree:
        """Return a copy without these files."""
        return replace(self, files={path: content for path, content in self.files.items() if path not in paths})

    def copied(self) -> Tree:
        """Return a copy that can be written to without changing this one."""
        return replace(self, files=dict(self.files), others=dict(self.others), stamps=dict(self.stamps))

    def seen_by(self, layout: Layout) -> Tree:
        """Return what a look finds that does not enter the folders a layout prunes."""
        pattern = compiled(layout.prune)
        pruned = {above for path in self.files for above in folders_above(path) if pattern.fullmatch(above)}
        kept = {path: one for path, one in self.files.items() if pruned.isdisjoint(folders_above(path))}
        return replace(self, files=kept, pruned=self.pruned | pruned)

    def listing(self) -> Listing:
        """Return what a look over the folder finds, an hour after the last file."""
        entries: dict[str, SourceFacts] = {}
        for number, (path, content) in enumerate(self.files.items()):
            at_ns = int((START + timedelta(seconds=number)).timestamp()) * 10**9
            stamp = self.stamps.get(path, Stamp())
            entries[path] = SourceFacts(
                path,
                Kind.FILE,
                len(content) if stamp.size is None else stamp.size,
                at_ns if stamp.mtime_ns is None else stamp.mtime_ns,
                at_ns if stamp.ctime_ns is None else stamp.ctime_ns,
                number + 1,
            )
        for path, problem in self.others.items():
            entries[path] = SourceFacts(path, Kind.OTHER, problem=problem)
        for path in list(entries):
            for above in folders_above(path):
                entries.setdefault(above, SourceFacts(above, Kind.FOLDER))
        entries |= {path: SourceFacts(path, Kind.FOLDER) for path in self.pruned}
        taken_at = self.taken_at or START + timedelta(hours=1, seconds=len(self.files))
        return Listing("/watched", entries, taken_at, self.pruned)

    def write(self, root: Path) -> Path:
        """Write the tree below a real folder and return its path."""
        for path, content in self.files.items():
            place = root / self.name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            stamp = self.stamps.get(path, Stamp())
            if stamp.size is not None:
                os.truncate(place, stamp.size)
            if stamp.mtime_ns is not None:
                os.utime(place, ns=(stamp.mtime_ns, stamp.mtime_ns))
        return root / self.name

    def units(self, layout: str | Layout) -> list[FoundUnit]:
        """Return the units a layout finds."""
        return find_units(_layout(layout), self.listing())

    def look(
        self,
        layout: str | Layout,
        unit: str = ".",
        *,
        quiet_s: float | Mapping[str, float] = 3600.0,
        settle: timedelta | None = None,
        max_wait: timedelta | None = None,
        abandoned: timedelta | None = None,
        assume_quiet: bool = False,
        wish: Wish = NO_WISH,
    ) -> UnitView:
        """Return the view a stage makes of a unit; a number for `quiet_s` is that of every file."""
        chosen, listing = _layout(layout), self.listing()
        found = next(one for one in find_units(chosen, listing) if one.unit == unit)
        return UnitView(
            layout=chosen,
            folder_name=self.name,
            listing=listing,
            found=found,
            contents={path: self.files[path] for path in wanted(chosen, listing, found)},
            quiet_s=quiet_s if isinstance(quiet_s, Mapping) else dict.fromkeys(self.files, float(quiet_s)),
            settle=settle,
            max_wait=max_wait,
            abandoned=abandoned,
            assume_quiet=assume_quiet,
            wish=wish,
        )

    def views(self, layout: str | Layout, quiet_s: Mapping[str, float]) -> Iterator[UnitView]:
        """Yield the view a stage makes of each unit, of one listing."""
        chosen, listing = _layout(layout), self.listing()
        for found in find_units(chosen, listing):
            contents = {path: self.files[path] for path in wanted(chosen, listing, found)}
            yield UnitView(chosen, self.name, listing, found, contents, quiet_s)

    def judged(self, layout: str | Layout, unit: str = ".", *, quiet_s: float = 3600.0) -> Judgement:
        """Return the verdict on a unit."""
        return judge(self.look(layout, unit, quiet_s=quiet_s))


def folders_above(path: str) -> list[str]:
    """Return the folders a path lies in, the innermost first."""
    steps = path.split("/")[:-1]
    return ["/".join(steps[:count]) for count in range(len(steps), 0, -1)]


def run_info(run: str, reads: Iterable[tuple[int, bool]] = ((151, False), (8, True), (8, True), (151, False))) -> bytes:
    """Return a RunInfo.xml that plans these reads (cycles, is index)."""
    planned = "".join(
        f'<Read Number="{number}" NumCycles="{cycles}" IsIndexedRead="{"Y" if index else "N"}" />'
        for number, (cycles, index) in enumerate(reads, start=1)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<RunInfo xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" Version="6">'
        f'<Run Id="{run}" Number="28"><Reads>{planned}</Reads></Run></RunInfo>'
    ).encode()


def completion_status(value: str, more: str = "") -> bytes:
    """Return a RunCompletionStatus.xml of the newer dialect, with a default namespace as real ones have."""
    status = f"<RunStatus>{value}</RunStatus>{more}"
    return f'<?xml version="1.0"?><RunCompletionStatus xmlns="urn:x">{status}</RunCompletionStatus>'.encode()


def sheet_v2(samples: Iterable[str], project: str = "", settings: str = "") -> bytes:
    """Return a BCL Convert sample sheet."""
    rows = "".join(f"1,{sample},ACGT,TTGG,{project}\r\n" for sample in samples)
    return (
        "[Header]\r\nFileFormatVersion,2\r\n\r\n[Reads]\r\nRead1Cycles,151\r\nRead2Cycles,151\r\n\r\n"
        f"[BCLConvert_Settings]\r\n{settings}\r\n[BCLConvert_Data]\r\nLane,Sample_ID,Index,Index2,Sample_Project\r\n{rows}"
    ).encode()


def fastq_names(samples: Iterable[str], lanes: Iterable[int] = (1,), reads: Iterable[str] = ("R1", "R2")) -> list[str]:
    """Return Illumina's names for these samples."""
    return [
        f"{sample}_S{number}_L{lane:03d}_{read}_001.fastq.gz"
        for number, sample in enumerate(samples, start=1)
        for lane in lanes
        for read in reads
    ]


def bclconvert(samples: Iterable[str] = ("S1", "S2"), project: str = "", lanes: Iterable[int] = (1,)) -> Tree:
    """Return the finished output of BCL Convert."""
    samples = list(samples)
    tree = Tree(RUN).add("Logs/Info.log", b"started").add("Logs/Errors.log", b"")
    folder = f"{project}/" if project else ""
    names = fastq_names(samples, list(lanes))
    for name in names:
        tree.add(folder + name)
    tree.add("Undetermined_S0_L001_R1_001.fastq.gz").add("Undetermined_S0_L001_R2_001.fastq.gz")
    tree.add("Reports/RunInfo.xml", run_info(RUN)).add("Reports/SampleSheet.csv", sheet_v2(samples, project))
    rows = "".join(
        f"AC.1,{r1.split('_')[0]},UnknownLibrary,1,{r1},{r2}\n" for r1, r2 in zip(names[::2], names[1::2], strict=True)
    )
    tree.add("Reports/fastq_list.csv", f"RGID,RGSM,RGLB,Lane,Read1File,Read2File\n{rows}".encode())
    return tree.add("Logs/FastqComplete.txt", b"")


def miseq(samples: Iterable[str] = ("S1", "S2"), run_id: str = MISEQ_RUN) -> Tree:
    """Return a finished MiSeq run folder."""
    tree = Tree(MISEQ_RUN).add("RunInfo.xml", run_info(run_id)).add("runParameters.xml", b"<RunParameters/>")
    tree.add(
        "SampleSheet.csv",
        b"[Header]\n[Data]\nSample_ID,Sample_Name,index\n" + b"".join(f"{s},,ACGT\n".encode() for s in samples),
    )
    tree.add("RTAComplete.txt", b"")
    for name in fastq_names(samples):
        tree.add(f"Data/Intensities/BaseCalls/{name}")
    return tree.add(
        "CompletedJobInfo.xml",
        b'<?xml version="1.0"?><AnalysisJobInfo><RTARunFolder>x</RTARunFolder></AnalysisJobInfo>',
    )


def novaseqx(analyses: Iterable[int] = (1,), samples: Iterable[str] = ("S1", "S2")) -> Tree:
    """Return a finished NovaSeq X run folder with these analyses."""
    tree = Tree(RUN).add("RunInfo.xml", run_info(RUN)).add("SampleSheet.csv", sheet_v2(["from-the-root-sheet"]))
    tree.add("RunCompletionStatus.xml", completion_status("RunCompleted")).add("CopyComplete.txt", b"")
    for number in analyses:
        base = f"Analysis/{number}"
        names = [f"Data/BCLConvert/fastq/{name}" for name in fastq_names(samples)]
        for name in names:
            tree.add(f"{base}/{name}")
        tree.add(f"{base}/Data/BCLConvert/SampleSheet.csv", sheet_v2(samples))
        tree.add(f"{base}/Manifest.tsv", "".join(f"{name}\t0a1b2c3d\n" for name in names).encode())
        tree.add(f"{base}/Data/Secondary_Analysis_Complete.txt", b"").add(f"{base}/CopyComplete.txt", b"")
    return tree


def _layout(layout: str | Layout) -> Layout:
    return LAYOUTS[layout] if isinstance(layout, str) else layout
