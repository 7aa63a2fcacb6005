"""Results on their way home: what can be read of them, how far a copy was compared, and who makes blocking calls.

Words that the rooms share, like those of `model.py`; nothing here knows Galaxy, a target or a row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from watcher.model import DatasetId

T = TypeVar("T")

MANIFEST = "MANIFEST.sha256"
"""What every place that results are brought to ends with."""

RECORD, REPORT, LOGS = "record", "report", "logs"
BESIDE: Mapping[str, tuple[str, ...]] = {
    RECORD: ("batch.json", "ro-crate-metadata.json"),
    REPORT: ("report.md",),
    LOGS: ("failed_jobs.txt",),
}
"""What may lie beside the results, with its names; no result is given one of them where it is asked for."""

OURS = frozenset({MANIFEST, *(name for names in BESIDE.values() for name in names)})
"""Names of files that the watcher itself writes."""

SIZE, SAMPLE, SHA256 = "size", "size+sample", "SHA-256"

CHECK_LEVELS = ("", SIZE, SAMPLE, SHA256)
"""How far something was compared with what Galaxy has, weakest first; a sample is some of the bytes, read back."""


RESULT_FIELDS: Mapping[str, str] = {
    "output": "label of the output",
    "element": "identifiers of the element in its collection, S1_forward; nothing where there is no collection",
    "element.1": "its identifier in the outermost collection, S1; {element.2} and {element.3} those further in",
    "element.2": "",
    "element.3": "",
    "name": "name of the dataset in Galaxy",
    "ext": "extension of its datatype",
}
"""What the name of a delivered file may be made of, besides what places are made of, and what it means."""


def weakest(levels: Iterable[str]) -> str:
    """Return the weakest level of check; of nothing, none."""
    return min(levels, key=CHECK_LEVELS.index, default="")


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One result that can be read from any offset; `parts` are the name's path components before sanitising.

    `member` says which file of the dataset it is: its own bytes (""), an index that Galaxy made of it
    (`metadata:bam_index`) or one of the files beside it (`extra:plots/one.svg`). `suffix` is what its name has more
    than that of the dataset's own bytes, as an index has `.bai`: the two keep their names together. The last `within`
    parts lie in a folder that the result has to itself. `name` is what the dataset is called in Galaxy.
    """

    galaxy_id: DatasetId
    parts: tuple[str, ...]
    ext: str
    size: int
    sha256: str = ""  # empty where Galaxy lists none
    member: str = ""
    suffix: str = ""
    within: int = 0
    name: str = ""

    @property
    def checked(self) -> str:
        """How far a copy of it can be compared with what Galaxy has: by SHA-256, or only by size."""
        return SHA256 if self.sha256 else SIZE


class ResultSource(Protocol):
    """Where a delivery reads results from, without knowing Galaxy."""

    def read(self, file: ResultFile, offset: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the bytes from `offset` on."""
        ...


class BlockingCalls(Protocol):
    """Runs a blocking call on the threads that belong to a place, so that a hung file system blocks nobody else."""

    async def __call__(self, place: Path, call: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises."""
        ...
