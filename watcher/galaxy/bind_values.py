"""Values in the types that Galaxy wants: texts count as what they say, since tables and templates hold nothing else.

Pure. `bind.py` asks for the inputs of a workflow, `bind_steps.py` for the parameters of its tools.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from watcher.galaxy.workflows import WorkflowInput

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def scalar(wanted: WorkflowInput, value: Any) -> Any:
    """Return the value in the type the input wants; raises ValueError with the end of a sentence."""
    if value is None or isinstance(value, list | Mapping):
        raise ValueError(f"wants {article(wanted.type)}, not {value!r}")
    if wanted.choices and str(value).strip() not in wanted.choices:
        raise ValueError(f"wants one of {', '.join(wanted.choices)}, not {value!r}")
    found = typed(wanted.type, value)
    return found if isinstance(found, bool | int | float | str) else str(found)


def typed(type: str, value: Any) -> Any:
    """Return the value in Galaxy's type; raises ValueError with the end of a sentence."""
    text = str(value).strip()
    wrong = ValueError(f"wants {article(type)}, not {value!r}")
    if type in ("integer", "float") and isinstance(value, bool):
        raise wrong
    try:
        if type == "integer":
            return int(text)
        if type == "float":
            return float(text)
    except ValueError:
        raise wrong from None
    if type == "boolean":
        if text.lower() not in TRUE + FALSE:
            raise wrong
        return text.lower() in TRUE
    return text if type == "text" and not isinstance(value, str) else value


def article(type: str) -> str:
    """Return a type of Galaxy as people say it."""
    return {"integer": "an integer", "float": "a number", "boolean": "true or false", "text": "a text"}.get(
        type, f"a {type or 'value'}"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that tells the nearest known name, or the first of all."""
    names = list(dict.fromkeys(known))
    same = [name for name in names if name.lower() == word.lower()]
    near = same or difflib.get_close_matches(word, names, n=1)
    if near:
        return f" (did you mean “{near[0]}”?)"
    return f"; it has {', '.join(f'“{name}”' for name in names[:8])}" if names else "; it has none"
