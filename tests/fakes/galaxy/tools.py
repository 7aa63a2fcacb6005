"""The tools this server has, with what they really do to the bytes.

`count_reads`, `wait_then_exit`, `enough_reads`, `dies_once` and `page_with_files` are tools of the real test server;
`join_files` and `count_pairs` are here for inputs that take many datasets or a pair at once. A run gets paths and gives
an exit code; states and waiting are in `engine.py`.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from tests.fakes.galaxy.bytes_on_disk import folder_beside


@dataclass(frozen=True)
class ToolInput:
    """One input; `kind` is data, many (a list of datasets), collection, integer or text."""

    name: str
    kind: str
    label: str
    default: str = ""
    collection_type: str = ""
    extensions: tuple[str, ...] = ("data",)


@dataclass(frozen=True)
class ToolOutput:
    """One output; no `ext` means that of the first input; `{name}` in the label is the name of the first input."""

    name: str
    ext: str = ""
    label: str = ""


@dataclass(frozen=True)
class Run:
    """What a tool is run with; `results` is the folder of the server's file source."""

    inputs: Mapping[str, Sequence[Path]]
    params: Mapping[str, Any]
    outputs: Mapping[str, Path]
    results: Path


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool; `seconds_of` reads from the parameters how long it works."""

    id: str
    name: str
    inputs: tuple[ToolInput, ...]
    outputs: tuple[ToolOutput, ...]
    run: Callable[[Run], Ending]
    seconds_of: Callable[[Mapping[str, Any]], float] = lambda params: 0.0
    version: str = "1.0"

    def input(self, name: str) -> ToolInput | None:
        """Find an input by name."""
        return next((one for one in self.inputs if one.name == name), None)


def _open_text(path: Path) -> IO[bytes]:
    with path.open("rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _count(paths: Sequence[Path], shortest: int) -> tuple[int, int]:
    reads = bases = 0
    for path in paths:
        with _open_text(path) as lines:
            for number, line in enumerate(lines):
                length = len(line.rstrip())
                if number % 4 == 1 and length >= shortest:
                    reads += 1
                    bases += length
    return reads, bases


def _count_reads(run: Run) -> Ending:
    try:
        reads, bases = _count(run.inputs["reads"], int(run.params.get("minlen") or 0))
    except (OSError, EOFError, ValueError) as problem:
        return Ending(1, stderr=f"{type(problem).__name__}: {problem}\n")
    run.outputs["counts"].write_text(f"reads\t{reads}\nbases\t{bases}\n")
    return Ending()


def _wait_then_exit(run: Run) -> Ending:
    code = int(run.params.get("code") or 0)
    shutil.copyfile(run.inputs["infile"][0], run.outputs["out"])
    return Ending(code, stderr=f"exit code {code}\n")


def _enough_reads(run: Run) -> Ending:
    reads = _count(run.inputs["reads"], 0)[0]
    if reads < int(run.params.get("least") or 0):
        return Ending(1, stderr=f"{reads} reads are too few\n")
    run.outputs["counts"].write_text(f"reads\t{reads}\n")
    return Ending()


def _dies_once(run: Run) -> Ending:
    mark = Path(str(run.params["mark"]))
    if not mark.exists():
        mark.mkdir()
        return Ending(137)
    shutil.copyfile(run.inputs["infile"][0], run.outputs["out"])
    return Ending()


def _page_with_files(run: Run) -> Ending:
    beside = folder_beside(run.outputs["page"])
    (beside / "plots" / "deep").mkdir(parents=True)
    shutil.copyfile(run.inputs["infile"][0], beside / "copy.txt")
    (beside / "index").write_text("no page")
    (beside / "plots" / "one plot.svg").write_text("a plot")
    (beside / "plots" / "deep" / ".hidden").write_text("far down")
    run.outputs["page"].write_text('<a href="plots/one plot.svg">one</a>')
    return Ending()


def _join_files(run: Run) -> Ending:
    with run.outputs["joined"].open("wb") as target:
        for path in run.inputs["files"]:
            with path.open("rb") as source:
                shutil.copyfileobj(source, target)
    return Ending()


def _count_pairs(run: Run) -> Ending:
    forward, reverse = (_count([path], 0)[0] for path in run.inputs["pair"])
    run.outputs["counts"].write_text(f"forward\t{forward}\nreverse\t{reverse}\n")
    return Ending(0 if forward == reverse else 1, stderr="" if forward == reverse else "the two ends differ\n")


def _export_remote(run: Run) -> Ending:
    folder = Path(str(run.params["folder"]))
    chosen = run.params["export_type"]["datasets"]
    try:
        for number, one in enumerate(chosen):
            place = folder / one["name"].lstrip(".")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.inputs[f"export_type|datasets_{number}|infile"][0], place)
    except OSError as problem:
        return Ending(1, stderr=f"{type(problem).__name__}: {problem}\n")
    run.outputs["out"].write_text(f"{len(chosen)} out of {len(chosen)} files have been exported.\n\n")
    return Ending()


def _send_to_cloud(run: Run) -> Ending:
    bucket = run.results.parent / "buckets" / str(run.params["bucket"])
    said = "[3/5] Accessing bucket.\n"
    if not bucket.is_dir():
        return Ending(1, said, "galaxy.exceptions.ObjectNotFound: Could not find the specified bucket\n")
    label = str(run.params["object_label"])
    if not run.params["overwrite_existing"] and (bucket / label).exists():
        label += "_261122_121500"
    try:
        shutil.copyfile(run.inputs["filename"][0], bucket / label)
    except OSError:
        said += "Failed to send the dataset.\n"
    return Ending(0, said + "Finished successfully.\n")


_FASTQ = ("fastq", "fastq.gz")
COUNT_READS = Tool(
    id="count_reads",
    name="Count FASTQ reads",
    inputs=(
        ToolInput("reads", "data", "Reads", extensions=_FASTQ),
        ToolInput("minlen", "integer", "Shortest read to count", default="0"),
    ),
    outputs=(ToolOutput("counts", "tabular", "Read count of {name}"),),
    run=_count_reads,
)
WAIT_THEN_EXIT = Tool(
    id="wait_then_exit",
    name="Wait, then exit with a code",
    inputs=(
        ToolInput("infile", "data", "Input"),
        ToolInput("seconds", "integer", "Seconds", default="1"),
        ToolInput("code", "integer", "Exit code", default="0"),
    ),
    outputs=(ToolOutput("out"),),
    run=_wait_then_exit,
    seconds_of=lambda params: float(params.get("seconds") or 0),
)
ENOUGH_READS = Tool(
    id="enough_reads",
    name="Count reads, if there are enough",
    inputs=(
        ToolInput("reads", "data", "Reads", extensions=_FASTQ),
        ToolInput("least", "integer", "So many reads are enough", default="10"),
    ),
    outputs=(ToolOutput("counts", "tabular"),),
    run=_enough_reads,
)
DIES_ONCE = Tool(
    id="dies_once",
    name="Copy, unless it is the first time",
    inputs=(ToolInput("infile", "data", "Input"), ToolInput("mark", "text", "Folder to make the first time")),
    outputs=(ToolOutput("out"),),
    run=_dies_once,
)
PAGE_WITH_FILES = Tool(
    id="page_with_files",
    name="Make a page with files beside it",
    inputs=(ToolInput("infile", "data", "Input"),),
    outputs=(ToolOutput("page", "html"),),
    run=_page_with_files,
)
JOIN_FILES = Tool(
    id="join_files",
    name="Join files",
    inputs=(ToolInput("files", "many", "Files"),),
    outputs=(ToolOutput("joined"),),
    run=_join_files,
)
COUNT_PAIRS = Tool(
    id="count_pairs",
    name="Count read pairs",
    inputs=(ToolInput("pair", "collection", "Pair", collection_type="paired", extensions=_FASTQ),),
    outputs=(ToolOutput("counts", "tabular", "Pair count"),),
    run=_count_pairs,
)
EXPORT_REMOTE = Tool(
    id="export_remote",
    name="Export datasets",
    inputs=(),
    outputs=(ToolOutput("out", "txt", "Export logs"),),
    run=_export_remote,
    version="0.1.0",
)
SEND_TO_CLOUD = Tool(
    id="send_to_cloud",
    name="Send to cloud",
    inputs=(),
    outputs=(ToolOutput("output", "data"),),
    run=_send_to_cloud,
    version="0.1.0",
)
TOOLS = {
    tool.id: tool
    for tool in (
        COUNT_READS, WAIT_THEN_EXIT, ENOUGH_READS, DIES_ONCE, PAGE_WITH_FILES, JOIN_FILES, COUNT_PAIRS, EXPORT_REMOTE,
        SEND_TO_CLOUD,
    )
}  # fmt: skip
