"""The results of invocations, as a delivery reads them: by output label, collections as folders, from any offset.

Only labelled outputs are results; of a workflow that labels none, those outputs which no later step takes, named after
their steps. A mapped output is a collection whose element identifiers become path parts. Datasets that a person made
anew in Galaxy can stand in for others, and elements of samples that are not good can be left out of all collections.
Elements that did not end well are never handed out. An index of a result and the files beside it come with it
(`result_members.py`). A result carries the SHA-256 that Galaxy lists for it, which for
the output of a tool is often none: Galaxy hashes those only when its administrator wants it. Knows no delivery: it is a
`ResultSource` (`watcher/model.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from fnmatch import fnmatchcase
from types import MappingProxyType

from watcher.galaxy.answers import CollectionFacts
from watcher.galaxy.client import Galaxy
from watcher.galaxy.invocation_answers import OutputRef
from watcher.galaxy.result_members import members_of
from watcher.galaxy.result_names import result_name
from watcher.model import CollectionId, DatasetId, HistoryId, InvocationId, ResultFile

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

    async def labels(self) -> list[str]:
        """Return every output label there is."""
        found: dict[str, None] = {}
        for invocation in self._invocations:
            outputs, output_collections = await self._outputs(invocation)
            found.update(dict.fromkeys([*outputs, *output_collections]))
        return list(found)

    async def files(self, outputs: Sequence[str]) -> list[ResultFile]:
        """Return the good results whose label matches one of the patterns (`*`, `?`), labels and elements in order."""
        return (await self.look(outputs))[0]

    async def look(self, outputs: Sequence[str]) -> tuple[list[ResultFile], list[str]]:
        """Return the good results as `files` does, and the names of those that match but are not good, with why."""
        found: list[ResultFile] = []
        not_good: list[str] = []
        for invocation in self._invocations:
            datasets, output_collections = await self._outputs(invocation)
            for label, ref in datasets.items():
                if selects(label, outputs):
                    await self._dataset(label, DatasetId(ref.id), found, not_good)
            for label, ref in output_collections.items():
                if selects(label, outputs):
                    left_out = self._left_out.get(invocation, ())
                    await self._collection(label, CollectionId(ref.id), found, not_good, left_out)
        return found, not_good

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

    async def _dataset(
        self, label: str, dataset: DatasetId, found: list[ResultFile], not_good: list[str], path: tuple[str, ...] = ()
    ) -> None:
        facts = await self._galaxy.datasets.get(self._replaced.get(dataset, dataset))
        if facts.state != "ok" or facts.deleted:
            name = "/".join((label, *path))
            not_good.append(f"{name} ({'deleted' if facts.deleted else facts.state})")
            return
        sha256 = await self._checked_hash(facts.sha256)
        found += await self._members(ResultFile(facts.id, (label, *path), facts.ext, facts.size, sha256))

    async def _members(self, file: ResultFile) -> list[ResultFile]:
        return await members_of(self._galaxy.datasets, file)

    async def _collection(
        self,
        label: str,
        collection: CollectionId,
        found: list[ResultFile],
        not_good: list[str],
        left_out: Collection[str],
    ) -> None:
        facts = await self._galaxy.collections.get(collection)
        if facts.deleted:
            not_good.append(f"{label} (deleted)")
            return
        hashes = await self._hashes(facts)
        for path, leaf in facts.leaves():
            if path[0] in left_out:
                continue
            if leaf.dataset_id in self._replaced:
                await self._dataset(label, leaf.dataset_id, found, not_good, path)
            elif leaf.state == "ok":
                sha256 = hashes.get(leaf.dataset_id, "")
                found += await self._members(ResultFile(leaf.dataset_id, (label, *path), leaf.ext, leaf.size, sha256))
            else:
                not_good.append(f"{'/'.join((label, *path))} ({leaf.state or 'missing'})")

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


def selects(label: str, patterns: Sequence[str]) -> bool:
    """Tell whether one of the patterns (`*`, `?`) fits the label of an output."""
    return any(fnmatchcase(label, pattern) for pattern in patterns)
