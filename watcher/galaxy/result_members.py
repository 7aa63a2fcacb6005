"""Which files a good result has, besides its own bytes: the index of an alignment, the files beside an html page.

A dataset is one file most of the time. An alignment has an index, which programs look for beside it under the same
name. What reports and composite datatypes are made of lies in a folder of its own, which comes home as a folder named
after the result, the dataset's own bytes within. Their sizes are asked for one by one, for Galaxy lists none; hashes
there are none. Knows no delivery and no label's meaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from watcher.galaxy.datasets import EXTRA, METADATA, Datasets
from watcher.results import ResultFile

INDEXES = {"bam_index": "bai", "bam_csi_index": "csi", "cram_index": "crai"}
"""Galaxy's name for an index, and what its file is called after."""

BAI = b"BAI\x01"
"""How a BAI index begins. Where a reference is longer than one can hold, Galaxy makes a CSI index and keeps it as
`bam_index` all the same (measured on 24.1.4 and 26.1.2).
"""

INDEXED = frozenset({"bam", "cram"})
"""Extensions of what Galaxy makes an index for; an alignment in another order has none."""

# fmt: off
SINGLE = (
    "fastq", "fasta", "bam", "qname_sorted.bam", "unsorted.bam", "qname_input_sorted.bam", "cram", "sam", "vcf", "bcf",
    "bed", "gff", "gff3", "gtf", "interval", "wig", "bigwig", "bigbed", "tabular", "csv", "tsv", "txt", "json", "xml",
    "yaml", "pdf", "png", "jpg", "svg", "zip", "tar", "gz", "pod5", "fast5.tar",
)
# fmt: on
"""Extensions of single files, also with more behind them (`vcf_bgzip`, `fastqsanger.gz`); all others are asked for
files beside them.
"""

AT_ONCE = 8


async def members_of(datasets: Datasets, file: ResultFile) -> list[ResultFile]:
    """Return the file and what belongs to it; in a folder of its own where there are files beside it."""
    if file.ext in INDEXED:
        return [file, *await _indexes(datasets, file)]
    if _is_single(file.ext):
        return [file]
    paths = await datasets.extra_files(file.galaxy_id)
    if not paths:
        return [file]
    own = replace(file, parts=(*file.parts, file.parts[-1]), within=1)
    beside = [_beside(file, path) for path in paths]
    return await _measured(datasets, [own, *beside])


def _beside(file: ResultFile, path: str) -> ResultFile:
    parts = path.split("/")
    member = f"{EXTRA}{path}"
    return replace(file, parts=(*file.parts, *parts), ext="", size=0, sha256="", member=member, within=len(parts))


async def _indexes(datasets: Datasets, file: ResultFile) -> list[ResultFile]:
    there = (await datasets.get(file.galaxy_id)).meta_files
    found = []
    for name, suffix in INDEXES.items():
        if name in there:
            index = replace(file, size=0, sha256="", member=f"{METADATA}{name}", suffix=suffix)
            if name == "bam_index" and await _beginning(datasets, index) != BAI:
                index = replace(index, suffix=INDEXES["bam_csi_index"])
            found.append(index)
    return await _measured(datasets, found)


async def _beginning(datasets: Datasets, file: ResultFile) -> bytes:
    start = b""
    async with datasets.open_member(file.galaxy_id, file.member) as pieces:
        async for piece in pieces:
            start += piece
            if len(start) >= len(BAI):
                break
    return start[: len(BAI)]


async def _measured(datasets: Datasets, files: Sequence[ResultFile]) -> list[ResultFile]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def measured(file: ResultFile) -> ResultFile:
        async with turns:
            return replace(file, size=await datasets.member_size(file.galaxy_id, file.member))

    return list(await asyncio.gather(*(measured(file) for file in files)))


def _is_single(ext: str) -> bool:
    known = any(ext == one or ext.startswith((f"{one}.", f"{one}_")) for one in SINGLE)
    return known or ext.startswith("fastq")
