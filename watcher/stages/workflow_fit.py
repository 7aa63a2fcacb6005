"""Do the workflows of a batch fit: are they there, do their inputs bind, has Galaxy their tools, are the references
good, do the extensions match, do the deliveries select something?

Reads only and tells every problem at once. The plan stage and `check` ask with `Fitter`; what was planned is held
against Galaxy once more by `bound`, before the first byte is sent and before a workflow starts: a plan may have waited
for days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watcher.errors import Forbidden, PlanError, WatcherError
from watcher.galaxy import Galaxy
from watcher.galaxy.bind import Binding, bind, input_called, shape_problem
from watcher.galaxy.extensions import Datatypes, extension_problems
from watcher.galaxy.workflow_looks import changes, missing_tools, upgrade_messages
from watcher.galaxy.workflows import TrsRef, WorkflowFacts, WorkflowStep
from watcher.model import Plan, PlannedDataset, PlannedElement, PlannedWorkflow, WorkflowId
from watcher.rows import Batch
from watcher.stages.offered import plan_error
from watcher.stages.references import Reference, find_references
from watcher.stages.selected import delivery_problems
from watcher.stages.unknown import Problem

ALLOW = "allow"
CORRECT = "Correct the rule or the workflow; `galaxy-watcher check` tells when it fits."


@dataclass(frozen=True, slots=True)
class Supply:
    """What a batch has for its workflows: types that its collection may become ("" = there is none), its datasets,
    None before there is a run, and the extensions of its reads with what has each, for people.
    """

    shapes: tuple[str, ...] = ("",)
    datasets: Sequence[PlannedDataset] | None = None
    reads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """One workflow held against Galaxy: as it would be planned, with its problems. `facts` are None where it could not
    be read, also since Galaxy has yet to fetch it; a workflow that is not imported yet has no id.
    """

    planned: PlannedWorkflow
    problems: tuple[Problem, ...] = ()
    facts: WorkflowFacts | None = None
    binding: Binding = field(default_factory=Binding)

    @property
    def is_imported(self) -> bool:
        """Whether the account has it."""
        return bool(self.planned.workflow_id)


@dataclass(frozen=True, slots=True)
class Fits:
    """All workflows of one batch, and what its deliveries would not find."""

    workflows: tuple[Fit, ...] = ()
    deliveries: tuple[Problem, ...] = ()

    def errors(self, rule: str) -> list[WatcherError]:
        """Return what is wrong, an error for each workflow and delivery."""
        found: list[WatcherError] = []
        for fit in self.workflows:
            told = [f"{one.message} {one.hint}".strip() for one in fit.problems]
            hint = CORRECT
            if len(told) == 1:
                told, hint = [fit.problems[0].message], fit.problems[0].hint or CORRECT
            if told:
                message = f"The workflow `{fit.planned.ref}` of rule `{rule}` cannot be used: {' '.join(told)}"
                found.append(PlanError(message, hint=hint))
        return found + [PlanError(f"Rule `{rule}`: {one.message}", hint=one.hint) for one in self.deliveries]


def supply_of(plan: Plan) -> Supply:
    """Return what the batch of a plan has for its workflows."""
    if plan.collection is None:
        return Supply(datasets=plan.datasets)
    keys = _leaves(plan.collection.elements)
    names: dict[str, list[str]] = {}
    for one in plan.datasets:
        if one.key in keys:
            names.setdefault(one.ext, []).append(one.name)
    reads = {ext: them[0] if len(them) == 1 else f"{them[0]} and {len(them) - 1} more" for ext, them in names.items()}
    return Supply((plan.collection.type,), plan.datasets, reads)


def _leaves(elements: Iterable[PlannedElement]) -> set[str]:
    found: set[str] = set()
    for element in elements:
        found |= {element.dataset} if element.dataset else _leaves(element.elements)
    return found


class Fitter:
    """Holds workflows against one Galaxy; what is asked for several batches is asked once."""

    def __init__(self, galaxy: Galaxy) -> None:
        self._galaxy = galaxy
        self._found: dict[tuple[object, ...], tuple[PlannedWorkflow, WorkflowFacts | None] | Problem] = {}
        self._references: dict[str, tuple[dict[str, Reference], list[Problem]]] = {}
        self._upgrades: dict[tuple[WorkflowId, int | None], list[str]] = {}

    async def fits(
        self, workflows: Sequence[PlannedWorkflow], supply: Supply, deliveries: Mapping[str, Sequence[str]]
    ) -> Fits:
        """Hold the workflows of one batch, in their order, and what its deliveries select, by their keys."""
        fits: list[Fit] = []
        earlier: dict[str, Sequence[str] | None] = {}
        steps: list[WorkflowStep] = []
        for planned in workflows:
            fit = await self._fit(planned, supply, earlier)
            fits.append(fit)
            earlier[planned.key] = (fit.facts.results or None) if fit.facts else None
            steps += fit.facts.steps if fit.facts else ()
        known = [labels for labels in earlier.values() if labels is not None]
        # One that could not be read, or whose results nobody can tell, may have what is asked for.
        is_told = bool(known) and len(known) == len(workflows)
        labels = list(dict.fromkeys(label for them in known for label in them))
        return Fits(tuple(fits), tuple(delivery_problems(deliveries, labels, steps)) if is_told else ())

    async def _fit(self, planned: PlannedWorkflow, supply: Supply, earlier: Mapping[str, Sequence[str] | None]) -> Fit:
        found = await self._find(planned)
        references, problems = await self._references_of(planned)
        if isinstance(found, Problem):
            return Fit(planned, (found, *problems))
        at, facts = found
        if facts is None:
            return Fit(planned, tuple(problems))
        planned = planned.model_copy(
            update={
                "workflow_id": at.workflow_id,
                "uuid": at.uuid,
                "digest": at.digest,
                "references": {key: one.planned for key, one in references.items()},
            }
        )
        binding, told = await held_against(self._galaxy, planned, facts, supply, references, earlier)
        if wants_upgrades_told(planned, facts):
            told += await self._upgrades_of(planned)
        return Fit(planned, (*(Problem(one, "") for one in told), *problems), facts, binding)

    async def _find(self, planned: PlannedWorkflow) -> tuple[PlannedWorkflow, WorkflowFacts | None] | Problem:
        key = (planned.by, planned.ref, planned.trs, planned.version)
        if key not in self._found:
            try:
                self._found[key] = await find_workflow(self._galaxy, planned)
            except PlanError as error:
                self._found[key] = Problem(error.message, error.hint)
            except Forbidden:
                email = (await self._galaxy.known_identity()).email
                hint = f"Its owner shares it with {email} in Galaxy, or lets everybody use it."
                self._found[key] = Problem(f"{email} may not use it.", hint)
        return self._found[key]

    async def _references_of(self, planned: PlannedWorkflow) -> tuple[dict[str, Reference], list[Problem]]:
        key = repr(sorted(planned.inputs.items(), key=lambda item: item[0]))
        if key not in self._references:
            self._references[key] = await find_references(self._galaxy, planned.inputs)
        return self._references[key]

    async def _upgrades_of(self, planned: PlannedWorkflow) -> list[str]:
        key = (planned.workflow_id, planned.version)
        if key not in self._upgrades:
            self._upgrades[key] = await upgrade_messages(self._galaxy, *key)
        return self._upgrades[key]


async def find_workflow(galaxy: Galaxy, planned: PlannedWorkflow) -> tuple[PlannedWorkflow, WorkflowFacts | None]:
    """Return the workflow with id, uuid and digest as found, and what it wants and gives; one that is not imported yet
    has no id: it is read from its file, and of a registry nothing is known. Raises PlanError when it is not there,
    Forbidden.
    """
    facts: WorkflowFacts | None
    if planned.workflow_id:  # imported just now
        facts = await galaxy.workflows.read(planned.workflow_id, planned.version)
    elif planned.by == "file":
        facts = await _of_file(galaxy, planned.ref)
    elif planned.by == "trs":
        facts = await _of_registry(galaxy, planned)
    else:
        found = await galaxy.workflows.find(**{planned.by: planned.ref})
        facts = await galaxy.workflows.read(found.id, planned.version)
    if facts is None:
        return planned, None
    found_as = {"workflow_id": facts.id, "uuid": facts.uuid, "digest": facts.digest()}
    return planned.model_copy(update=found_as), facts


async def _of_file(galaxy: Galaxy, path: str) -> WorkflowFacts:
    content = file_content(path)
    known = await galaxy.workflows.imported(content)
    if known is not None:
        return await galaxy.workflows.read(known.id)
    return await galaxy.workflows.read_file(content, Path(path).name)


async def _of_registry(galaxy: Galaxy, planned: PlannedWorkflow) -> WorkflowFacts | None:
    """Return the workflow that Galaxy fetched from a registry, found by `planned.trs`; None before it has."""
    found = await galaxy.workflows.imported_trs(TrsRef(*planned.trs))
    return await galaxy.workflows.read(found.id) if found else None


def file_content(path: str) -> bytes:
    """Return what a workflow file holds; raises PlanError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PlanError(
            f"The workflow file {path} cannot be read: {error.strerror}.", hint="Correct `file:` in the rule."
        ) from None


