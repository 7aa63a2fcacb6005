"""From the files of a unit to samples, datasets and a Galaxy collection.

Samples come from file names, projects from the sample sheet or the folders, columns from the sheet. `group` also says
what is wrong with the structure as far as names tell: a missing or double read, a sheet that cannot be read or
matched, a sample without files. Nothing is lost and nothing comes twice: every taken file is in exactly one sample.
Rules and names in Galaxy are the plan's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.errors import PlanError
from watcher.model import LeftOut, PlannedCollection, PlannedDataset, PlannedElement, Sample, SampleFile
from watcher.runs.filenames import extension_for
from watcher.runs.pairing import double_reads, expected_reads, missing_reads
from watcher.runs.read_groups import ReadGroup
from watcher.runs.sample_sheet import SheetRow
from watcher.runs.sheet_match import match_sheet
from watcher.runs.view import Judgement, UnitView

COLLECTION_TYPES = ("auto", "list", "paired", "list:paired", "none")
_PAIR = {"R1", "R2"}


@dataclass(frozen=True, slots=True)
class StructureProblem:
    """One thing that is wrong without reading a file through; `path` is relative to the run folder."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """The samples of a unit; `problems` are reasons to stop, `left_out` files that belong to no sample, `remarks` what
    is odd and stops nothing.
    """

    samples: tuple[Sample, ...]
    problems: tuple[StructureProblem, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[StructureProblem, ...] = ()


def group(view: UnitView, judgement: Judgement) -> Grouping:
    """Return the samples of a unit by project and name, and what is wrong with them."""
    groups = view.groups
    match = match_sheet(view)
    problems = [
        StructureProblem(path, f"{sentence}.")
        for path, sentence in (*missing_reads(view, _needed(view)), *double_reads(view))
    ]
    sheet = view.sheet
    if sheet.problem:
        problems.append(StructureProblem(sheet.path, sheet.problem))
    problems += (StructureProblem(sheet.path, f"{clash}.") for clash in match.clashes)
    if match.is_of_others:
        names = sorted({one.sample for one in groups})
        told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        problems.append(StructureProblem(sheet.path, f"{sheet.path} names none of the samples {told}."))
    elif groups:
        problems += (
            StructureProblem(sheet.path, message) for message in _without_files(sheet.path, match.without_files)
        )
    samples = tuple(
        _sample(view, of_sample, match.rows.get((name, project), ()))
        for (project, name), of_sample in _by_sample(groups).items()
    )
    remarks = tuple(StructureProblem(sheet.path, f"{remark}.") for remark in match.remarks)
    return Grouping(samples, tuple(problems), judgement.left_out, remarks)


def datasets(samples: Iterable[Sample]) -> tuple[PlannedDataset, ...]:
    """Return one dataset for each sample, lane and read, in that order, with stable keys from 001 on.

    Chunks of one read become one dataset. Names are base names; equal ones get their folder, then a number appended.
    """
    parts: list[tuple[Sample, SampleFile, tuple[SampleFile, ...]]] = []
    for sample in sorted(samples, key=lambda one: (one.project, one.name)):
        chunks: dict[tuple[int, str], list[SampleFile]] = {}
        for file in sorted(sample.files, key=lambda one: (one.lane, one.read, one.path)):
            # Files without a read (a BAM) never belong together.
            chunks.setdefault((file.lane, file.read or file.path), []).append(file)
        parts += ((sample, files[0], tuple(files)) for files in chunks.values())
    names = _unique_names([first.path for _, first, _ in parts])
    width = max(3, len(str(len(parts))))
    return tuple(
        PlannedDataset(
            key=f"{number:0{width}d}",
            name=name,
            ext=extension_for(first.path.rsplit("/", 1)[-1]),
            sources=tuple(file.path for file in files),
            size=sum(file.size for file in files),
            sample=sample.name,
            read=first.read,
            lane=first.lane,
        )
        for number, ((sample, first, files), name) in enumerate(zip(parts, names, strict=True), start=1)
    )


def collection(
    type_: str,
    name: str,
    samples: Iterable[Sample],
    planned: Iterable[PlannedDataset],
    called: Callable[[Sample], str] | None = None,
) -> PlannedCollection | None:
    """Return a batch's collection, None for type `none`; `called` names the element of a sample, else its own name.

    `auto` is `list:paired` when every sample has exactly R1 and R2 in each of its lanes, else `list`. A sample with
    several lanes becomes elements `NAME_L001` and so on. Raises PlanError when the type cannot be made of these
    samples, or two elements would share a name.
    """
    if type_ not in COLLECTION_TYPES:
        raise PlanError(f"There is no collection type {type_!r}.", hint=f"Use one of {', '.join(COLLECTION_TYPES)}.")
    if type_ == "none":
        return None
    lanes = _lanes(samples, planned, called or (lambda sample: sample.name))
    if not lanes:
        raise PlanError(f"Collection {name} would be empty: there are no files.")
    unpaired = [lane.called for lane in lanes if set(lane.datasets) != _PAIR]
    if type_ == "auto":
        type_ = "list" if unpaired else "list:paired"
    elif type_ != "list" and unpaired:
        raise PlanError(
            f"Collection {name} cannot be {type_}: {unpaired[0]} has not exactly one R1 and one R2.",
            hint="Use collection: list or auto.",
        )
    if type_ == "paired":
        if len(lanes) > 1:
            raise PlanError(
                f"Collection {name} cannot be paired: it has {len(lanes)} pairs, {lanes[0].called} the first.",
                hint="Use collection: list:paired, or per: sample.",
            )
        return PlannedCollection(type=type_, name=name, elements=_pair(lanes[0].datasets))
    if type_ == "list:paired":
        elements = [PlannedElement(name=lane.called, elements=_pair(lane.datasets)) for lane in lanes]
    else:
        elements = [
            PlannedElement(
                name=f"{lane.called}_{read}" if read and len(lane.datasets) > 1 else lane.called, dataset=key
            )
            for lane in lanes
            for read, key in lane.datasets.items()
        ]
    twice = [called for called, count in Counter(element.name for element in elements).items() if count > 1]
    if twice:
        raise PlanError(
            f"Collection {name} would have {twice[0]} twice.",
            hint="Use per: project, another `element` in the destination, or rename one of the samples.",
        )
    return PlannedCollection(type=type_, name=name, elements=tuple(elements))


@dataclass(frozen=True, slots=True)
class _Lane:
    """The datasets of one sample in one lane, keys by read."""

    called: str
    datasets: Mapping[str, str]


def _needed(view: UnitView) -> tuple[str, ...]:
    # R2 alone is never right, whatever is known of the run.
    expected = expected_reads(view)
    return expected or (("R1",) if any("R2" in one.reads for one in view.groups) else ())


def _without_files(sheet: str, rows: Sequence[SheetRow]) -> Iterable[str]:
    for sample in dict.fromkeys(row.sample_id for row in rows):
        line = next(row.line for row in rows if row.sample_id == sample)
        yield f"{sheet}:{line}: sample {sample} has no files."


def _by_sample(groups: Iterable[ReadGroup]) -> Mapping[tuple[str, str], list[ReadGroup]]:
    samples: dict[tuple[str, str], list[ReadGroup]] = {}
    for one in groups:
        samples.setdefault((one.project, one.sample), []).append(one)
    return samples


def _sample(view: UnitView, groups: Sequence[ReadGroup], rows: Sequence[SheetRow]) -> Sample:
    files = tuple(
        SampleFile(path=path, read=read, lane=one.lane, size=view.listing.entries[path].size)
        for one in groups
        for read, paths in one.reads.items()
        for path in paths
    )
    cells: dict[str, list[str]] = {}
    for row in rows:
        for column, cell in row.cells.items():
            if cell and cell not in cells.setdefault(column, []):
                cells[column].append(cell)
    project = next((row.project for row in rows if row.project), "") or groups[0].project
    return Sample(
        name=groups[0].sample,
        project=project,
        files=files,
        columns={column: found[0] for column, found in cells.items() if found},
        several={column: tuple(found) for column, found in cells.items() if len(found) > 1},
    )


def _unique_names(paths: Sequence[str]) -> list[str]:
    plain = [path.rsplit("/", 1)[-1] for path in paths]
    counts = Counter(plain)
    longer = [
        f"{name} ({path.split('/')[-2]})" if counts[name] > 1 and "/" in path else name
        for name, path in zip(plain, paths, strict=True)
    ]
    given: set[str] = set()
    unique: list[str] = []
    for name in longer:
        wish, number = name, 2
        while wish in given:
            wish, number = f"{name} {number}", number + 1
        given.add(wish)
        unique.append(wish)
    return unique


def _lanes(
    samples: Iterable[Sample], planned: Iterable[PlannedDataset], called: Callable[[Sample], str]
) -> list[_Lane]:
    by_source = {source: dataset for dataset in planned for source in dataset.sources}
    lanes: list[_Lane] = []
    for sample in sorted(samples, key=lambda one: (one.project, one.name)):
        by_lane: dict[tuple[int, str], dict[str, str]] = {}
        for file in sorted(sample.files, key=lambda one: (one.lane, one.read, one.path)):
            dataset = by_source.get(file.path)
            if dataset is None:
                raise PlanError(f"{file.path} of sample {sample.name} is in no dataset.")
            alone = "" if file.read else file.path
            by_lane.setdefault((file.lane, alone), {})[file.read] = dataset.key
        several, element = len({lane for lane, _ in by_lane}) > 1, called(sample)
        lanes += (
            _Lane(f"{element}_L{lane:03d}" if several and lane else element, reads)
            for (lane, _), reads in by_lane.items()
        )
    return lanes


def _pair(reads: Mapping[str, str]) -> tuple[PlannedElement, ...]:
    return (PlannedElement(name="forward", dataset=reads["R1"]), PlannedElement(name="reverse", dataset=reads["R2"]))
