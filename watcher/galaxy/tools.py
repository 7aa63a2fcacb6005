"""Tools: which versions of one Galaxy has, and what it declares of its parameters.

Measured on 24.1.4, 25.0.4 and 26.1.2: a request for a version that is not there is answered with the newest one that
is, with status 200, so the version in the answer decides. `GET /api/tools?tool_id=` lists all versions, newest last.
Of a tool of a tool shed that is there in another version only, the same is known from Galaxy's source alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from watcher.errors import NotThere
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.http import Http, Params
from watcher.galaxy.tool_ids import repository
from watcher.galaxy.workflow_facts import MissingTool


class _Case(Answer):
    inputs: tuple[Parameter, ...] = ()


class Parameter(Answer):
    """A parameter as a tool declares it; sections, repeats and conditionals hold further ones."""

    name: Text = ""
    type: Text = ""
    inputs: tuple[Parameter, ...] = ()
    test_param: Parameter | None = None
    cases: tuple[_Case, ...] = ()
    multiple: Any = False
    is_dynamic: Any = False
    options: Any = ()
    extensions: tuple[str, ...] = ()

    @property
    def is_multiple(self) -> bool:
        """Whether it takes a list of values."""
        return str(self.multiple).lower() == "true"

    @property
    def has_fixed_list(self) -> bool:
        """Whether it is a select whose options, `[label, value, selected]`, do not depend on data or other values."""
        is_list = isinstance(self.options, list) and all(isinstance(row, list) and len(row) > 1 for row in self.options)
        return self.type == "select" and not self.is_dynamic and is_list and bool(self.options)


class _Tool(Answer):
    version: Text = ""
    inputs: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What a tool says of its parameters, by name as Galaxy takes them; `missing` when Galaxy does not have it so."""

    parameters: Mapping[str, Sequence[Parameter]] = field(default_factory=dict)
    missing: MissingTool | None = None


class Tools:
    """The tools of one Galaxy."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def declared(self, tool_id: str, version: str) -> Declared:
        """Return what a tool declares; where another version is there, what that one does."""
        params: Params = {"io_details": True, **({"tool_version": version} if version else {})}
        try:
            tool = await self._http.get(f"/api/tools/{quote(tool_id)}", "look for a tool", _Tool, params=params)
        except NotThere:
            return Declared(missing=MissingTool(tool_id, version, repository(tool_id)))
        missing = None
        if version and tool.version not in ("", version):
            versions = await self.versions(tool_id) or (tool.version,)
            missing = MissingTool(tool_id, version, repository(tool_id), versions)
        parameters: dict[str, list[Parameter]] = defaultdict(list)
        for name, one in _flat(tool.inputs):
            parameters[name].append(one)
        return Declared(parameters, missing)

    async def versions(self, tool_id: str) -> tuple[str, ...]:
        """Return the versions that are installed, newest last; none for a tool that is not there."""
        params: Params = {"tool_id": tool_id}
        return tuple(await self._http.get("/api/tools", "list the versions of a tool", list[str], params=params))


def _flat(parameters: Iterable[Parameter], above: str = "") -> Iterator[tuple[str, Parameter]]:
    """Flatten a tool's parameters, named as Galaxy takes them; the cases of a conditional may repeat a name."""
    for one in parameters:
        name = above + one.name
        if one.type == "conditional" and one.test_param is not None:
            yield f"{name}|{one.test_param.name}", one.test_param
            for case in one.cases:
                yield from _flat(case.inputs, f"{name}|")
        elif one.type in ("section", "repeat"):
            yield from _flat(one.inputs, f"{name}_0|" if one.type == "repeat" else f"{name}|")
        else:
            yield name, one