async def held_against(
    galaxy: Galaxy,
    planned: PlannedWorkflow,
    facts: WorkflowFacts,
    supply: Supply,
    references: Mapping[str, Reference],
    earlier: Mapping[str, Sequence[str] | None],
) -> tuple[Binding, list[str]]:
    """Return the binding, and what does not fit: values, tools, shapes and extensions.

    Where a collection may become of several types, it is enough that one of them fits.
    """
    cells: Mapping[str, Any] = planned.cells if supply.datasets is not None else dict.fromkeys(planned.cells)
    tried = [
        bind(
            facts,
            planned.inputs,
            planned.steps,
            shape,
            cells,
            datasets=supply.datasets,
            references={key: one.planned for key, one in references.items()},
            earlier=earlier,
            may_fail=planned.may_fail,
        )
        for shape in supply.shapes
    ]
    binding = min(tried, key=lambda one: len(one.problems))
    problems = list(binding.problems)
    for key, reference in references.items():
        wanted = input_called(facts, key)
        misfit = shape_problem(wanted, reference.collection_type) if wanted and reference.collection_type else ""
        if misfit:
            problems.append(f"Input “{key}” {misfit}, and `{reference.planned.name}` is a {reference.collection_type}.")
    problems += _wrong_exts(facts, binding, supply, references, await galaxy.workflows.datatypes())
    takes_others = planned.upgrades == ALLOW
    problems += [f"Tool {tool} is not installed in Galaxy." for tool in missing_tools(facts, takes_others=takes_others)]
    return binding, problems


