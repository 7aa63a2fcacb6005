"""Workflows: found by id, exact name, file or registry, and read for what they want.

A file is imported once: it gets a uuid made from its content, by which it is found again. What a file holds is told by
`workflow_files.py`, what Galaxy answers by `workflow_answers.py`, and what is known of a workflow stands in
`workflow_facts.py`. `bind.py` checks values against it; `invocations.py` starts.

Each change in Galaxy, even another name, makes a further version with a uuid of its own (measured on 24.1.4 to 26.1.2).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from urllib.parse import quote

from pydantic import ValidationError

from watcher.errors import GalaxyError, NotThere, PlanError, Refused
from watcher.galaxy import datatypes, trs, upgrade_messages
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.datatypes import Datatypes
from watcher.galaxy.http import Http, Params
from watcher.galaxy.tools import Tools
from watcher.galaxy.trs import TrsRef
from watcher.galaxy.workflow_answers import (
    Downloaded,
    DownloadedStep,
    inputs_of,
    labelled,
    output_labels,
    steps_of,
    tools_of,
)
from watcher.galaxy.workflow_facts import MissingTool, WorkflowFacts, WorkflowInput, WorkflowRef, WorkflowStep
from watcher.galaxy.workflow_files import as_ga, content_uuid, importable, in_order, parse
from watcher.model import HistoryId, WorkflowId

__all__ = ["MissingTool", "TrsRef", "WorkflowFacts", "WorkflowInput", "WorkflowRef", "WorkflowStep", "Workflows"]

PAGE = 100


class _Row(Answer):
    id: WorkflowId
    name: str
    uuid: Text = ""
    latest_workflow_uuid: Text = ""
    version: int | None = None
    deleted: bool = False
    source_metadata: trs.Source | None = None

    def ref(self) -> WorkflowRef:
        return WorkflowRef(self.id, self.name, self.latest_workflow_uuid, self.version)


class _Version(Answer):
    version: int


class _Imported(Answer):
    id: WorkflowId


class Workflows:
    """Workflows that the account may use."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._tools = Tools(http)
        self._datatypes: Datatypes | None = None

    async def find(self, *, id: str = "", name: str = "") -> WorkflowRef:
        """Return the workflow with this id or exactly this name; raises PlanError when there is none or more than
        one.
        """
        if id:
            return await self._by_id(id)
        rows = await self._rows()
        named = [row for row in rows if row.name == name]
        if len(named) == 1:
            return named[0].ref()
        if named:
            ids = ", ".join(row.id for row in named)
            raise PlanError(
                f"{len(named)} workflows are called “{name}”.",
                hint=f"Write the id of the one you mean: {ids}; or rename one.",
            )
        near = difflib.get_close_matches(name, [row.name for row in rows], n=1)
        raise PlanError(
            f"No workflow of this account is called “{name}”.",
            hint=f"Did you mean “{near[0]}”?" if near else "Import it in Galaxy, or give the account access to it.",
        )

    async def imported(self, content: bytes) -> WorkflowRef | None:
        """Return the workflow that was made from exactly this file, and not changed in Galaxy since, or None."""
        ours = content_uuid(content)
        known = [row for row in await self._rows() if row.latest_workflow_uuid == ours]
        return min(known, key=lambda row: row.id).ref() if known else None

    async def import_file(self, content: bytes, name: str) -> WorkflowRef:
        """Return the workflow made from this file (.ga or gxformat2), imported now or earlier; `name` is the file's,
        for messages.

        Raises PlanError for a file that is no workflow, AnswerLost when it may have been imported: `imported` finds it
        once it is there, which may be later.
        """
        json = {"workflow": importable(parse(content, name), content_uuid(content))}
        if known := await self.imported(content):
            return known
        try:
            return (await self._http.post("/api/workflows", "import a workflow", _Row, json=json)).ref()
        except Refused as error:
            raise PlanError(f"Galaxy does not take the workflow in {name}: {error.message}", hint=error.hint) from error

    async def import_trs(self, trs_ref: TrsRef) -> WorkflowRef:
        """Return the workflow of a registry, imported now or earlier.

        Raises PlanError, naming the registry, where Galaxy does not have it, reach it or understand what it gives;
        AnswerLost when it may have been imported: `imported_trs` finds it once it is there.
        """
        if known := await self.imported_trs(trs_ref):
            return known
        if trs_ref.is_listed:
            servers = await self._http.get("/api/trs_consume/servers", "list its registries", list[trs.Server])
            if trs_ref.server not in {server.id for server in servers}:
                raise trs.unlisted(trs_ref, servers)
        try:
            made = await self._http.post(
                "/api/workflows", "import a workflow from a registry", _Imported, json=trs_ref.request()
            )
        except GalaxyError as error:
            if told := trs.refused(trs_ref, error):
                raise told from error
            raise
        return await self._by_id(made.id)

    async def imported_trs(self, trs_ref: TrsRef) -> WorkflowRef | None:
        """Return the workflow that was imported from exactly this place, and not changed in Galaxy since, or None."""
        rows = await self._rows()
        known = [row for row in rows if row.source_metadata is not None and row.source_metadata.is_of(trs_ref)]
        return min(known, key=lambda row: row.id).ref() if known else None

    async def read(self, workflow: WorkflowId, version: int | None = None) -> WorkflowFacts:
        """Return what this version of the workflow wants and gives, the newest when none is named; raises PlanError
        when workflow or version are not there.
        """
        ref = await self._by_id(workflow)
        told = await self._download(ref, version)
        # Galaxy tells the uuid of the very version that was asked for, and the number that an invocation names.
        exact = WorkflowRef(
            ref.id, ref.name, told.uuid or ref.uuid, ref.version if told.version is None else told.version
        )
        return await self._facts(exact, told.ordered())

    async def versions(self, workflow: WorkflowId) -> list[int]:
        """Return the numbers of all versions, oldest first."""
        path = f"/api/workflows/{quote(workflow)}/versions"
        return sorted(row.version for row in await self._http.get(path, "list versions", list[_Version]))

    async def upgrade_messages(self, workflow: WorkflowId, history: HistoryId, version: int | None = None) -> list[str]:
        """Return what Galaxy would change in the steps to run them: other versions of tools, values that are missing or
        do not fit. An invocation is refused for the latter, and for the former not.

        Raises PlanError when workflow or version are not there, Refused for a tool that is missing.
        """
        params: Params = {"style": "run", "history_id": history}
        ref = await self._by_id(workflow)
        told = await self._download(ref, version)
        if told.version is not None:
            params = {**params, "version": told.version}
        path = f"/api/workflows/{quote(workflow)}/download"
        try:
            form = await self._http.get(path, "prepare a workflow", upgrade_messages.RunForm, params=params)
        except Refused as error:
            if inside := upgrade_messages.told_inside(error.details, told.ordered()):
                return inside
            raise
        return upgrade_messages.told(form)

    async def accepted_extensions(self, facts: WorkflowFacts) -> dict[int, frozenset[str]]:
        """Return for each input that takes data, by its number, all extensions that it takes as they are: those that
        the workflow names, or else those that fit every tool that takes the input.
        """
        known = await self.datatypes()
        return {
            one.index: frozenset(
                ext for ext in known.extensions if all(known.fits(ext, group) for group in one.accepts)
            )
            for one in facts.inputs
            if one.kind != "parameter"
        }

    async def datatypes(self) -> Datatypes:
        """Return Galaxy's datatypes, asked for once."""
        if self._datatypes is None:
            self._datatypes = await datatypes.ask(self._http)
        return self._datatypes

    async def read_file(self, content: bytes, name: str) -> WorkflowFacts:
        """Return what a workflow file wants and gives before it is imported; `missing` is asked of Galaxy.

        Steps are numbered as Galaxy will number them.

        Raises PlanError for a file that is no workflow.
        """
        document = parse(content, name)
        try:
            rows = in_order(as_ga(document)["steps"])
            steps = Downloaded.model_validate({"steps": {str(row["id"]): row for row in rows}}).ordered()
        except (ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise PlanError(
                f"{name} is no workflow: its steps are not as Galaxy writes them.",
                hint="Export the workflow from Galaxy once more.",
            ) from error
        title = str(document.get("label") or document.get("name") or name)
        ref = WorkflowRef(WorkflowId(""), title, content_uuid(content))
        return await self._facts(ref, [labelled(step) for step in steps])

    async def _facts(self, ref: WorkflowRef, steps: Sequence[DownloadedStep]) -> WorkflowFacts:
        tools = tuple(dict.fromkeys(tools_of(steps)))
        declared = {tool: await self._tools.declared(*tool) for tool in tools}
        return WorkflowFacts(
            id=ref.id,
            name=ref.name,
            uuid=ref.uuid,
            version=ref.version,
            inputs=inputs_of(steps, declared),
            steps=steps_of(steps, declared),
            outputs=output_labels(steps),
            tools=tools,
            missing=tuple(one.missing for one in declared.values() if one.missing is not None),
        )

    async def missing_tools(self, facts: WorkflowFacts) -> list[str]:
        """Return the tools that Galaxy does not have in the version wanted, as "id (version; what is there)"."""
        return [str(tool) for tool in facts.missing]

    async def _download(self, ref: WorkflowRef, version: int | None) -> Downloaded:
        params: Params | None = None if version is None else {"version": version}
        try:
            # Galaxy takes a negative number for the newest version.
            if version is None or version >= 0:
                path = f"/api/workflows/{quote(ref.id)}/download"
                return await self._http.get(path, "read a workflow", Downloaded, params=params)
        except Refused:
            if version is None:
                raise
        known = await self.versions(ref.id)
        if version in known:
            raise PlanError(f"Galaxy does not give version {version} of the workflow “{ref.name}” ({ref.id}).")
        raise PlanError(
            f"The workflow “{ref.name}” ({ref.id}) has no version {version}.",
            hint=f"Its versions are {', '.join(str(one) for one in known)}.",
        )

    async def delete(self, workflow: WorkflowId) -> None:
        """Delete the workflow; invocations of it stay."""
        await self._http.delete(f"/api/workflows/{quote(workflow)}", "delete a workflow")

    async def _by_id(self, id: str) -> WorkflowRef:
        try:
            row = await self._http.get(f"/api/workflows/{quote(id, safe='')}", "read a workflow", _Row)
        except (NotThere, Refused) as error:
            raise PlanError(
                f"There is no workflow with the id {id} in this Galaxy.",
                hint="Ids differ between servers; a name may be easier.",
            ) from error
        if row.deleted:
            raise PlanError(
                f"The workflow “{row.name}” ({id}) is deleted.", hint="Undelete it in Galaxy, or name another one."
            )
        return row.ref()

    async def _rows(self) -> list[_Row]:
        rows: list[_Row] = []
        while True:
            params: Params = {"limit": PAGE, "offset": len(rows), "skip_step_counts": True}
            page = await self._http.get("/api/workflows", "list workflows", list[_Row], params=params)
            rows.extend(page)
            if len(page) < PAGE:
                return [row for row in rows if not row.deleted]
