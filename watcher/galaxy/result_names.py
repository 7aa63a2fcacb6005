"""Names of results that their workflow does not name itself.

Pure: knows no workflow and no invocation. `results.py` gives the names to what it finds.
"""

from __future__ import annotations


def result_name(step_index: int, step_label: str, tool_id: str, output_name: str) -> str:
    """Return the name of an output without a label: after its step's label, else after its tool and place."""
    if step_label:
        return f"{step_label}.{output_name}"
    return f"{_short(tool_id)} {step_index}.{output_name}"


def _short(tool_id: str) -> str:
    """Return the tool's own name of `host/repos/owner/repository/tool/version`, any other id as it is."""
    parts = tool_id.split("/")
    return parts[-2] if len(parts) >= 6 and parts[1] == "repos" else tool_id
