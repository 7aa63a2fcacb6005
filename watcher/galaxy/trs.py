"""Workflows of a tool registry (GA4GH TRS), such as Dockstore or WorkflowHub: which one, and how Galaxy is told.

Measured on 24.1.4, 25.0.4 and 26.1.2, alike but where it says so. Galaxy fetches the workflow itself, from a server
that its administrator listed (`/api/trs_consume/servers`) or from any other by its whole address, which its
`fetch_url_allowlist` has to let through. Each workflow tells where it came from (`source_metadata`) until somebody
changes it, even its name. From 25.0 on Galaxy itself gives back the one it has, by tool and version alone, whatever the
server; 24.1 imports it again. Pure: `workflows.py` asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, quote_plus, unquote

from watcher.errors import AnswerLost, Forbidden, GalaxyBroken, GalaxyError, NotThere, PlanError, Refused
from watcher.galaxy.answers import Answer, Text

_WHOLE = re.compile(r"(?P<server>https?://.+)/ga4gh/trs/v2/tools/(?P<tool>[^/]+)/versions/(?P<version>[^/?#]+)")


@dataclass(frozen=True, slots=True)
class TrsRef:
    """One version of a workflow in a registry.

    `server` is the id under which Galaxy lists the registry (`dockstore`), or the address before `/ga4gh/trs/v2`.
    """

    tool_id: str
    version_id: str
    server: str

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return what a whole address names; PlanError for one of another form."""
        found = _WHOLE.match(url)
        if found is None:
            raise PlanError(
                f"{url} names no workflow of a registry.",
                hint="Such an address ends like /ga4gh/trs/v2/tools/TOOL/versions/VERSION, the slashes and # of the "
                "tool's id written as %2F and %23.",
            )
        return cls(unquote(found["tool"]), unquote(found["version"]), found["server"])

    @property
    def is_listed(self) -> bool:
        """Whether the server is named as Galaxy lists it, and not by an address."""
        return "://" not in self.server

    def request(self) -> dict[str, Any]:
        """Return what Galaxy is told."""
        if self.is_listed and "/" in self.version_id:
            # Galaxy 26.1.2 cut such a name at the slash and asked the registry for another version.
            raise PlanError(
                f"Galaxy cannot ask the registry {self.server} for the version {self.version_id}.",
                hint="Write the whole address of the workflow, with /ga4gh/trs/v2/tools/.",
            )
        if self.is_listed:
            where = {"trs_server": self.server, "trs_tool_id": self.tool_id, "trs_version_id": self.version_id}
        else:
            where = {"trs_url": f"{self._place}/versions/{quote(self.version_id, safe='')}"}
        return {"archive_source": "trs_tool", **where}

    @property
    def _place(self) -> str:
        return f"{self.server.rstrip('/')}/ga4gh/trs/v2/tools/{quote_plus(self.tool_id)}"

    def __str__(self) -> str:
        return f"{self.tool_id}, version {self.version_id}, of the registry {self.server}"


class Source(Answer):
    """Where a workflow was imported from, as Galaxy tells it; all empty for one of another origin."""

    trs_tool_id: Text = ""
    trs_version_id: Text = ""
    trs_server: Text = ""
    trs_url: Text = ""

    def is_of(self, trs: TrsRef) -> bool:
        """Tell whether this is exactly what is meant."""
        # Of what was imported by its address Galaxy tells the version as it stands there.
        versions = (trs.version_id, quote(trs.version_id, safe=""))
        if self.trs_tool_id != trs.tool_id or self.trs_version_id not in versions:
            return False
        # 24.1 tells the address only of what was imported by it, later ones tell both where they know both.
        if trs.is_listed:
            return self.trs_server == trs.server
        return self.trs_url.startswith(f"{trs.server.rstrip('/')}/ga4gh/")


class Server(Answer):
    """A registry that Galaxy lists."""

    id: str


def unlisted(trs: TrsRef, servers: list[Server]) -> PlanError:
    """Return the error for a registry that Galaxy does not know by this name."""
    known = ", ".join(server.id for server in servers)
    return PlanError(
        f"This Galaxy lists no registry {trs.server}.",
        hint=f"It lists {known or 'none'}; or write the whole address of the workflow, with /ga4gh/trs/v2/tools/.",
    )


def refused(trs: TrsRef, error: GalaxyError) -> PlanError | None:
    """Return the error when Galaxy says that it could not have the workflow, None when the trouble is another one.

    A registry that is away is 502 from Galaxy itself since 26.1, which tells it from a proxy's by the id of the
    request, and a bare 500 before.
    """
    if isinstance(error, Forbidden):
        reason, hint = error.message, "Galaxy's administrator has to let it through (fetch_url_allowlist)."
    elif isinstance(error, NotThere | Refused):
        reason, hint = error.message, "Are tool and version written as the registry writes them?"
    elif isinstance(error, GalaxyBroken) and error.status == 500:
        reason = "Galaxy failed over it (500)."
        hint = (
            "Is the registry up, may Galaxy's machine reach it, and is it a Galaxy workflow? Galaxy's log tells more."
        )
    elif isinstance(error, AnswerLost) and error.status in (502, 504) and error.request_id:
        reason = f"Galaxy does not reach the registry ({error.status})."
        hint = "Is the registry up, and may Galaxy's machine reach it?"
    else:
        return None
    return PlanError(f"Galaxy cannot import {trs}: {reason}", hint=hint)
