"""Settings from the environment: `WATCHER_GALAXY__URL`, `WATCHER_STATE__PATH`, `WATCHER_LIMITS__TRANSFERS` …

Two underscores go one level down; lists are written as JSON. A variable that looks like a setting but is none is a
problem; other `WATCHER_` variables are left alone. The reading itself stands in `variables.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from watcher.config.problems import did_you_mean
from watcher.config.settings import Settings
from watcher.config.values import KeyPath
from watcher.errors import ConfigProblem

PREFIX = "WATCHER_"
CONFIG_VARIABLE = "WATCHER_CONFIG"
PLACE = "environment"
"""Stands in the place of a file name."""


def read_environment(variables: Mapping[str, str]) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Return the settings told by variables, nested as in the file, and what is wrong with the variables themselves."""
    ours = {name: value for name, value in variables.items() if _is_ours(name)}
    if not ours:
        return {}, []
    # pydantic-settings takes a tenth of a second to import, and most hosts have no variable for it.
    from watcher.config.variables import read_variables

    values, unreadable = read_variables(ours, PREFIX)
    problems = list(_unknown_variables(ours))
    for name in unreadable:
        hint = "Lists and sections are written as JSON."
        problems.append(ConfigProblem(PLACE, 0, variable_of((name,)), "is not JSON.", hint))
    return values, problems


def variable_of(path: KeyPath) -> str:
    """Return the variable that tells the value at a path."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def _is_ours(variable: str) -> bool:
    return variable.upper().startswith(PREFIX) and variable.upper() != CONFIG_VARIABLE


def _unknown_variables(variables: Mapping[str, str]) -> Iterator[ConfigProblem]:
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(variables):
        first, _, below = variable.upper().removeprefix(PREFIX).partition("__")
        if first in known:
            continue
        near = difflib.get_close_matches(first, known, n=1, cutoff=0.75)
        # Without two underscores and nothing near it, it may be anybody's variable.
        if below or near:
            hint = did_you_mean(first, known).replace("mean ", f"mean {PREFIX}")
            yield ConfigProblem(PLACE, 0, variable, "tells no setting that is known.", hint)
