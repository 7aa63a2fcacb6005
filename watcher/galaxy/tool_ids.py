"""What the id of a tool says: `toolshed.example.org/repos/owner/repository/fastp/0.23`, or a built-in's plain name.

Pure; it asks nobody whether there is such a tool (`tools.py` does).
"""

from __future__ import annotations


def bare_tool(tool_id: str) -> str:
    """Return the id of a tool without its version: `host/repos/owner/repository/tool`, or all of a built-in's id."""
    parts = tool_id.split("/")
    return "/".join(parts[:-1]) if _is_from_shed(parts) else tool_id


def version_in(tool_id: str) -> str:
    """Return the version that is part of the id of an installed tool; a built-in's id has none."""
    parts = tool_id.split("/")
    return parts[-1] if _is_from_shed(parts) else ""


def short_tool_id(tool_id: str) -> str:
    """Return the last name of a tool: `toolshed.example.org/repos/owner/repository/fastp/0.23` is called fastp."""
    return bare_tool(tool_id).rpartition("/")[2] if _is_from_shed(tool_id.split("/")) else tool_id


def repository(tool_id: str) -> str:
    """Return `owner/name@tool shed` of a tool from a tool shed, else nothing."""
    parts = tool_id.split("/")
    return f"{parts[2]}/{parts[3]}@{parts[0]}" if _is_from_shed(parts) else ""


def _is_from_shed(parts: list[str]) -> bool:
    return len(parts) >= 6 and parts[1] == "repos"
