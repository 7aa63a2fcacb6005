"""Turns an accepted invocation into jobs and outputs, and notices when it is done.

Steps become jobs at once, all in state `new`; collections are mapped over, subworkflows become further invocations.
What a job does is up to `engine.py`; the requests are in `invocations.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes.galaxy.engine import Engine
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import (
    TERMINAL_JOB_STATES,
    Dataset,
    Element,
    History,
    Invocation,
    InvocationStep,
    Job,
    Step,
    Tree,
    Workflow,
    World,
    now_text,
)
from tests.fakes.galaxy.tools import TOOLS, Tool

Json = dict[str, Any]
Member = tuple[str, int]
INPUT_KINDS = ("data_input", "data_collection_input")


@dataclass
class _Slot:
    """The inputs of one job of a step: dataset numbers by input name, and the dataset that names the output."""

    inputs: dict[str, list[int]]
    first: int | None


def copied_in(world: World, member: Member, history: History) -> Member:
    """Give an input as it stands in the invocation's history, copied there when it lives elsewhere."""
    kind, number = member
    if kind == "hda":
        source = world.datasets[number]
        return member if source.history == history.number else ("hda", world.copy_dataset(source, history).number)
    row = world.collections[number]
    if row.history == history.number:
        return member
    copy = world.add_collection(history, row.name, copied_tree(world, row.tree, history))
    copy.tags, copy.populated_state = list(row.tags), row.populated_state
    return "hdca", copy.number


def copied_tree(world: World, tree: Tree, history: History) -> Tree:
    """Copy a collection's levels and datasets into a history."""
    members: list[tuple[str, int | Tree]] = []
    for element in tree.elements:
        if element.child:
            members.append((element.identifier, copied_tree(world, element.child, history)))
        else:
            source = world.datasets[element.dataset or 0]
            members.append((element.identifier, world.copy_dataset(source, history, visible=False).number))
    return world.new_tree(tree.collection_type, members)


