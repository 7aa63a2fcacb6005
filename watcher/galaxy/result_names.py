"""What a result is called whose workflow gives it no label.

Pure, and the same for everybody who asks: what a workflow promises and what an invocation made meet under this name.
"""

from __future__ import annotations

from watcher.galaxy.tool_ids import short_tool_id


def result_name(step_index: int, step_label: str, tool_id: str, output_name: str) -> str:
    """Return a name such as `count_reads 2.report`; a label of the step stands in the place of tool and number.

    `step_index` counts from 0, as in the workflow file; a step without a tool is called `step 2`.
    """
    tool = short_tool_id(tool_id) or "step"
    return f"{step_label or f'{tool} {step_index}'}.{output_name}"
