"""The results of invocations, as a delivery reads them: by output label, collections as folders, from any offset.

Only labelled outputs are results; of a workflow that labels none, those outputs which no later step takes, named after
their steps. What patterns select is told by `selection.py`; one that names a step gets also what is no result. A mapped
output is a collection whose element identifiers become path parts. Datasets that a person made anew in Galaxy can stand
in for others, and elements of samples that are not good can be left out of all collections. Elements that did not end
well are never handed out. An index of a result and the files beside it come with it (`result_members.py`). A result
carries the SHA-256 that Galaxy lists for it, which for the output of a tool is often none: Galaxy hashes those only
when its administrator wants it. Knows no delivery: it is a `ResultSource` (`watcher/results.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType

from watcher.galaxy.answers import CollectionFacts
from watcher.galaxy.client import Galaxy
from watcher.galaxy.invocation_answers import OutputRef
from watcher.galaxy.result_members import members_of
from watcher.galaxy.result_names import result_name
from watcher.galaxy.selection import STEP, is_known_later, selects, selects_dataset, selects_step
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId
from watcher.results import ResultFile

WORKING_STEPS = frozenset({"tool", "subworkflow"})
"""The steps that make something; what goes in is nobody's result."""


class GalaxyResults:
    """Outputs of some invocations, in their order; `replaced` names the dataset to read instead of another."""

    def __init__(
        self,
        galaxy: Galaxy,
        invocations: Sequence[InvocationId],
        replaced: Mapping[DatasetId, DatasetId] = MappingProxyType({}),
        left_out: Mapping[InvocationId, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self._galaxy = galaxy
        self._invocations = tuple(invocations)
        self._replaced = replaced
        self._left_out = left_out
        self._met: set[str] = set()

    async def labels(self) -> list[str]:
        """Return every output label there is."""
        found: dict[str, None] = {}
        for invocation in self._invocations:
            outputs, output_collections = await self._outputs(invocation)
            found.update(dict.fromkeys([*outputs, *output_collections]))
        return list(found)

    async def files(self, outputs: Sequence[str]) -> list[ResultFile]:
        """Return the good results that one of the patterns selects (`selection.py`), labels and elements in order."""
        return (await self.look(outputs))[0]

    async def look(self, outputs: Sequence[str]) -> tuple[list[ResultFile], list[str]]:
        """Return the good results as `files` does, and the names of those that are selected but not good, with why."""
        look = _Look(tuple(outputs))
        for invocation in self._invocations:
            datasets, output_collections = await self._outputs(invocation)
            named = {**datasets, **output_collections}
            whole = {label: ref for label, ref in named.items() if look.selects_label(label)}
            whole |= await self._of_steps(invocation, look, named)
            for label, ref in {**named, **whole}.items():
                if label not in whole and not look.chooses_datasets:
                    continue
                if ref.src == "hdca":
                    left_out = self._left_out.get(invocation, ())
                    await self._collection(look, label, CollectionId(ref.id), left_out, is_whole=label in whole)
                else:
                    await self._dataset(look, label, DatasetId(ref.id), is_whole=label in whole)
        self._met = look.met
        return look.found, look.not_good

    def unmet(self, outputs: Sequence[str]) -> list[str]:
        """Return those patterns that selected nothing at the last `look`, neither good nor bad."""
        return [pattern for pattern in outputs if pattern not in self._met]

    async def refs(self) -> dict[str, OutputRef]:
        """Return where each result is in Galaxy, by its label or the name it gets instead."""
        found: dict[str, OutputRef] = {}
        for invocation in self._invocations:
            for outputs in await self._outputs(invocation):
                found |= outputs
        return found

    def read(self, file: ResultFile, offset: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the bytes from `offset` on."""
        return self._galaxy.datasets.open_member(DatasetId(file.galaxy_id), file.member, offset)

    async def _outputs(self, invocation: InvocationId) -> tuple[Mapping[str, OutputRef], Mapping[str, OutputRef]]:
        """Return the datasets and the collections that are results, by label or by the name they get instead."""
        detail = await self._galaxy.invocations.get(invocation)
        if detail.outputs or detail.output_collections:
            return detail.outputs, detail.output_collections
        version = await self._galaxy.invocations.workflow_version(detail.workflow_version_id)
        if version.has_labelled_outputs:  # they are not there yet
            return {}, {}
        datasets: dict[str, OutputRef] = {}
        output_collections: dict[str, OutputRef] = {}
        for step in (await self._galaxy.invocations.detailed(invocation)).steps:
            if step.type not in WORKING_STEPS:
                continue
            for found, refs in ((datasets, step.outputs), (output_collections, step.output_collections)):
                for name, ref in refs.items():
                    if (step.index, name) not in version.taken:
                        found[result_name(step.index, step.label, step.tool_id, name)] = ref
        return datasets, output_collections

    async def _of_steps(
        self, invocation: InvocationId, look: _Look, named: Mapping[str, OutputRef]
    ) -> dict[str, OutputRef]:
        """Return the outputs that patterns name by their step, under their labels where they have any."""
        found: dict[str, OutputRef] = {}
        if not look.names_steps:
            return found
        for step in (await self._galaxy.invocations.detailed(invocation)).steps:
            if step.type not in WORKING_STEPS:
                continue
            made = {**step.outputs, **step.output_collections}
            for name in look.selected_of(step.index, step.label, made):
                unnamed = result_name(step.index, step.label, step.tool_id, name)
                found[next((label for label, ref in named.items() if ref == made[name]), unnamed)] = made[name]
        return found

    async def _dataset(
        self,
        look: _Look,
        label: str,
        dataset: DatasetId,
        path: tuple[str, ...] = (),
        *,
        is_whole: bool,
        tags: Collection[str] = (),
    ) -> None:
        facts = await self._galaxy.datasets.get(self._replaced.get(dataset, dataset))
        if not (look.chooses(facts.ext, (*facts.tags, *tags)) or is_whole):
            return
        if facts.state != "ok" or facts.deleted:
            name = "/".join((label, *path))
            look.not_good.append(f"{name} ({'deleted' if facts.deleted else facts.state})")
            return
        sha256 = await self._checked_hash(facts.sha256)
        one = ResultFile(facts.id, (label, *path), facts.ext, facts.size, sha256, name=facts.name)
        look.found += await self._members(one)

    async def _members(self, file: ResultFile) -> list[ResultFile]:
        return await members_of(self._galaxy.datasets, file)

    async def _collection(
        self, look: _Look, label: str, collection: CollectionId, left_out: Collection[str], *, is_whole: bool
    ) -> None:
        facts = await self._galaxy.collections.get(collection)
        is_whole = look.chooses("", facts.tags) or is_whole
        if facts.deleted:
            look.not_good += [f"{label} (deleted)"] if is_whole else []
            return
        hashes = await self._hashes(facts)
        for path, leaf in facts.leaves():
            if path[0] in left_out:
                continue
            if leaf.dataset_id in self._replaced:
                await self._dataset(look, label, leaf.dataset_id, path, is_whole=is_whole, tags=facts.tags)
            elif not (look.chooses(leaf.ext, leaf.tags) or is_whole):
                continue
            elif leaf.state == "ok":
                sha256 = hashes.get(leaf.dataset_id, "")
                one = ResultFile(leaf.dataset_id, (label, *path), leaf.ext, leaf.size, sha256, name=leaf.name)
                look.found += await self._members(one)
            else:
                look.not_good.append(f"{'/'.join((label, *path))} ({leaf.state or 'missing'})")

    async def _hashes(self, collection: CollectionFacts) -> dict[DatasetId, str]:
        """Return the SHA-256 of the good elements, as far as Galaxy lists any; a collection itself shows none."""
        good = {leaf.dataset_id for _, leaf in collection.leaves() if leaf.state == "ok"}
        if not good or not (await self._galaxy.features()).server_sha256:
            return {}
        known = await self._galaxy.datasets.many(HistoryId(collection.history_id), good)
        # An element may lie in another history than its collection.
        elsewhere = [await self._galaxy.datasets.get(dataset) for dataset in sorted(good - known.keys())]
        return {facts.id: facts.sha256 for facts in (*known.values(), *elsewhere)}

    async def _checked_hash(self, sha256: str) -> str:
        """Return a hash only where the server makes or verifies hashes itself; elsewhere it is a mere claim."""
        return sha256 if (await self._galaxy.features()).server_sha256 else ""


@dataclass
class _Look:
    """What one look finds: good results, those that are not good, and which patterns met something."""

    patterns: tuple[str, ...]
    found: list[ResultFile] = field(default_factory=list)
    not_good: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)

    @property
    def names_steps(self) -> bool:
        return any(pattern.startswith(STEP) for pattern in self.patterns)

    @property
    def chooses_datasets(self) -> bool:
        return any(is_known_later(pattern) for pattern in self.patterns)

    def selects_label(self, label: str) -> bool:
        return self._note(pattern for pattern in self.patterns if selects(label, [pattern]))

    def selected_of(self, step: int, label: str, outputs: Collection[str]) -> list[str]:
        found: dict[str, None] = {}
        for pattern in self.patterns:
            if those := selects_step(pattern, step, label, outputs):
                self._note([pattern])
                found |= dict.fromkeys(those)
        return list(found)

    def chooses(self, ext: str, tags: Collection[str]) -> bool:
        return self._note(pattern for pattern in self.patterns if selects_dataset(pattern, ext, tags))

    def _note(self, patterns: Iterable[str]) -> bool:
        found = set(patterns)
        self.met |= found
        return bool(found)