class Scheduler:
    """Moves invocations from `new` to `scheduled`, `completed` or `cancelled`."""

    def __init__(self, world: World, engine: Engine) -> None:
        self.world = world
        self.engine = engine
        engine.on_job_end = self.job_ended

    def accept(self, invocation: Invocation) -> None:
        """Take a new invocation; its steps become jobs a moment later."""
        self.engine.after(self.engine.job_seconds / 2, lambda: self._start(invocation))

    def _start(self, invocation: Invocation) -> None:
        with self.world.lock:
            if invocation.state != "new":
                return
            if self.world.histories[invocation.history].deleted:
                message: Json = {"reason": "history_deleted", "history_id": encode(invocation.history)}
                self._end(invocation, "cancelled", message)
                return
            inputs = [self.world.collections[n] for kind, n in invocation.inputs.values() if kind == "hdca"]
            if any(row.populated_state == "new" for row in inputs):
                self.accept(invocation)
                return
            self.schedule(invocation)
            self._check_done(invocation)

    def _end(self, invocation: Invocation, state: str, message: Json) -> None:
        if self.world.behaviour.cancel_step_path:
            message = {"reason": message["reason"], "workflow_step_index_path": None, **message}
        if message not in invocation.messages:
            invocation.messages.append(message)
        invocation.state, invocation.update_time = state, now_text()

    def schedule(self, invocation: Invocation) -> None:
        """Make jobs, outputs and nested invocations of all steps, but of those behind a pause that nobody confirmed."""
        made: dict[tuple[int, str], Member] = {}
        known = {row.step.index: row for row in invocation.steps}
        waiting = set[int]()
        for step in _in_order(invocation.workflow):
            row = known.get(step.index) or InvocationStep(self.world.next_number("invocation_step"), step, state="new")
            if step.index not in known:
                invocation.steps.append(row)
            if any(source in waiting for links in step.connections.values() for source, _ in links):
                waiting.add(step.index)
                continue
            is_done, row.state, row.update_time = row.state == "scheduled", "scheduled", now_text()
            if step.kind == "pause":
                if row.action is None:
                    waiting.add(step.index)
                else:
                    made[step.index, "output"] = made[step.connections["input"][0]]
                continue
            if is_done:
                made |= {(step.index, name): member for name, member in row.outputs.items()}
                continue
            if step.kind in INPUT_KINDS:
                if step.index in invocation.inputs:
                    row.outputs["output"] = invocation.inputs[step.index]
            elif step.subworkflow is not None:
                self._schedule_nested(invocation, step, row, made)
            elif step.kind == "tool":
                self._schedule_tool(invocation, step, row, made)
            for name, member in row.outputs.items():
                made[step.index, name] = member
                if name in step.output_labels:
                    invocation.outputs[step.output_labels[name]] = (*member, step.number)
        invocation.state, invocation.update_time = "ready" if waiting else "scheduled", now_text()

    def review(self, invocation: Invocation, row: InvocationStep, *, confirmed: bool) -> None:
        """Note what a person decided at a pause step; it shows a moment later."""
        row.action = confirmed
        self.engine.after(self.engine.job_seconds / 2, lambda: self._reviewed(invocation, row))

    def _reviewed(self, invocation: Invocation, row: InvocationStep) -> None:
        with self.world.lock:
            if invocation.state != "ready":
                return
            if row.action:
                self.schedule(invocation)
                self._check_done(invocation)
            else:
                message: Json = {"reason": "cancelled_on_review", "workflow_step_id": row.step.index}
                self._end(invocation, "cancelled", message)

    def _schedule_nested(
        self, invocation: Invocation, step: Step, row: InvocationStep, made: dict[tuple[int, str], Member]
    ) -> None:
        workflow = step.subworkflow
        assert workflow is not None
        inner = Invocation(self.world.next_number("invocation"), workflow, invocation.user, invocation.history)
        inner.parent = invocation.number
        for inside in workflow.steps:
            for link in step.connections.get(inside.label or "", []):
                if link in made:
                    inner.inputs[inside.index] = made[link]
                elif (value := self._parameter(invocation, link)) is not None:
                    inner.params[inside.index] = value
        self.world.invocations[inner.number] = inner
        row.nested = inner.number
        self.schedule(inner)
        row.outputs = {label: (kind, number) for label, (kind, number, _) in inner.outputs.items()}

    def _parameter(self, invocation: Invocation, link: tuple[int, str]) -> Any:
        source = next(
            (s for s in invocation.workflow.steps if s.index == link[0] and s.kind == "parameter_input"), None
        )
        if source is None:
            return None
        return invocation.params.get(source.index, source.state.get("default"))

    def _params(self, invocation: Invocation, step: Step, tool: Tool) -> Json:
        given: Json = {}
        for one in tool.inputs:
            if one.kind not in ("integer", "text"):
                continue
            value: Any = one.default
            links = step.connections.get(one.name, [])
            if links:
                value = self._parameter(invocation, links[0])
            elif one.name in step.state and not isinstance(step.state[one.name], dict):
                value = step.state[one.name]
            given[one.name] = value
        return {**given, **invocation.step_params.get(step.index, {})}

    def _schedule_tool(
        self, invocation: Invocation, step: Step, row: InvocationStep, made: dict[tuple[int, str], Member]
    ) -> None:
        tool = TOOLS[step.tool_id or ""]
        params = self._params(invocation, step, tool)
        history = self.world.histories[invocation.history]
        shape, slots = self._slots(step, tool, made)
        if shape is None:
            job = self._add_job(invocation, tool, params, slots[0], history, visible=True)
            row.jobs = [job.number]
            row.outputs = {name: ("hda", number) for name, number in job.outputs.items()}
            return
        row.map_jobs = self.world.next_number("map_jobs")
        mapped_hid = self._mapped_hid(step, made)
        collections = {
            one.name: self.world.add_collection(
                history,
                f"{tool.name} {'across' if one.label else 'on'} collection {mapped_hid}",
                self.world.new_tree("list", []),
            )
            for one in tool.outputs
        }
        jobs = [self._add_job(invocation, tool, params, slot, history, visible=False) for slot in slots]
        for name, collection in collections.items():
            numbers = iter([job.outputs[name] for job in jobs])
            collection.tree = self._like(shape, numbers)
            collection.map_jobs = row.map_jobs
            row.outputs[name] = ("hdca", collection.number)
            for job in jobs:
                job.output_collections[name] = collection.number
        row.jobs = [job.number for job in jobs]
        self.world.map_jobs[row.map_jobs] = row.jobs

    def _slots(self, step: Step, tool: Tool, made: dict[tuple[int, str], Member]) -> tuple[Tree | None, list[_Slot]]:
        """Say which jobs a step needs: the shape mapped over, if any, and the inputs of each job."""
        shape: Tree | None = None
        fixed: dict[str, list[int]] = {}
        mapped: dict[str, list[list[int]]] = {}
        for one in tool.inputs:
            members = [made[link] for link in step.connections.get(one.name, []) if link in made]
            if one.kind in ("integer", "text") or not members:
                continue
            kind, number = members[0]
            if one.kind == "many":
                fixed[one.name] = [leaf for member in members for leaf in self._leaves(member)]
            elif kind == "hda":
                fixed[one.name] = [number]
            else:
                tree = self.world.collections[number].tree
                if one.kind == "collection" and tree.collection_type == one.collection_type:
                    fixed[one.name] = tree.leaves()
                    continue
                parts = _parts(tree, one.collection_type if one.kind == "collection" else "")
                shape = shape or _cut(tree, one.collection_type if one.kind == "collection" else "")
                mapped[one.name] = parts
        if shape is None:
            first = next((numbers[0] for numbers in fixed.values() if numbers), None)
            return None, [_Slot(fixed, first)]
        length = min(len(parts) for parts in mapped.values())
        slots = []
        for index in range(length):
            inputs = {**fixed, **{name: parts[index] for name, parts in mapped.items()}}
            slots.append(_Slot(inputs, next(iter(mapped.values()))[index][0]))
        return shape, slots

    def _mapped_hid(self, step: Step, made: dict[tuple[int, str], Member]) -> int:
        """Give the number in its history of the collection a step maps over."""
        members = [made[link] for links in step.connections.values() for link in links if link in made]
        return next((self.world.collections[number].hid for kind, number in members if kind == "hdca"), 0)

    def _leaves(self, member: Member) -> list[int]:
        kind, number = member
        return [number] if kind == "hda" else self.world.collections[number].tree.leaves()

    def _like(self, shape: Tree, numbers: Iterator[int]) -> Tree:
        members: list[tuple[str, int | Tree]] = []
        for element in shape.elements:
            if element.child is not None:
                members.append((element.identifier, self._like(element.child, numbers)))
            else:
                members.append((element.identifier, next(numbers)))
        return self.world.new_tree(shape.collection_type, members)

    def _add_job(
        self, invocation: Invocation, tool: Tool, params: Json, slot: _Slot, history: History, *, visible: bool
    ) -> Job:
        world = self.world
        job = Job(world.next_number("job"), tool.id, tool.version, invocation.user, history.number)
        job.params, job.inputs, job.invocation = dict(params), dict(slot.inputs), invocation.number
        first: Dataset | None = world.datasets.get(slot.first or 0)
        for one in tool.outputs:
            ext = one.ext or (first.file.ext if first else "data")
            place = f" on dataset {first.hid}" if first and visible else ""
            label = one.label.format(name=first.name if first else "") or f"{tool.name}{place}"
            dataset = world.add_dataset(history, label, ext=ext, state="new", visible=visible)
            dataset.file.job = job.number
            dataset.file.dbkey = first.file.dbkey if first else "?"
            inputs = [world.datasets[number] for numbers in slot.inputs.values() for number in numbers]
            if inputs:  # results get the roles of what they are made from, the history's defaults count no more
                dataset.file.access = tuple({role for member in inputs for role in member.file.access})
            job.outputs[one.name] = dataset.number
        world.add_job(job)
        self.engine.submit(job)
        return job

    def job_ended(self, job: Job) -> None:
        """Look whether the invocation of a job, and those around it, are done."""
        number = job.invocation
        while number is not None:
            invocation = self.world.invocations[number]
            self._check_done(invocation)
            number = invocation.parent

    def _is_done(self, invocation: Invocation) -> bool:
        jobs = self.world.jobs_of(invocation, nested=True)
        return invocation.state == "scheduled" and all(job.state in TERMINAL_JOB_STATES for job in jobs)

    def _check_done(self, invocation: Invocation) -> None:
        with self.world.lock:
            if self.world.behaviour.completed_state and self._is_done(invocation):
                self.engine.after(self.engine.job_seconds / 4, lambda: self._complete(invocation))
            for inner in self.world.nested_of(invocation):
                if self.world.behaviour.completed_state and self._is_done(inner):
                    self._complete(inner)

    def _complete(self, invocation: Invocation) -> None:
        with self.world.lock:
            if self._is_done(invocation):
                states = Counter(job.state for job in self.world.jobs_of(invocation, nested=True))
                invocation.completion_states = dict(states)
                invocation.state, invocation.update_time = "completed", now_text()
                invocation.completion_time = invocation.update_time

    def cancel(self, invocation: Invocation) -> None:
        """Ask an invocation to stop; its jobs go a moment later."""
        if invocation.state in ("cancelling", "cancelled", "failed"):
            return
        self._end(invocation, "cancelling", {"reason": "user_request"})
        self.engine.after(self.engine.job_seconds / 2, lambda: self._cancelled(invocation))

    def _cancelled(self, invocation: Invocation) -> None:
        with self.world.lock:
            for job in self.world.jobs_of(invocation, nested=True):
                self.engine.cancel(job)
            for row in (invocation, *self.world.nested_of(invocation)):
                row.state, row.update_time = "cancelled", now_text()


