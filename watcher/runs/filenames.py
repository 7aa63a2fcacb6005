"""What the name of a file of reads says, and which extension Galaxy calls it.

`parse_fastq_name` knows Illumina's form alone and reads it from the right, because sample names may hold
`_S1_L001_R1_` themselves. `parse_names` reads a whole folder of names, with a layout's own pattern or with the forms
people use (`x_R1.fastq.gz`, `x_1.fq.gz`). Knows no layout and no folder; what becomes of samples is decided in
`grouping.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

# Illumina's documented form; the last part is always 001, older converters counted chunks of a sample with it.
ILLUMINA = re.compile(
    r"(?P<sample>.+)_S(?P<number>\d+)(?:_L(?P<lane>\d{3}))?_(?P<read>[RI]\d)_(?P<chunk>\d{3})"
    r"\.(?:fastq|fq)(?:\.gz|\.bz2|\.ora)?"
)
_FASTQ_END = r"\.(?:fastq|fq)(?:\.gz|\.bz2)?"
_WRITTEN_OUT = re.compile(
    rf"(?P<sample>.+?)(?:[._-]L(?P<lane>\d{{3}}))?[._-](?P<read>[RI][1-4])(?:_(?P<chunk>\d{{3}}))?{_FASTQ_END}",
    re.IGNORECASE,
)
_NUMBERED = re.compile(rf"(?P<sample>.+)_(?P<read>\d+){_FASTQ_END}", re.IGNORECASE)
_STEM = re.compile(
    r"(?P<stem>.+?)\.(?:(?:fastq|fq|fasta|fa|fna|vcf|sam)(?:\.gz|\.bz2|\.ora)?|bam|cram|pod5|fast5)", re.IGNORECASE
)
READS = re.compile(r".*\.(?:fastq|fq|bam|cram|pod5)(?:\.[^/]*)?", re.IGNORECASE)
"""Names that look like reads, finished or in the middle of a transfer."""

LANE = re.compile(r"_L\d{3}(?=_[RI]\d)")
"""The lane in a name of Illumina's form."""

_ENDING = re.compile(r"\.(?:[A-Za-z0-9]+\.(?:gz|bz2)|[A-Za-z0-9]+)$")
_KIND = re.compile(r"\.(fastq|fq|bam|cram|pod5)(?:\.gz|\.bz2)?$", re.IGNORECASE)
_FOLDS = str.maketrans(" _.", "---")
_EXTENSIONS: Mapping[str, str] = {
    ".fastq.gz": "fastqsanger.gz",
    ".fq.gz": "fastqsanger.gz",
    ".fastq.bz2": "fastqsanger.bz2",
    ".fq.bz2": "fastqsanger.bz2",
    ".fastq": "fastqsanger",
    ".fq": "fastqsanger",
    ".fasta.gz": "fasta.gz",
    ".fa.gz": "fasta.gz",
    ".fna.gz": "fasta.gz",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".fna": "fasta",
    # Galaxy sorts what is uploaded as `bam` unless it is sorted already (26.1.2), and then holds other bytes than we
    # sent; what comes from a sequencer is not aligned, let alone sorted.
    ".bam": "unsorted.bam",
    ".cram": "cram",
    ".sam": "sam",
    ".vcf.gz": "vcf_bgzip",
    ".vcf": "vcf",
    ".bed": "bed",
    ".gff3": "gff3",
    ".gtf": "gtf",
    ".csv": "csv",
    ".tsv": "tabular",
    ".tabular": "tabular",
    ".txt": "txt",
    ".log": "txt",
    ".json": "json",
    ".xml": "xml",
    ".html": "html",
    ".pdf": "pdf",
    ".png": "png",
    ".zip": "zip",
    ".tar": "tar",
}


@dataclass(frozen=True, slots=True)
class FastqName:
    """The parts of Illumina's `<sample>_S<number>[_L<lane>]_<read>_<chunk>.fastq.gz`; `lane` 0 = not split."""

    sample: str
    number: int
    lane: int
    read: str
    chunk: int

    @property
    def is_undetermined(self) -> bool:
        """Tell whether no index claimed these reads: Illumina numbers them S0, whatever they are called."""
        return self.number == 0


