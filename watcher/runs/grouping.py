"""From the files of a unit to samples, datasets and a Galaxy collection.

Samples come from file names, projects from the sample sheet or the folders, columns from the sheet. `group` also says
what is wrong with the structure as far as names tell: a missing or double read, a sheet that cannot be read or
matched, a sample without files. Nothing is lost and nothing comes twice: every taken file is in exactly one sample.
Rules and names in Galaxy are the plan's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.errors import PlanError
from watcher.model import LeftOut, PlannedCollection, PlannedDataset, PlannedElement, Sample, SampleFile
from watcher.runs.filenames import LANE, ending_of, extension_for, kind_of_reads
from watcher.runs.manifests import missing_reads_of_lists
from watcher.runs.pairing import double_reads, expected_reads, missing_reads
from watcher.runs.read_groups import ReadGroup
from watcher.runs.sample_sheet import SheetRow
from watcher.runs.sheet_match import match_sheet
from watcher.runs.view import Judgement, UnitView

COLLECTION_TYPES = ("auto", "list", "paired", "list:paired", "none")
NO_READS = "no reads in it (0 records)"
PAIR = ("R1", "R2")
"""The reads of a pair, forward first, where no rule says otherwise."""


@dataclass(frozen=True, slots=True)
class StructureProblem:
    """One thing that is wrong without reading a file through; `path` is relative to the run folder. `lacks_files`: a
    sample of the sheet has none at all.
    """

    path: str
    message: str
    lacks_files: bool = False


@dataclass(frozen=True, slots=True)
class Grouping:
    """The samples of a unit; `problems` are reasons to stop, `left_out` files that belong to no sample, `remarks` what
    is odd and stops nothing.
    """

    samples: tuple[Sample, ...]
    problems: tuple[StructureProblem, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[StructureProblem, ...] = ()


def group(view: UnitView, judgement: Judgement, empty: Collection[str] = ()) -> Grouping:
    """Return the samples of a unit by project and name, and what is wrong with them; `empty` are files without a single
    read.
    """
    groups, without_reads, half_empty = _with_reads(view, frozenset(empty))
    match = match_sheet(view)
    problems = [
        StructureProblem(path, f"{sentence}.")
        for path, sentence in (
            *missing_reads(view, _needed(view)),
            *double_reads(view),
            *half_empty,
            *missing_reads_of_lists(view),
        )
    ]
    sheet = view.sheet
    if sheet.problem:
        problems.append(StructureProblem(sheet.path, sheet.problem))
    problems += (StructureProblem(sheet.path, f"{clash}.") for clash in match.clashes)
    remarks = [StructureProblem(sheet.path, f"{remark}.") for remark in match.remarks]
    if match.is_of_others:
        names = sorted({one.sample for one in groups})
        told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        problems.append(StructureProblem(sheet.path, f"{sheet.path} names none of the samples {told}."))
    elif groups:
        lacking = remarks if view.no_files == "skip" else problems
        lacking += (
            StructureProblem(sheet.path, message, lacks_files=True)
            for message in _without_files(sheet.path, match.without_files)
        )
    samples = tuple(
        _sample(view, match.called.get((name, project), name), of_sample, match.rows.get((name, project), ()))
        for (project, name), of_sample in _by_sample(groups).items()
    )
    if without_reads and not groups:
        problems.append(StructureProblem(without_reads[0].path, "No sample of it has a single read."))
    return Grouping(samples, tuple(problems), (*judgement.left_out, *without_reads), tuple(remarks))


def datasets(samples: Iterable[Sample], *, joins_lanes: bool = False) -> tuple[PlannedDataset, ...]:
    """Return one dataset for each sample, lane and read, in that order, with stable keys from 001 on.

    Parts of one read become one dataset, with `joins_lanes` those of all lanes: FASTQ, packed or not, may be put end to
    end. Names are base names of files, of the sample where parts are joined; equal ones get their folder, then a
    number appended.
    """
    joined: list[tuple[Sample, tuple[SampleFile, ...]]] = []
    for sample in sorted(samples, key=lambda one: (one.project, one.name)):
        parts: dict[tuple[int, str, str], list[SampleFile]] = {}
        for file in sorted(sample.files, key=lambda one: (one.lane, one.read, one.part or 0, one.path)):
            lane = 0 if joins_lanes and file.part is not None else file.lane
            # Files without a part (a BAM) never belong together, nor do packed and plain ones.
            parts.setdefault((lane, file.read, file.path if file.part is None else ending_of(file.path)), []).append(
                file
            )
        joined += ((sample, tuple(files)) for files in parts.values())
    names = _unique_names([(_name_of(sample, files), files[0].path) for sample, files in joined])
    width = max(3, len(str(len(joined))))
    return tuple(
        PlannedDataset(
            key=f"{number:0{width}d}",
            name=name,
            ext=extension_for(files[0].path.rsplit("/", 1)[-1]),
            sources=tuple(file.path for file in files),
            size=sum(file.size for file in files),
            sample=sample.name,
            read=files[0].read,
            lane=files[0].lane if len({file.lane for file in files}) == 1 else 0,
        )
        for number, ((sample, files), name) in enumerate(zip(joined, names, strict=True), start=1)
    )


def collection(
    type_: str,
    name: str,
    samples: Iterable[Sample],
    planned: Iterable[PlannedDataset],
    pair: tuple[str, str] = PAIR,
    called: Callable[[Sample], str] | None = None,
) -> PlannedCollection | None:
    """Return a batch's collection, None for type `none`; `called` names the element of a sample, else its own name.

    `auto` is `list:paired` when every sample has exactly the two reads of a `pair` in each of its lanes, else `list`. A
    sample with several lanes becomes elements `NAME_L001` and so on. Raises PlanError when the type cannot be made of
    these samples, or two elements would share a name.
    """
    if type_ not in COLLECTION_TYPES:
        raise PlanError(f"There is no collection type {type_!r}.", hint=f"Use one of {', '.join(COLLECTION_TYPES)}.")
    if type_ == "none":
        return None
    lanes = _lanes(samples, planned, called or (lambda sample: sample.name))
    if not lanes:
        raise PlanError(f"Collection {name} would be empty: there are no files.")
    unpaired = [lane.called for lane in lanes if set(lane.datasets) != set(pair)]
    if type_ == "auto":
        type_ = "list" if unpaired else "list:paired"
    elif type_ != "list" and unpaired:
        raise PlanError(
            f"Collection {name} cannot be {type_}: {unpaired[0]} has not exactly one {pair[0]} and one {pair[1]}.",
            hint="Use collection: list or auto.",
        )
    if type_ == "paired":
        if len(lanes) > 1:
            raise PlanError(
                f"Collection {name} cannot be paired: it has {len(lanes)} pairs, {lanes[0].called} the first.",
                hint="Use collection: list:paired, or per: sample.",
            )
        return PlannedCollection(type=type_, name=name, elements=_pair(lanes[0].datasets, pair))
    if type_ == "list:paired":
        elements = [PlannedElement(name=lane.called, elements=_pair(lane.datasets, pair)) for lane in lanes]
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


def _with_reads(view: UnitView, empty: frozenset[str]) -> tuple[list[ReadGroup], list[LeftOut], list[tuple[str, str]]]:
    """Return the groups that have reads, what is left out of the others, and what is wrong: (path, sentence)."""
    kept: list[ReadGroup] = []
    left_out: list[LeftOut] = []
    wrong: list[tuple[str, str]] = []
    policy = view.empty or view.layout.empty
    for one in view.groups:
        paths = [path for paths in one.reads.values() for path in paths]
        without = [path for path in paths if path in empty]
        if policy == "hold":
            wrong += ((path, f"`{path}` has no reads") for path in without)
        if policy != "skip" or not without or (view.layout.join and len(without) < len(paths)):
            kept.append(one)
        elif len(without) == len(paths):
            left_out += (LeftOut(path, NO_READS) for path in paths)
        else:
            full = next(path for path in paths if path not in empty)
            wrong.append((without[0], f"`{without[0]}` has no reads, but `{full}` has"))
            kept.append(one)
    return kept, left_out, wrong


def _needed(view: UnitView) -> tuple[str, ...]:
    # R2 alone is never right, whatever is known of the run.
    expected = expected_reads(view)
    return expected or (("R1",) if any("R2" in one.reads for one in view.groups) else ())


def _without_files(sheet: str, rows: Sequence[SheetRow]) -> Iterable[str]:
    for sample in dict.fromkeys(row.sample_id for row in rows):
        place = next(row.at for row in rows if row.sample_id == sample)
        yield f"{sheet}:{place}: sample {sample} has no files."


def _by_sample(groups: Iterable[ReadGroup]) -> Mapping[tuple[str, str], list[ReadGroup]]:
    samples: dict[tuple[str, str], list[ReadGroup]] = {}
    for one in groups:
        samples.setdefault((one.project, one.sample), []).append(one)
    return samples


def _sample(view: UnitView, name: str, groups: Sequence[ReadGroup], rows: Sequence[SheetRow]) -> Sample:
    files = tuple(
        SampleFile(
            path=path,
            read=read,
            lane=one.lane,
            size=view.listing.entries[path].size,
            part=view.names[path].chunk if kind_of_reads(path) == "fastq" and (read or view.layout.join) else None,
            extra=path in view.selection.extra,
        )
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
        name=name,
        project=project,
        files=files,
        columns={column: found[0] for column, found in cells.items() if found},
        several={column: tuple(found) for column, found in cells.items() if len(found) > 1},
    )


def _name_of(sample: Sample, files: Sequence[SampleFile]) -> str:
    """Return the name of a dataset: that of its file, or what the names of its parts have in common."""
    name = files[0].path.rsplit("/", 1)[-1]
    if len(files) == 1:
        return name
    if files[0].read:
        return LANE.sub("", name) if len({file.lane for file in files}) > 1 else name
    return f"{sample.name}{ending_of(name)}"


def _unique_names(named: Sequence[tuple[str, str]]) -> list[str]:
    """Return names that are each given once; a name comes with the path of its first file."""
    counts = Counter(name for name, _ in named)
    longer = [f"{name} ({path.split('/')[-2]})" if counts[name] > 1 and "/" in path else name for name, path in named]
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
        for file in sorted(sample.files, key=lambda one: (one.lane, one.read, one.part or 0, one.path)):
            dataset = by_source.get(file.path)
            if dataset is None:
                raise PlanError(f"{file.path} of sample {sample.name} is in no dataset.")
            alone = "" if file.read else dataset.key
            by_lane.setdefault((dataset.lane, alone), {})[file.read] = dataset.key
        several, element = len({lane for lane, _ in by_lane}) > 1, called(sample)
        lanes += (
            _Lane(f"{element}_L{lane:03d}" if several and lane else element, reads)
            for (lane, _), reads in by_lane.items()
        )
    return lanes


def _pair(reads: Mapping[str, str], pair: tuple[str, str]) -> tuple[PlannedElement, ...]:
    forward, reverse = pair
    return (
        PlannedElement(name="forward", dataset=reads[forward]),
        PlannedElement(name="reverse", dataset=reads[reverse]),
    )