def _in_order(workflow: Workflow) -> list[Step]:
    """Give the steps so that each comes after those it needs."""
    left, placed, ordered = list(workflow.steps), set[int](), list[Step]()
    while left:
        ready = [step for step in left if all(i in placed for links in step.connections.values() for i, _ in links)]
        if not ready:
            return ordered + left
        ordered += ready
        placed |= {step.index for step in ready}
        left = [step for step in left if step.index not in placed]
    return ordered


def _parts(tree: Tree, inner: str) -> list[list[int]]:
    """Give the dataset numbers of each job when mapping over a collection; `inner` is the level one job takes whole."""
    if inner and tree.collection_type == inner:
        return [tree.leaves()]
    parts: list[list[int]] = []
    for element in tree.elements:
        if element.child is not None:
            parts += _parts(element.child, inner)
        else:
            parts.append([element.dataset or 0])
    return parts


def _cut(tree: Tree, inner: str) -> Tree:
    """Give the shape of the result: the collection without the level a job takes whole."""
    if not inner:
        return tree
    kind = tree.collection_type.removesuffix(f":{inner}")
    elements = []
    for element in tree.elements:
        whole = element.child is None or element.child.collection_type == inner
        child = None if whole or element.child is None else _cut(element.child, inner)
        elements.append(Element(0, element.identifier, dataset=0 if whole else None, child=child))
    return Tree(0, kind, elements)