@dataclass(frozen=True, slots=True)
class ReadsName:
    """What a name says whatever its form: `read` is R1, R2 … or "" when untold, `number` the S number or None."""

    sample: str
    read: str = ""
    lane: int = 0
    chunk: int = 1
    number: int | None = None
    stem: str = ""  # everything before the read but for the lane: the same for all reads of a sample


def parse_fastq_name(name: str) -> FastqName | None:
    """Return the parts of a name of Illumina's form, None for any other."""
    found = ILLUMINA.fullmatch(name)
    if found is None:
        return None
    return FastqName(found["sample"], int(found["number"]), int(found["lane"] or 0), found["read"], int(found["chunk"]))


def parse_names(names: Iterable[str], pattern: re.Pattern[str] | None = None) -> dict[str, ReadsName]:
    """Return what each base name says; with a layout's `pattern`, names it does not match are read like any other.

    `x_1` and `x_2` are two reads of `x` unless there is an `x_3`: then these are numbers of samples.
    """
    names = sorted(set(names))
    highest: dict[str, int] = {}
    for name in names:
        if (found := _NUMBERED.fullmatch(name)) is not None:
            number = int(found["read"]) if len(found["read"]) < 4 else 9
            highest[found["sample"]] = max(highest.get(found["sample"], 0), number, 9 if number == 0 else 0)
    return {name: _parsed(name, pattern, highest) for name in names}


def extension_for(name: str) -> str:
    """Return Galaxy's extension for a file name, `data` when the name says nothing Galaxy knows."""
    parts = name.lower().rsplit(".", 2)
    for count in (2, 1):
        if len(parts) > count and (ext := _EXTENSIONS.get("." + ".".join(parts[-count:]))) is not None:
            return ext
    return "data"


def ending_of(name: str) -> str:
    """Return the ending of a name or path, of packed files with what is packed: `.fastq.gz`, `.bam`."""
    found = _ENDING.search(name)
    return found[0] if found else ""


def kind_of_reads(name: str) -> str:
    """Return which kind of reads a file holds by its name: fastq, bam, cram or pod5, "" for anything else."""
    found = _KIND.search(name)
    kind = found[1].lower() if found else ""
    return "fastq" if kind == "fq" else kind


def fits(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether a path fits one of these patterns with `*` and `?`: with a / in it the path itself, else its last
    part.
    """
    name = path.rsplit("/", 1)[-1]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def folded(name: str) -> str:
    """Return a sample name as converters spell it in file names: case apart, blanks, `_` and `.` become `-`."""
    return name.strip().translate(_FOLDS).casefold()


def name_from(found: re.Match[str]) -> ReadsName:
    """Return what the groups of a match say: sample, read, lane, chunk, number (or snum); a group that took no part
    says nothing.
    """
    groups = found.groupdict()
    read = (groups.get("read") or "").upper()
    lane = re.sub(r"\D", "", groups.get("lane") or "")
    number = groups.get("number") or groups.get("snum")
    return ReadsName(
        sample=groups.get("sample") or "",
        read=f"R{read}" if read.isdigit() else read,
        lane=int(lane or 0),
        chunk=int(groups.get("chunk") or 1),
        number=int(number) if number else None,
        stem=_stem(found) if groups.get("read") else found.string,
    )


def _parsed(name: str, pattern: re.Pattern[str] | None, highest: Mapping[str, int]) -> ReadsName:
    if pattern is not None and (found := pattern.fullmatch(name)) is not None:
        return name_from(found)
    if (found := ILLUMINA.fullmatch(name)) is not None or (found := _WRITTEN_OUT.fullmatch(name)) is not None:
        return name_from(found)
    found = _NUMBERED.fullmatch(name)
    if found is not None and found["read"] in ("1", "2") and highest[found["sample"]] <= 2:
        return name_from(found)
    stem = found["stem"] if (found := _STEM.fullmatch(name)) is not None else name
    return ReadsName(sample=stem, stem=name)


def _stem(found: re.Match[str]) -> str:
    """Return what stands before the read, without the lane and the separator and `L` in front of it."""
    before, lane = found.string[: found.start("read")], "lane" in found.re.groupindex and found["lane"]
    if lane and found.end("lane") <= len(before):
        before = re.sub(r"[._-]?L?\Z", "", before[: found.start("lane")]) + before[found.end("lane") :]
    return before.strip("._-") if lane else before.rstrip("._-")
