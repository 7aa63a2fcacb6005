"""Run folders of the instruments with DRAGEN inside: NextSeq 2000, NovaSeq X, MiSeq i100, with or without analyses.

An analysis is a unit of its own, with its own sample sheet, list of checksums and markers; another try makes
`Analysis/2`. The base calls before it are in `base_calls.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.runs.instruments.base_calls import MISEQ_I100, NEXTSEQ_2000, NOVASEQ_X, call_rta3, run_folder
from tests.runs.instruments.content import crc32_of, fastq_gz
from tests.runs.instruments.illumina import TWO, add_reads, add_undetermined
from tests.runs.instruments.instrument import (
    OVER_A_DAY_S,
    Failure,
    Instrument,
    base_calls_only,
    crashed_before,
    one_unit,
    with_file,
    without,
)
from tests.runs.instruments.sheets import Machine, demultiplex_stats, fastq_list, sheet_v2, status_b
from tests.runs.run_folders import Tree, fastq_names


def dragen_bcl(machine: Machine = NOVASEQ_X, samples: Sequence[str] = TWO, lanes: int | None = None) -> Tree:
    """Return a run whose base calls are copied, and which nobody has analysed (yet)."""
    machine = machine.with_lanes(lanes)
    tree = call_rta3(run_folder(machine, sheet_v2(samples, lanes=range(1, machine.lanes + 1))), machine)
    tree.add("RTAComplete.txt", b" ").add("RunCompletionStatus.xml", status_b())
    return tree.add("CopyComplete.txt", b"")


def write_manifest(tree: Tree, base: str) -> Tree:
    """Write the list of an analysis' files with their CRC-32, in Windows' order of names."""
    paths = sorted((path for path in tree.files if path.startswith(f"{base}/Data/")), key=str.lower)
    lines = (f"{path.removeprefix(base + '/')}\t{crc32_of(tree.files[path])}\n" for path in paths)
    return tree.add(f"{base}/Manifest.tsv", "".join(lines).encode())


def nextseq2000(
    samples: Sequence[str] = TWO,
    lanes: Sequence[int] = (1,),
    analyses: Iterable[int] = (1,),
    *,
    is_copied: bool = False,
) -> Tree:
    """Return a NextSeq 2000 with analyses; `is_copied` = the site has it tell when their copy ended, too."""
    tree = dragen_bcl(NEXTSEQ_2000, samples)
    for number in analyses:
        base = f"Analysis/{number}"
        place = f"{base}/Data/fastq"
        tree.add(f"{base}/Data/SampleSheet.csv", sheet_v2(samples, has_lanes=False))
        names = add_reads(tree, place, samples, lanes)
        add_undetermined(tree, place, lanes)
        _report(tree, f"{base}/Data/Reports", samples, names, lanes)
        tree.add(f"{base}/Data/Secondary_Analysis_Complete.txt", b"")
        if is_copied:
            write_manifest(tree, base).add(f"{base}/CopyComplete.txt", b"")
    return tree


def novaseqx(
    samples: Sequence[str] = TWO,
    lanes: Sequence[int] = (1,),
    analyses: Iterable[int] = (1,),
    machine: Machine = NOVASEQ_X,
    germline: Sequence[str] = (),
    projects: Sequence[str] = ("",),
    form: str = "fastq",
) -> Tree:
    """Return a NovaSeq X or MiSeq i100 with analyses.

    `germline` are samples that another application converts, below `DragenGermline`; `form` is what is kept of the
    reads: `fastq`, `ora` or nothing.
    """
    tree = dragen_bcl(machine, samples)
    for number in analyses:
        base = f"Analysis/{number}"
        converted = f"{base}/Data/BCLConvert"
        tree.add(f"{converted}/SampleSheet.csv", sheet_v2(samples, projects, lanes))
        names: list[str] = []
        if form == "fastq":
            for at, project in enumerate(projects):
                own = [sample for place, sample in enumerate(samples) if place % len(projects) == at]
                names += add_reads(tree, f"{converted}/fastq/{project}".strip("/"), own, lanes, order=samples)
            add_undetermined(tree, f"{converted}/fastq", lanes)
        elif form == "ora":
            for name in fastq_names(samples, list(lanes)):
                packed = b"\x49\x7c" + fastq_gz(name)[10:]
                tree.add(f"{converted}/ora_fastq/{name.replace('.gz', '.ora')}", packed)
        _report(
            tree, f"{converted}/fastq/Reports" if form == "fastq" else f"{converted}/Reports", samples, names, lanes
        )
        if germline:
            add_reads(tree, f"{base}/Data/DragenGermline/fastq", germline, lanes, order=[*samples, *germline])
            for sample in germline:
                calls = f"{base}/Data/DragenGermline/{sample}/germline_seq/{sample}.hard-filtered.vcf.gz"
                tree.add(calls, fastq_gz(sample, "vcf", blocks=True))
        tree.add(f"{base}/Data/summary.tsv", b"sample\tstatus\n")
        tree.add(f"{base}/Data/Secondary_Analysis_Complete.txt", b"")
        write_manifest(tree, base).add(f"{base}/CopyComplete.txt", b"")
    return tree


def _report(tree: Tree, place: str, samples: Sequence[str], names: Sequence[str], lanes: Sequence[int]) -> None:
    bare = [name.rsplit("/", 1)[-1] for name in names]
    rows = [
        (first.rsplit("_S", 1)[0], int(first.rsplit("_", 3)[1][1:]), first, second)
        for first, second in zip(bare[::2], bare[1::2], strict=True)
    ]
    tree.add(f"{place}/Demultiplex_Stats.csv", demultiplex_stats(samples, lanes))
    tree.add(f"{place}/fastq_list.csv", fastq_list(rows))


def _nextseq2000_copied(samples: Sequence[str] = TWO, lanes: Sequence[int] = (1,)) -> Tree:
    return nextseq2000(samples, lanes, is_copied=True)


def _nextseq2000_bcl() -> Tree:
    return dragen_bcl(NEXTSEQ_2000)


def _novaseqx_bcl() -> Tree:
    return dragen_bcl(NOVASEQ_X)


def _miseq_i100_bcl() -> Tree:
    return dragen_bcl(MISEQ_I100)


def _requeued(samples: Sequence[str] = TWO) -> Tree:
    return novaseqx(samples, analyses=(1, 2))


def _germline() -> Tree:
    return novaseqx(germline=("G1", "G2"))


def _projects() -> Tree:
    return novaseqx(("S1", "S2", "S3"), projects=("Corals", "Squids"))


def _ora_only() -> Tree:
    return novaseqx(form="ora")


def _zero_fastq() -> Tree:
    return novaseqx(form="")


def _miseq_i100(samples: Sequence[str] = TWO) -> Tree:
    return novaseqx(samples, machine=MISEQ_I100)


_A1 = "Analysis/1"
_CONVERTED = f"{_A1}/Data/BCLConvert/fastq"
_COPIED = {_A1: f"{_A1}/CopyComplete.txt"}
_IO_ERROR = status_b("RunErrored", "RecipeExecutionFailedException", "I/O data integrity check failed")
_VERDICT_B = {
    "run ended with an error": Failure(with_file("RunCompletionStatus.xml", _IO_ERROR), "failed"),
    "unknown verdict": Failure(with_file("RunCompletionStatus.xml", status_b("RunPaused")), "held"),
}
_ERROR = with_file(f"{_A1}/Data/Error_Summary.json", b'{"result":"error","errors":["out of memory"]}')
_ANALYSIS = {
    **_VERDICT_B,
    "analysis ended with an error": Failure(_ERROR, "failed", _A1),
    "computed, but not copied": Failure(without(f"{_A1}/CopyComplete.txt"), "waiting", _A1),
    "base calls were not copied": Failure(without("CopyComplete.txt"), "waiting"),
    "a listed file is not there": Failure(without(f"{_A1}/Data/summary.tsv"), "waiting", _A1),
    "crashed while converting": Failure(crashed_before(f"{_CONVERTED}/{fastq_names(TWO)[-1]}"), "waiting", _A1),
}
_NOTHING_YET = Failure(
    crashed_before(f"{_A1}/Data/SampleSheet.csv"), "nothing", layout="dragen-bcl", quiet_s=OVER_A_DAY_S
)
_NEXTSEQ = one_unit(TWO, (f"{_A1}/Data/fastq/{name}" for name in fastq_names(TWO)), _A1)
_NOVASEQ = one_unit(TWO, (f"{_CONVERTED}/{name}" for name in fastq_names(TWO)), _A1)
_GERMLINE = [f"{_A1}/Data/DragenGermline/fastq/{name}" for name in fastq_names((*TWO, "G1", "G2"))[4:]]
_OF_PROJECTS = [
    f"{_CONVERTED}/{'Squids' if name.startswith('S2') else 'Corals'}/{name}" for name in fastq_names(("S1", "S2", "S3"))
]

TABLE: Mapping[str, Instrument] = {
    "NextSeq 2000": Instrument(
        "nextseq2000", nextseq2000, *_NEXTSEQ, {_A1: f"{_A1}/Data/Secondary_Analysis_Complete.txt"},
        {
            **_VERDICT_B,
            "analysis ended with an error": Failure(_ERROR, "failed", _A1),
            "not analysed yet": _NOTHING_YET,
        },
    ),
    "NextSeq 2000 with markers of copying": Instrument(
        "nextseq2000", _nextseq2000_copied, *_NEXTSEQ, _COPIED, _VERDICT_B, quiet_s=20 * 60.0
    ),
    "NextSeq 2000 BCL": base_calls_only("dragen-bcl", _nextseq2000_bcl, "CopyComplete.txt", _VERDICT_B, OVER_A_DAY_S),
    "NovaSeq X BCL": base_calls_only("dragen-bcl", _novaseqx_bcl, "CopyComplete.txt", _VERDICT_B, OVER_A_DAY_S),
    "MiSeq i100 BCL": base_calls_only("dragen-bcl", _miseq_i100_bcl, "CopyComplete.txt", _VERDICT_B, OVER_A_DAY_S),
    "NovaSeq X": Instrument("novaseqx", novaseqx, *_NOVASEQ, _COPIED, _ANALYSIS),
    "NovaSeq X requeued": Instrument(
        "novaseqx", _requeued,
        {f"Analysis/{number}": TWO for number in (1, 2)},
        {
            f"Analysis/{number}": tuple(f"Analysis/{number}/Data/BCLConvert/fastq/{name}" for name in fastq_names(TWO))
            for number in (1, 2)
        },
        {f"Analysis/{number}": f"Analysis/{number}/CopyComplete.txt" for number in (1, 2)},
        {
            "the first try failed, the second did not": Failure(_ERROR, "failed", _A1),
            "the second try is under way": Failure(
                without("Analysis/2/CopyComplete.txt", "Analysis/2/Manifest.tsv"), "waiting", "Analysis/2"
            ),
        },
    ),
    "NovaSeq X with germline calls": Instrument(
        "novaseqx", _germline, *one_unit(("G1", "G2", *TWO), (*_NOVASEQ[1][_A1], *_GERMLINE), _A1), _COPIED
    ),
    "NovaSeq X with projects": Instrument(
        "novaseqx", _projects, *one_unit(("S1", "S2", "S3"), _OF_PROJECTS, _A1), _COPIED
    ),
    "NovaSeq X with ORA alone": Instrument("novaseqx", _ora_only, *one_unit((), (), _A1), _COPIED, outcome="held"),
    "NovaSeq X without FASTQs": Instrument("novaseqx", _zero_fastq, *one_unit((), (), _A1), _COPIED, outcome="held"),
    "MiSeq i100": Instrument("novaseqx", _miseq_i100, *_NOVASEQ, _COPIED, _ANALYSIS),
}  # fmt: skip
