"""What BCL Convert and bcl2fastq write into a folder of their own, or back into the run folder.

The run folders they read are in `illumina.py` and `dragen.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.runs.instruments.base_calls import CALLS, NEXTSEQ_550, NOVASEQ_6000
from tests.runs.instruments.content import fastq_gz
from tests.runs.instruments.illumina import TWO, add_reads, add_undetermined, nextseq500
from tests.runs.instruments.instrument import Failure, Instrument, crashed_before, one_unit, with_file, without
from tests.runs.instruments.sheets import (
    DUAL_INDEX,
    Machine,
    demultiplex_stats,
    fastq_list,
    sheet_v1,
    sheet_v2,
)
from tests.runs.run_folders import Tree, fastq_names

MACHINE = NOVASEQ_6000
# An index read of 12 cycles holds the UMI and is told as a read of its own.
WITH_UMI = ((151, False), (8, True), (12, True), (151, False))


def bclconvert(
    samples: Sequence[str] = TWO,
    projects: Sequence[str] = ("",),
    lanes: Sequence[int] = (1,),
    reads: Sequence[str] = ("R1", "R2"),
    settings: Iterable[str] = (),
    planned: Sequence[tuple[int, bool]] = DUAL_INDEX,
    *,
    split_lanes: bool = True,
    empty: Iterable[str] = (),
) -> Tree:
    """Return the output of BCL Convert.

    With `projects` each sample goes to the next one's folder; `empty` samples get files without reads; `planned` are
    the reads of the run, `reads` those that were made of it.
    """
    machine = Machine(**{**vars(MACHINE), "reads": planned, "lanes": max(lanes)})
    sheet = sheet_v2(samples, projects, lanes, settings, has_lanes=split_lanes)
    tree = Tree(f"{machine.run}_fastq").add("Logs/Info.log", b"Conversion Begins.\n").add("Logs/Warnings.log", b"")
    tree.add("Logs/Errors.log", b"").add("Reports/SampleSheet.csv", sheet).add(
        "Reports/RunInfo.xml", machine.run_info()
    )
    none = set(empty)
    written: list[str] = []
    for name in fastq_names(samples, lanes if split_lanes else (1,), reads):
        sample, read = name.rsplit("_S", 1)[0], name.rsplit("_", 2)[1]
        project = projects[list(samples).index(sample) % len(projects)]
        name = name if split_lanes else name.replace("_L001_", "_")
        written.append(f"{project}/{name}".strip("/"))
        tree.add(written[-1], fastq_gz(sample, read, 0 if sample in none else 2))
    for name in fastq_names(["Undetermined"], lanes if split_lanes else (1,), reads):
        name = name.replace("_S1_", "_S0_") if split_lanes else name.replace("_S1_L001_", "_S0_")
        tree.add(name, fastq_gz("Undetermined", name.rsplit("_", 2)[1]))
    tree.add("Reports/Adapter_Metrics.csv", b"Lane,Sample_ID,index\n").add(
        "Reports/Top_Unknown_Barcodes.csv", b"Lane\n"
    )
    tree.add("Reports/Demultiplex_Stats.csv", demultiplex_stats(samples, lanes, none))
    tree.add("Reports/fastq_list.csv", fastq_list(_rows(written, bool(projects[0]))))
    return tree.add("Logs/FastqComplete.txt", b"")


def _rows(written: Iterable[str], is_absolute: bool) -> list[tuple[str, int, str, str]]:
    """Return the rows of fastq_list.csv: bare names, or absolute ones of the machine that converted."""
    listed = []
    for first in written:
        if "_R1_" not in first.rsplit("_S", 1)[-1]:
            continue
        mate = next((one for one in ("_R3_", "_R2_") if _other(first, one) in written), "")
        second = _other(first, mate) if mate else ""
        lane = first.rsplit("_L", 1)[-1][:3]
        base = f"/staging/{MACHINE.run}_fastq/" if is_absolute else ""
        sample = first.rsplit("/", 1)[-1].rsplit("_S", 1)[0]
        listed.append((sample, int(lane) if lane.isdigit() else 1, base + first, base + second if second else ""))
    return listed


def _other(first: str, read: str) -> str:
    head, tail = first.rsplit("_R1_", 1)
    return f"{head}{read}{tail}"


def bcl2fastq(
    samples: Sequence[str] = TWO,
    project: str = "",
    lanes: Sequence[int] = (1,),
    names: Mapping[str, str] | None = None,
    tree: Tree | None = None,
    base: str = "",
) -> Tree:
    """Return the output of bcl2fastq; `names` are Sample_Names that differ from Sample_IDs and so make folders.

    Written below `base` of another `tree` when there is one.
    """
    machine, called = NEXTSEQ_550, names or {}
    out = f"{base}/" if base else ""
    tree = tree if tree is not None else Tree("converted")
    for number, sample in enumerate(samples, 1):
        name = called.get(sample, sample)
        steps = [base, project, sample if name != sample else ""]
        folder = "/".join(step for step in steps if step)
        order = [called.get(one, one) for one in samples]
        assert order[number - 1] == name
        add_reads(tree, folder, [name], lanes, order=order, blocks=True)
    add_undetermined(tree, base, lanes)
    tree.add(f"{out}Reports/html/index.html", b"<html></html>")
    tree.add(f"{out}Stats/FastqSummaryF1L1.txt", b"SampleNumber\tTile\n")
    for name in ("DemultiplexingStats", "ConversionStats"):
        tree.add(
            f"{out}Stats/{name}.xml", f'<?xml version="1.0" encoding="utf-8"?><Stats Run="{machine.run}"/>'.encode()
        )
    results = [{"LaneNumber": lane, "DemuxResults": [{"SampleId": one} for one in samples]} for lane in lanes]
    told = {"Flowcell": machine.flowcell, "RunNumber": 17, "RunId": machine.run, "ConversionResults": results}
    return tree.add(f"{out}Stats/Stats.json", json.dumps(told, indent=1).encode())


def bcl2fastq_inside(samples: Sequence[str] = TWO) -> Tree:
    """Return a run folder into which bcl2fastq has written, as it does unless it is told another place."""
    tree = nextseq500(samples).add("SampleSheet.csv", sheet_v1(samples, reads=(75, 75)))
    return bcl2fastq(samples, tree=tree, base=CALLS)


def _made(**options: object) -> Callable[..., Tree]:
    def make(**more: object) -> Tree:
        return bclconvert(**{**options, **more})  # type: ignore[arg-type]

    return make


def _converted(make: Callable[..., Tree], samples: Iterable[str], taken: Iterable[str]) -> Instrument:
    return Instrument("bclconvert", make, *one_unit(samples, sorted(taken)), {".": "Logs/FastqComplete.txt"}, _FAILURES)


_LOG = b"ERROR: Sample Sheet Error: the index of S2 is a duplicate\n"
_FAILURES = {
    "an error in the log": Failure(with_file("Logs/Errors.log", _LOG), "failed"),
    "died of its sample sheet": Failure(
        lambda tree: with_file("Logs/Errors.log", _LOG)(without("Logs/FastqComplete.txt")(tree)), "failed"
    ),
    "killed while it wrote": Failure(crashed_before("Reports/Adapter_Metrics.csv"), "waiting"),
}
_FLAT = fastq_names(TWO)


def _copied(samples: Sequence[str] = TWO) -> Tree:
    """Return the reads alone with a list of their checksums, as a core facility hands them over."""
    reads = {path: content for path, content in bcl2fastq(samples).files.items() if path.endswith(".fastq.gz")}
    lines = (f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path}\n" for path, content in reads.items())
    return Tree("handed-over", reads).add("md5sums.txt", "".join(lines).encode())


_THREE = ("S1", "S2", "S3")
_UMI_SETTINGS = ("OverrideCycles,Y151;I8;Y12;Y151", "TrimUMI,0")
_OF_PROJECTS = [f"{'Squids' if name.startswith('S2') else 'Corals'}/{name}" for name in fastq_names(_THREE)]
_NAMES = {"id-1": "Nemo", "id-2": "Dory"}

TABLE: Mapping[str, Instrument] = {
    "BCL Convert": _converted(bclconvert, TWO, _FLAT),
    "BCL Convert with projects": _converted(
        _made(samples=_THREE, projects=("Corals", "Squids")), _THREE, _OF_PROJECTS
    ),
    "BCL Convert without lanes": _converted(
        _made(split_lanes=False, settings=("NoLaneSplitting,true",)), TWO, [one.replace("_L001", "") for one in _FLAT]
    ),
    "BCL Convert with four lanes": _converted(
        _made(lanes=(1, 2, 3, 4)), TWO, fastq_names(TWO, (1, 2, 3, 4))
    ),
    "BCL Convert with index reads": _converted(
        _made(reads=("R1", "R2", "I1", "I2"), settings=("CreateFastqForIndexReads,1",)), TWO, _FLAT
    ),
    "BCL Convert with UMI": _converted(
        _made(reads=("R1", "R2", "R3"), settings=_UMI_SETTINGS, planned=WITH_UMI),
        TWO, fastq_names(TWO, reads=("R1", "R2", "R3")),
    ),
    "BCL Convert interleaved": _converted(
        _made(reads=("R1",), settings=("FastqCompressionFormat,dragen-interleaved",)), TWO,
        fastq_names(TWO, reads=("R1",)),
    ),
    "BCL Convert with an empty sample": _converted(_made(empty=("S2",)), TWO, _FLAT),
    "bcl2fastq": Instrument(
        "bcl2fastq", bcl2fastq, *one_unit(TWO, _FLAT), {".": "Stats/Stats.json"},
        {
            # Without its statistics nothing says that it ended, however long it is quiet.
            "killed while it wrote": Failure(
                crashed_before("Stats/DemultiplexingStats.xml"), "held", layout="converter-begun"
            ),
            "killed before its reports": Failure(
                crashed_before("Reports/html/index.html"), "held", layout="converter-begun"
            ),
            "still at work": Failure(
                crashed_before("Stats/DemultiplexingStats.xml"), "waiting", layout="converter-begun", quiet_s=4 * 3600.0
            ),
        },
    ),
    "FASTQs of a converter, copied alone": Instrument(
        "converter-begun", _copied, *one_unit(TWO, _FLAT), {".": "md5sums.txt"}
    ),
    "bcl2fastq with projects and names": Instrument(
        "bcl2fastq", lambda: bcl2fastq(("id-1", "id-2"), "Reef", names=_NAMES),
        *one_unit(
            ("Nemo", "Dory"),
            [
                f"Reef/{'id-1' if name.startswith('Nemo') else 'id-2'}/{name}"
                for name in fastq_names(("Nemo", "Dory"))
            ],
        ),
        {".": "Stats/Stats.json"},
    ),
    "bcl2fastq inside the run folder": Instrument(
        "bcl2fastq-run", bcl2fastq_inside, *one_unit(TWO, (f"{CALLS}/{name}" for name in _FLAT), CALLS),
        {CALLS: f"{CALLS}/Stats/Stats.json"},
    ),
}  # fmt: skip
