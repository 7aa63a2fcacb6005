"""What a rule takes of a sample: which reads, which kinds of files, and how its lanes hang together.

Pure: samples in, samples out. Which samples a rule takes at all is said by the rule itself, how files become datasets
by `grouping.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from watcher.model import Sample, SampleFile
from watcher.runs.collecting import PAIR
from watcher.runs.filenames import fits, kind_of_reads


def portion(
    sample: Sample,
    *,
    reads: Collection[str] = (),
    kinds: Collection[str] = (),
    files: Collection[str] = ("*",),
    keeps_lanes: bool = False,
) -> tuple[Sample, ...]:
    """Return the sample with the files that are asked for, or one for each of its lanes; none when no file is left.

    Without `reads` or `kinds` it has what its layout takes by itself; `files` are patterns of which one must fit.
    """
    kept = tuple(file for file in sample.files if _is_asked_for(file, reads, kinds) and fits(file.path, files))
    if not kept:
        return ()
    lanes = sorted({file.lane for file in kept})
    if not keeps_lanes or lanes == [0]:
        return (sample.model_copy(update={"files": kept}),)
    return tuple(
        sample.model_copy(
            update={
                "name": f"{sample.name}_L{lane:03d}" if lane else sample.name,
                "files": tuple(file for file in kept if file.lane == lane),
            }
        )
        for lane in lanes
    )


def pair_of(reads: Collection[str]) -> tuple[str, str]:
    """Return the reads that make a pair, forward first: the two that are asked for, else R1 and R2."""
    asked = [read for read in reads if read.startswith("R")]
    return (asked[0], asked[1]) if len(asked) == 2 else PAIR


def _is_asked_for(file: SampleFile, reads: Collection[str], kinds: Collection[str]) -> bool:
    # What is there because another rule asks for it is either a read of no use to most, or of another kind.
    as_read = file.read in reads if reads and file.read else not (file.extra and file.read)
    as_kind = kind_of_reads(file.path) in kinds if kinds else not (file.extra and not file.read)
    return as_read and as_kind
