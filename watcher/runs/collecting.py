"""From datasets to a Galaxy collection of them, by samples, lanes and reads.

Elements are named after samples, and say lane and read where a sample has several; no two beside each other share a
name. Which datasets there are is decided in `grouping.py`, what is called how by the plan; which servers and workflows
take which type is Galaxy's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from watcher.errors import PlanError
from watcher.model import PlannedCollection, PlannedDataset, PlannedElement, Sample

COLLECTION_TYPES = (
    "auto", "list", "paired", "list:paired", "paired_or_unpaired", "list:paired_or_unpaired", "list:list", "none",
)  # fmt: skip
SINGLE = "unpaired"
"""What Galaxy calls the only element of a `paired_or_unpaired` that is no pair."""

PAIR = ("R1", "R2")
"""The reads of a pair, forward first, where no rule says otherwise."""


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
    sample with several lanes becomes elements `NAME_L001` and so on; in a `list:list` it stays one element with all of
    its files inside. Raises PlanError when the type cannot be made of these samples, or two elements would share a
    name.
    """
    if type_ not in COLLECTION_TYPES:
        raise PlanError(f"There is no collection type {type_!r}.", hint=f"Use one of {', '.join(COLLECTION_TYPES)}.")
    if type_ == "none":
        return None
    lanes = _lanes(samples, planned, called or (lambda sample: sample.name))
    if not lanes:
        raise PlanError(f"Collection {name} would be empty: there are no files.")
    if type_ == "auto":
        type_ = "list:paired" if all(set(lane.datasets) == set(pair) for lane in lanes) else "list"
    outer, _, inner = type_.partition(":")
    if inner == "list":
        elements = _by_sample(lanes)
    elif type_ == "list":
        elements = [one for lane in lanes for one in lane.named(lane.called)]
    else:
        whole = _refuse_others(type_, name, lanes, pair)
        if outer != "list" and len(lanes) > 1:
            raise PlanError(
                f"Collection {name} cannot be {type_}: it has {len(lanes)} {whole}, {lanes[0].called} the first.",
                hint=f"Use collection: list:{type_}, or per: sample.",
            )
        parts = [_parts(lane.datasets, pair) for lane in lanes]
        if outer != "list":
            return PlannedCollection(type=type_, name=name, elements=parts[0])
        elements = [PlannedElement(name=lane.called, elements=part) for lane, part in zip(lanes, parts, strict=True)]
    for beside in (elements, *(element.elements for element in elements)):
        if twice := [called for called, count in Counter(one.name for one in beside).items() if count > 1]:
            raise PlanError(
                f"Collection {name} would have {twice[0]} twice.",
                hint="Use per: project, another `element` in the destination, or rename one of the samples.",
            )
    return PlannedCollection(type=type_, name=name, elements=tuple(elements))


@dataclass(frozen=True, slots=True)
class _Lane:
    """The datasets of one sample in one lane, keys by read; `number` is the sample's, `sample` what it is called as a
    whole.
    """

    number: int
    sample: str
    lane: int
    called: str
    datasets: Mapping[str, str]

    def named(self, base: str) -> list[PlannedElement]:
        """Return its datasets as elements: `base`, with the read behind it where there are several."""
        several = len(self.datasets) > 1
        return [
            PlannedElement(name=f"{base}_{read}" if read and several else base, dataset=key)
            for read, key in self.datasets.items()
        ]


def _refuse_others(type_: str, name: str, lanes: Sequence[_Lane], pair: tuple[str, str]) -> str:
    """Raise PlanError for what is neither a pair nor, where that is asked for, a single file; return what they are."""
    forward, reverse = pair
    either = type_.endswith("paired_or_unpaired")
    for lane in lanes:
        if set(lane.datasets) != set(pair) and not (either and len(lane.datasets) == 1):
            what = f"exactly one {forward} and one {reverse}"
            raise PlanError(
                f"Collection {name} cannot be {type_}: {lane.called} has not {what}{', nor a single file' * either}.",
                hint="Use collection: list or auto.",
            )
    return "samples" if either else "pairs"


def _parts(reads: Mapping[str, str], pair: tuple[str, str]) -> tuple[PlannedElement, ...]:
    if len(reads) == 1:
        return (PlannedElement(name=SINGLE, dataset=next(iter(reads.values()))),)
    forward, reverse = pair
    return (
        PlannedElement(name="forward", dataset=reads[forward]),
        PlannedElement(name="reverse", dataset=reads[reverse]),
    )


def _by_sample(lanes: Sequence[_Lane]) -> list[PlannedElement]:
    """Return an element for each sample with its files inside, named by lane and read, `1` and so on where neither is
    told.
    """
    samples: dict[int, list[_Lane]] = {}
    for lane in lanes:
        samples.setdefault(lane.number, []).append(lane)
    elements: list[PlannedElement] = []
    for of_sample in samples.values():
        inside: list[PlannedElement] = []
        for lane in of_sample:
            for read, key in lane.datasets.items():
                words = [f"L{lane.lane:03d}" if lane.lane else "", read]
                inside.append(PlannedElement(name="_".join(filter(None, words)) or str(len(inside) + 1), dataset=key))
        elements.append(PlannedElement(name=of_sample[0].sample, elements=tuple(inside)))
    return elements


def _lanes(
    samples: Iterable[Sample], planned: Iterable[PlannedDataset], called: Callable[[Sample], str]
) -> list[_Lane]:
    by_source = {source: dataset for dataset in planned for source in dataset.sources}
    lanes: list[_Lane] = []
    for number, sample in enumerate(sorted(samples, key=lambda one: (one.project, one.name))):
        by_lane: dict[tuple[int, str], dict[str, str]] = {}
        for file in sorted(sample.files, key=lambda one: (one.lane, one.read, one.part or 0, one.path)):
            dataset = by_source.get(file.path)
            if dataset is None:
                raise PlanError(f"{file.path} of sample {sample.name} is in no dataset.")
            alone = "" if file.read else dataset.key
            by_lane.setdefault((dataset.lane, alone), {})[file.read] = dataset.key
        several, element = len({lane for lane, _ in by_lane}) > 1, called(sample)
        lanes += (
            _Lane(number, element, lane, f"{element}_L{lane:03d}" if several and lane else element, reads)
            for (lane, _), reads in by_lane.items()
        )
    return lanes
