"""Run folders of MinKNOW: batches of reads by barcode, written for days, and what it adds at the very end.

With pooling, several runs share the folder of their sample, and only the ids in the names tell them apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.runs.instruments.content import bam, fastq_gz, pod5
from tests.runs.instruments.instrument import Failure, Instrument, base_calls_only, crashed_before, one_unit
from tests.runs.run_folders import Tree

KIT = "SQK-NBD114-24"


@dataclass(frozen=True)
class Acquisition:
    """One run of MinKNOW: its flow cell and the two ids, of which names carry the first eight digits."""

    flowcell: str = "PAA12345"
    protocol: str = "e05460c6-1f2a-4e55-9d0c-3b1f0a9be771"
    acquisition: str = "4a1b2c3d5e6f708192a3b4c5d6e7f8091a2b3c4d"
    started: str = "2026-02-28T12:01:05.250613+00:00"
    group: str = "reef_2026"
    sample: str = "library7"
    position: str = "3E"

    @property
    def ids(self) -> str:
        """Return the ids as they stand in names."""
        return f"{self.protocol[:8]}_{self.acquisition[:8]}"

    @property
    def folder(self) -> str:
        """Return what the run folder is called."""
        return f"20260228_1201_{self.position}_{self.flowcell}_{self.protocol[:8]}"


FIRST = Acquisition()
SECOND = Acquisition(
    protocol="77d1e2f3-0a4b-4c6d-8e9f-a0b1c2d3e4f5",
    acquisition="9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
    started="2026-03-02T09:30:00.000000+00:00",
)
TEST = replace(FIRST, flowcell="CTC12345")
DOTTED = replace(FIRST, group="reef.2026", sample="library.7")


def ont(
    samples: Sequence[str] = ("coral", "squid"),
    batches: int = 2,
    runs: Sequence[Acquisition] = (FIRST,),
    forms: Iterable[str] = ("fastq",),
    *,
    barcodes: bool = True,
    pooled: bool = False,
) -> Tree:
    """Return a run folder of MinKNOW, or with `pooled` the folder of a sample that its runs share.

    `samples` are aliases of barcodes from the sample sheet, `barcode01` and so on where it gave none; `forms` are what
    is made of the reads: `fastq`, `bam`, `pod5`.
    """
    tree = Tree(runs[0].sample if pooled else runs[0].folder)
    for run in runs:
        _acquire(tree, run, samples if barcodes else ("",), batches, set(forms))
        _finish(tree, run, samples if barcodes else ())
    return tree


def _acquire(tree: Tree, run: Acquisition, samples: Sequence[str], batches: int, forms: set[str]) -> None:
    rows = [f"barcode{number:02d},{alias},test_sample" for number, alias in enumerate(samples, 1) if alias]
    columns = "protocol_run_id,position_id,flow_cell_id,sample_id,experiment_id,flow_cell_product_code,kit"
    fixed = f"{run.protocol},{run.position},{run.flowcell},{run.sample},{run.group},FLO-PRO114M,{KIT}"
    lines = [f"{columns},barcode,alias,type", *(f"{fixed},{row}" for row in rows)] if rows else [columns, fixed]
    tree.add(f"sample_sheet_{run.flowcell}_20260228_1201_{run.protocol[:8]}.csv", "\n".join(lines).encode() + b"\n")
    for batch in range(batches):
        if "pod5" in forms:
            tree.add(f"pod5/{run.flowcell}_{run.ids}_{batch}.pod5", pod5(f"{batch}"))
        for quality in ("pass", "fail"):
            for sample in (*samples, "unclassified", "mixed") if samples != ("",) else samples:
                place = f"{sample}/" if sample else ""
                label = f"{sample}_" if sample else ""
                name = f"{place}{run.flowcell}_{quality}_{label}{run.ids}_{batch}"
                if "fastq" in forms:
                    tree.add(f"fastq_{quality}/{name}.fastq.gz", fastq_gz(f"{run.ids}{sample}{quality}{batch}"))
                if "bam" in forms:
                    tree.add(f"bam_{quality}/{name}.bam", bam(f"{run.ids}{sample}{quality}{batch}"))
                    tree.add(f"bam_{quality}/{name}.bam.bai", b"BAI\x01\0\0\0\0")


def _finish(tree: Tree, run: Acquisition, samples: Sequence[str]) -> None:
    end = f"{run.flowcell}_{run.ids}"
    tree.add(f"sequencing_summary_{end}.txt", b"filename_fastq\tread_id\trun_id\n")
    tree.add(f"pore_activity_{end}.csv", b"Channel State,Experiment Time (minutes)\n")
    if samples:
        tree.add(f"barcode_alignment_{end}.tsv", b"barcode\talias\ttype\n")
    for ending in ("html", "json", "md"):
        tree.add(
            f"report_{run.flowcell}_20260228_1201_{run.protocol[:8]}.{ending}", b"{}" if ending == "json" else b"#"
        )
    own = [path for path in tree.files if run.ids in path]
    tree.add(f"output_hash_{end}.csv", output_hash(tree, run, own, samples))
    tree.add(f"final_summary_{end}.txt", final_summary(tree, run))


def output_hash(tree: Tree, run: Acquisition, paths: Iterable[str], samples: Sequence[str]) -> bytes:
    """Return output_hash_*.csv: a SHA-256 for each file, none for POD5, which is not listed."""
    text = "runid,protocol_group_id,flow_cell_id,sample_id,file_hash,file_path,barcode,barcode_alias\n"
    barcodes = {alias: f"barcode{number:02d}" for number, alias in enumerate(samples, 1)}
    for path in paths:
        if path.endswith(".pod5"):
            continue
        folder = path.split("/")[1] if path.count("/") == 2 else ""
        digest = hashlib.sha256(tree.files[path]).hexdigest()
        barcode = barcodes.get(folder, folder)
        text += f"{run.protocol},{run.group},{run.flowcell},{run.sample},{digest},{path},{barcode},{folder}\n"
    return text.encode()


def final_summary(tree: Tree, run: Acquisition, *, stopped: str = "2026-03-01T12:01:05.250613+00:00") -> bytes:
    """Return final_summary_*.txt, with the number of files of each kind as they are now."""
    counts = {ending: sum(run.ids in path and path.endswith(ending) for path in tree.files) for ending in _ENDINGS}
    lines = {
        "instrument": "PC24B123",
        "position": run.position,
        "flow_cell_id": run.flowcell,
        "sample_id": run.sample,
        "protocol_group_id": run.group,
        "protocol": f"sequencing/sequencing_PRO114_DNA_e8_2_400K:FLO-PRO114M:{KIT}:400",
        "protocol_run_id": run.protocol,
        "acquisition_run_id": run.acquisition,
        "started": run.started,
        "acquisition_stopped": stopped,
        "processing_stopped": stopped,
        "basecalling_enabled": "1",
        "sequencing_summary_file": f"sequencing_summary_{run.flowcell}_{run.ids}.txt",
        "pod5_files_in_final_dest": str(counts[".pod5"]),
        "pod5_files_in_fallback": "0",
        "fastq_files_in_final_dest": str(counts[".fastq.gz"]),
        "fastq_files_in_fallback": "0",
        "bam_files_in_final_dest": str(counts[".bam"]),
        "bam_files_in_fallback": "0",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items()).encode()


_ENDINGS = (".pod5", ".fastq.gz", ".bam")


def _summary(run: Acquisition = FIRST) -> str:
    return f"final_summary_{run.flowcell}_{run.ids}.txt"


def _changed(old: bytes, new: bytes) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        changed = tree.copied()
        assert old in changed.files[_summary()]
        changed.files[_summary()] = changed.files[_summary()].replace(old, new)
        return changed

    return change


def _no_reads(tree: Tree) -> Tree:
    """Leave a run of which no read passed: nothing was ever written to fastq_pass."""
    changed = tree.copied().without(*(path for path in tree.files if path.startswith(("fastq_pass", "output_hash"))))
    changed.files[_summary()] = final_summary(changed, FIRST)
    return changed


def _not_synced(tree: Tree) -> Tree:
    return tree.copied().without(next(path for path in tree.files if path.startswith("fastq_pass")))


def _passed(samples: Iterable[str], run: Acquisition = FIRST, batches: int = 2) -> list[str]:
    return [
        f"fastq_pass/{sample}/{run.flowcell}_pass_{sample}_{run.ids}_{batch}.fastq.gz".replace("//", "/")
        for sample in samples
        for batch in range(batches)
    ]


_ALIASES = ("coral", "squid")
_FAILURES = {
    "crashed: no summary, ever": Failure(
        crashed_before(f"sequencing_summary_{FIRST.flowcell}_{FIRST.ids}.txt"), "waiting"
    ),
    "an empty summary": Failure(_changed(b"_stopped=2026-03-01T12:01:05.250613+00:00", b"_stopped="), "waiting"),
    "reads in the fallback place": Failure(
        _changed(b"fastq_files_in_fallback=0", b"fastq_files_in_fallback=3"), "failed"
    ),
    "a batch is not copied yet": Failure(_not_synced, "waiting", quiet_s=30 * 60.0),
    "no read passed": Failure(_no_reads, "held"),
}
_OLD_NAMES = ("barcode01", "barcode02")
_DOTTED = ("coral.1", "coral.2")
_WITHOUT = [path.replace("fastq_pass//", "fastq_pass/").replace("_pass__", "_pass_") for path in _passed([""])]


def _pooled() -> Tree:
    return ont(runs=(FIRST, SECOND), pooled=True)


TABLE: Mapping[str, Instrument] = {
    "ONT with aliases": Instrument(
        "ont", ont, *one_unit(_ALIASES, _passed(_ALIASES)), {".": _summary()}, _FAILURES
    ),
    "ONT with barcodes": Instrument(
        "ont", lambda: ont(_OLD_NAMES), *one_unit(_OLD_NAMES, _passed(_OLD_NAMES)), {".": _summary()}
    ),
    "ONT without barcodes": Instrument(
        "ont", lambda: ont(barcodes=False), *one_unit(("library7",), _WITHOUT), {".": _summary()},
        {"no read passed": Failure(_no_reads, "held")},
    ),
    "ONT with dots in names": Instrument(
        "ont", lambda: ont(_DOTTED, runs=(DOTTED,)), *one_unit(_DOTTED, _passed(_DOTTED)), {".": _summary()}
    ),
    "ONT with BAM and POD5": Instrument(
        "ont", lambda: ont(forms=("fastq", "bam", "pod5")), *one_unit(_ALIASES, _passed(_ALIASES)), {".": _summary()}
    ),
    "ONT pooled": Instrument(
        "ont-pooled", _pooled,
        {run.ids: _ALIASES for run in (FIRST, SECOND)},
        {run.ids: tuple(_passed(_ALIASES, run)) for run in (FIRST, SECOND)},
        {run.ids: _summary(run) for run in (FIRST, SECOND)},
        {"the second run crashed": Failure(crashed_before(_summary(SECOND)), "waiting", SECOND.ids)},
    ),
    "ONT test cell": base_calls_only("ont-test-cell", lambda: ont(runs=(TEST,)), _summary(TEST)),
}  # fmt: skip
