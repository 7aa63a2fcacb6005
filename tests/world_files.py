"""What a test world is made of on the disk: FASTQ, a run folder of BCL Convert, and the workflow that counts its reads.

Everything is small, real and the same each time. `world.py` puts it together; more platforms are in
`runs/run_folders.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
WORKFLOW = "Count reads"
RUN = "260228_M02439_0043_000000000-KT42M"


def fastq(reads: int = 4, *, read: int = 1, bases: int = 20) -> bytes:
    """Return plain FASTQ of some reads; the bases are random, so that packing makes it about a third as large."""
    chance = random.Random(reads * 10 + read)
    return b"".join(
        b"@M1:1:FC:1:1:%d:1 %d:N:0:1\n%s\n+\n%s\n"
        % (number, read, bytes(chance.choices(b"ACGT", k=bases)), b"I" * bases)
        for number in range(reads)
    )


def packed(content: bytes) -> bytes:
    """Return the gzip of some bytes, the same for the same bytes."""
    return gzip.compress(content, compresslevel=1, mtime=0)


def counting_workflow(
    name: str = WORKFLOW, *, exit_code: int = 0, seconds: int = 0, shape: str = "list:paired"
) -> Json:
    """Return a workflow that counts the reads of each dataset; its last tool waits and ends with `exit_code`.

    Outputs are labelled `read counts` and `copy`; inputs `Reads` (a collection of that shape) and `minlen`.
    """
    return {
        "class": "GalaxyWorkflow",
        "label": name,
        "inputs": {
            "Reads": {"type": "collection", "collection_type": shape, "format": ["fastqsanger", "fastqsanger.gz"]},
            "minlen": {"type": "int", "default": 0, "optional": True},
        },
        "outputs": {"read counts": {"outputSource": "count/counts"}, "copy": {"outputSource": "wait/out"}},
        "steps": {
            "count": {
                "tool_id": "count_reads", "tool_version": "1.0", "in": {"reads": "Reads", "minlen": "minlen"},
            },
            "wait": {
                "tool_id": "wait_then_exit", "tool_version": "1.0", "in": {"infile": "count/counts"},
                "state": {"seconds": seconds, "code": exit_code},
            },
        },
    }  # fmt: skip


def write_bclconvert(
    folder: Path, samples: Iterable[str] = ("S1", "S2"), *, reads: int = 4, bases: int = 20, marker: bool = True
) -> Path:
    """Write the finished output of BCL Convert: pairs of gz FASTQ, sheet and reports, the marker last."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("Reports", "Logs"):
        (folder / part).mkdir(exist_ok=True)
    samples = tuple(samples)
    rows = ["RGID,RGSM,RGLB,Lane,Read1File,Read2File"]
    for number, sample in enumerate(samples, start=1):
        names = [f"{sample}_S{number}_L001_R{read}_001.fastq.gz" for read in (1, 2)]
        for read, name in enumerate(names, start=1):
            (folder / name).write_bytes(packed(fastq(reads, read=read, bases=bases)))
        rows.append(f"x.{number},{sample},UnknownLibrary,1,{names[0]},{names[1]}")
    (folder / "Reports" / "fastq_list.csv").write_text("\n".join(rows) + "\n")
    (folder / "Reports" / "RunInfo.xml").write_text(
        f'<?xml version="1.0"?><RunInfo><Run Id="{folder.name}" Number="1"><Reads>'
        '<Read Number="1" NumCycles="20" IsIndexedRead="N"/><Read Number="2" NumCycles="8" IsIndexedRead="Y"/>'
        '<Read Number="3" NumCycles="20" IsIndexedRead="N"/></Reads></Run></RunInfo>'
    )
    (folder / "Reports" / "SampleSheet.csv").write_text(
        "[Header]\nFileFormatVersion,2\n[BCLConvert_Data]\nSample_ID,Index\n"
        + "".join(f"{sample},ACGTACGT\n" for sample in samples)
    )
    (folder / "Logs" / "Info.log").write_text("started\n")
    if marker:
        (folder / "Logs" / "FastqComplete.txt").touch()
    return folder


def tree_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return every path below a folder with mode, mtime and SHA-256: what must be the same when nothing was written."""
    tree = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        tree[str(path.relative_to(folder))] = (facts.st_mode, facts.st_mtime_ns, digest)
    return tree
