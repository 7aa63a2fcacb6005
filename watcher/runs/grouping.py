"""From the files of a unit to samples and datasets.

Samples come from file names, projects from the sample sheet or the folders, columns from the sheet. `group` also says
what is wrong with the structure as far as names tell: a missing or double read, a sheet that cannot be read or
matched, a sample without files. Nothing is lost and nothing comes twice: every taken file is in exactly one sample.
How datasets become a collection is told in `collecting.py`; rules and names in Galaxy are the plan's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.model import LeftOut, PlannedDataset, Sample, SampleFile
from watcher.runs.filenames import LANE, ending_of, extension_for, kind_of_reads
from watcher.runs.pairing import double_reads, expected_reads, missing_reads
from watcher.runs.read_groups import ReadGroup
from watcher.runs.sample_sheet import SheetRow
from watcher.runs.sheet_match import match_sheet
from watcher.runs.view import Judgement, UnitView

NO_READS = "no reads in it (0 records)"


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
        for path, sentence in (*missing_reads(view, _needed(view)), *double_reads(view), *half_empty)
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


def ext_by_name(_: Sample, path: str) -> str:
    """Return the extension that a file's name means, whatever its sample."""
    return extension_for(path.rsplit("/", 1)[-1])


def datasets(
    samples: Iterable[Sample],
    *,
    joins_lanes: bool = False,
    ext_of: Callable[[Sample, str], str] = ext_by_name,
    dbkey_of: Callable[[Sample], str] = lambda _: "",
) -> tuple[PlannedDataset, ...]:
    """Return one dataset for each sample, lane and read, in that order, with stable keys from 001 on; `ext_of` is asked
    for the first file of each.

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
            ext=ext_of(sample, files[0].path),
            sources=tuple(file.path for file in files),
            size=sum(file.size for file in files),
            sample=sample.name,
            read=files[0].read,
            lane=files[0].lane if len({file.lane for file in files}) == 1 else 0,
            dbkey=dbkey_of(sample),
        )
        for number, ((sample, files), name) in enumerate(zip(joined, names, strict=True), start=1)
    )


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