def wants_upgrades_told(planned: PlannedWorkflow, facts: WorkflowFacts) -> bool:
    """Tell whether Galaxy is to be asked what it would change in the steps: not where the rule allows all of it, and
    not where it has a tool in no version, or has not imported the workflow, for then it gives no answer.
    """
    return planned.upgrades != ALLOW and bool(facts.id) and not missing_tools(facts, takes_others=True)


def _wrong_exts(
    facts: WorkflowFacts,
    binding: Binding,
    supply: Supply,
    references: Mapping[str, Reference],
    datatypes: Datatypes,
) -> list[str]:
    datasets = {one.key: one for one in supply.datasets or ()}
    problems = []
    for wanted in facts.inputs:
        index = str(wanted.index)
        exts: Mapping[str, str] = {}
        if index in binding.reads_inputs:
            exts = supply.reads
        elif one := datasets.get(binding.dataset_inputs.get(index, "")):
            exts = {one.ext: one.name}
        elif reference := references.get(binding.names.get(index, "")):
            exts = dict.fromkeys(reference.exts, f"`{reference.planned.name}`")
        problems += extension_problems(wanted, exts, datatypes)
    return problems


async def bound(batch: Batch, galaxy: Galaxy, planned: PlannedWorkflow) -> tuple[Binding, int | None]:
    """Bind the plan's inputs against the workflow as it is now, with its tools and references as they are now.

    Returns the version that was read as well, so that no other one is started. Raises PlanError that tells everything
    that does not fit any more, and what changed in Galaxy.
    """
    facts = await galaxy.workflows.read(planned.workflow_id, planned.version)
    again = f"`galaxy-watcher retry {batch.unit_id} --from plan`"
    if planned.uuid and facts.uuid and facts.uuid != planned.uuid:
        told = " ".join(changes(planned.digest, facts))
        raise PlanError(
            f"The workflow `{planned.ref}` was changed in Galaxy after batch {batch.id} was planned. {told}".strip(),
            hint=f"Look at it, then {again}.",
        )
    references, wrong = await find_references(galaxy, planned.inputs, planned.references)
    earlier = dict.fromkeys(one.key for one in batch.plan.workflows if one.key != planned.key)
    binding, problems = await held_against(galaxy, planned, facts, supply_of(batch.plan), references, earlier)
    if wants_upgrades_told(planned, facts):
        problems += await upgrade_messages(galaxy, planned.workflow_id, planned.version)
    problems += [f"{one.message} {one.hint}".strip() for one in wrong]
    if problems:
        raise PlanError(
            f"The workflow `{planned.ref}` cannot be started for batch {batch.id}: {' '.join(problems)}",
            hint=f"Correct the rule `{batch.plan.rule}`, then {again}.",
        )
    return binding, facts.version


async def refuse_misfits(batch: Batch, galaxy: Galaxy) -> None:
    """Raise PlanError with all that does not fit any more of all workflows of the plan, before a byte is sent."""
    wrong: list[WatcherError] = []
    for planned in batch.plan.workflows:
        try:
            await bound(batch, galaxy, planned)
        except PlanError as error:
            wrong.append(error)
    if wrong:
        raise plan_error(wrong)
