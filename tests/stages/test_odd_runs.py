"""Runs that are odd in themselves, from their folder to the plans: nothing is lost, and nothing comes twice.

Two projects, 96 samples over 8 lanes, samples that are called like files; with them every instrument's run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path, PurePosixPath

import pytest

from tests.runs.instruments import INSTRUMENTS
from tests.runs.instruments.instrument import Instrument
from tests.runs.instruments.trouble import ODD, names_like_names, two_projects
from tests.runs.run_folders import LAYOUTS
from tests.world import World
from watcher.config import Settings, load_config
from watcher.model import Plan, PlannedElement, Sample, SampleFile
from watcher.runs.grouping import group
from watcher.runs.layout import judge, load_layouts
from watcher.stages.choose import Facts
from watcher.stages.cut import cut

WITH_READS = {name: one for name, one in {**INSTRUMENTS, **ODD}.items() if one.outcome == "ready"}


def settings_of(folder: Path, per: str, lanes: str, rule: str = "") -> Settings:
    """Return a configuration with one rule that takes everything; `rule` is more of it."""
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text("k")
    config = folder / "config.yaml"
    config.write_text(
        f"galaxy: {{url: 'http://127.0.0.1:9', api_key_file: {key}}}\n"
        f"state: {{path: {folder / 'state.sqlite'}}}\n"
        f"watches: [{{name: w, path: {folder}}}]\n"
        f"rules: [{{name: all, per: {per}, lanes: {lanes}{rule}}}]\n"
    )
    return load_config(config, layouts=load_layouts)


def samples_of(instrument: Instrument) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """Yield the samples of each unit of a finished run."""
    tree = instrument.make().seen_by(LAYOUTS[instrument.layout])
    for view in tree.views(instrument.layout, dict.fromkeys(tree.files, instrument.quiet_s)):
        judgement = judge(view)
        grouping = group(view, judgement)
        assert judgement.complete and not grouping.problems
        yield view.found.unit, grouping.samples


def leaves(elements: tuple[PlannedElement, ...]) -> Iterator[str]:
    """Yield the datasets of a collection; names are unique beside each other."""
    assert len({one.name for one in elements}) == len(elements)
    for one in elements:
        if one.dataset:
            yield one.dataset
        yield from leaves(one.elements)


def planned(settings: Settings, unit: str, samples: tuple[Sample, ...]) -> dict[int, Plan]:
    """Return the plans of a unit, one for each batch."""
    facts = Facts("u1", "w", "any", "run", unit, 1, "/watched/run", date(2026, 3, 1))
    plans, unmatched = cut(settings, facts, samples)
    assert unmatched == []
    return plans


@pytest.mark.parametrize("lanes", ["merge", "keep", "concat"])
@pytest.mark.parametrize("per", ["run", "project", "sample"])
def test_every_file_is_in_one_dataset_of_one_batch(tmp_path: Path, per: str, lanes: str) -> None:
    """However a run is cut: each file once, each dataset once in its collection, names differ; `keep` makes each lane a
    sample of its own.
    """
    settings = settings_of(tmp_path, per, lanes)
    for name, instrument in WITH_READS.items():
        for unit, samples in samples_of(instrument):
            plans = planned(settings, unit, samples)
            sources = Counter(path for plan in plans.values() for dataset in plan.datasets for path in dataset.sources)
            assert sources == Counter(instrument.taken[unit]), name
            each = {(one.project, one.name, file.lane * (lanes == "keep")) for one in samples for file in one.files}
            parts = {"run": 1, "project": len({one.project for one in samples}), "sample": len(each)}
            assert len(plans) == parts[per], name
            for plan in plans.values():
                assert plan.collection is not None
                keys = [dataset.key for dataset in plan.datasets]
                assert sorted(leaves(plan.collection.elements)) == sorted(keys) and len(set(keys)) == len(keys), name
                assert len({dataset.name for dataset in plan.datasets}) == len(keys), name


KEPT = ", destination: {library: {name: L, keep_folders: true}}"


@pytest.mark.parametrize("lanes", ["merge", "concat"])
def test_a_library_that_keeps_folders_shows_each_file_where_it_lies(tmp_path: Path, lanes: str) -> None:
    """Whatever the run: under its own name, in its own folder of the unit (of the run where a unit has none of its
    own); what is joined where all of it lies.
    """
    settings = settings_of(tmp_path, "run", lanes, KEPT)
    for name, instrument in WITH_READS.items():
        for unit, samples in samples_of(instrument):
            (plan,) = planned(settings, unit, samples).values()
            assert len({(dataset.folder, dataset.name) for dataset in plan.datasets}) == len(plan.datasets), name
            for dataset in plan.datasets:
                in_unit = all(PurePosixPath(path).parent.is_relative_to(unit) for path in dataset.sources)
                place = PurePosixPath(unit if in_unit else "", dataset.folder)
                assert all(PurePosixPath(path).is_relative_to(place) for path in dataset.sources), name
                if len(dataset.sources) == 1:
                    assert dataset.sources == (str(place / dataset.name),), name


@pytest.mark.parametrize(
    ("unit", "files", "places"),
    [
        (".", ("x.bam", "A/x.bam", "A/B/x.bam"), ("x.bam", "A/x.bam", "A/B/x.bam")),
        ("A/1", ("A/1/x.bam", "A/1/B/x.bam", "C/x.bam"), ("x.bam", "B/x.bam", "C/x.bam")),
        ("A", ("A/B/x.bam", "B/x.bam"), ("A/B/x.bam", "B/x.bam")),
    ],
    ids=["run", "unit", "beside"],
)
def test_files_beside_a_unit_never_meet_those_in_it(
    tmp_path: Path, unit: str, files: tuple[str, ...], places: tuple[str, ...]
) -> None:
    """Folders are those below the unit; where one beside it would be the same, all are told from the run."""
    samples = tuple(Sample(name=f"S{n}", files=(SampleFile(path=path),)) for n, path in enumerate(files))
    (plan,) = planned(settings_of(tmp_path, "run", "merge", KEPT), unit, samples).values()
    assert tuple(str(PurePosixPath(one.folder, one.name)) for one in plan.datasets) == places


def test_96_samples_over_8_lanes(tmp_path: Path) -> None:
    """One element for each sample and lane, or for each sample where lanes are joined, each with both reads."""
    ((unit, samples),) = samples_of(ODD["96 samples over 8 lanes"])
    for lanes, elements, sources in (("merge", 768, 1), ("keep", 768, 1), ("concat", 96, 8)):
        (plan,) = planned(settings_of(tmp_path, "run", lanes), unit, samples).values()
        assert plan.collection is not None and plan.collection.type == "list:paired"
        assert len(plan.collection.elements) == elements and len(plan.datasets) == 2 * elements
        assert {len(dataset.sources) for dataset in plan.datasets} == {sources}
        assert all(list(dataset.sources) == sorted(dataset.sources) for dataset in plan.datasets)


async def test_samples_that_are_called_like_files_arrive_under_their_names(world: World) -> None:
    """`ctl_S1_L001_R1_001` is a sample, and so is `ctl_S1`: each has its two reads, and no other's."""
    world.write_config(rule={"workflow": None, "deliver": None})
    run = names_like_names().write(world.watched)
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit["reason"]
    taken = ODD["names like file names"].taken["."]
    assert world.uploads() == {path: hashlib.sha256((run / path).read_bytes()).hexdigest() for path in taken}
    (collection,) = world.fake.collections()
    assert len(collection["elements"]) == len(ODD["names like file names"].samples["."])


async def test_two_projects_of_one_run_are_two_histories(world: World) -> None:
    """Each project's batch holds its own samples alone; together they are all there are."""
    world.write_config(
        rule={"per": "project", "workflow": None, "deliver": None, "destination": {"history": "{run} {project}"}}
    )
    run = two_projects().write(world.watched)
    (unit,) = (await world.once())["units"]
    assert unit["status"] == "done", unit["reason"]
    taken = ODD["two projects in one run"].taken["."]
    sha256 = {Path(path).name: hashlib.sha256((run / path).read_bytes()).hexdigest() for path in taken}
    assert world.uploads() == sha256
    projects = {row["name"].split()[-1]: row["id"] for row in world.fake.histories()}
    assert set(projects) == {"Corals", "Squids"}
    for project, history in projects.items():
        own = {row["name"] for row in world.fake.datasets() if row["uploaded"] and row["history_id"] == history}
        assert own == {Path(path).name for path in taken if path.startswith(f"{project}/")}
