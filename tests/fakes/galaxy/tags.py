"""Tags as Galaxy takes them: refused by a pattern where they are set, bent into shape everywhere.

A `#x` becomes `name:x`, `=` a colon, commas and semicolons cut, what is too long vanishes without a word.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fakes.galaxy.versions import Behaviour
from tests.fakes.galaxy.web import Refusal

PATTERN = r"^([^\s.:])+(\.[^\s.:]+)*(:\S+)?$"
LONGEST = 255


def bent(tags: Any) -> list[str]:
    """Give tags as they are stored; used alone where Galaxy checks nothing, such as in a fetch."""
    kept: list[str] = []
    for tag in tags or []:
        for part in re.split(r"[,;]", re.sub(r"\s", "", str(tag))):
            named = re.sub(r"^#", "name:", part).replace("=", ":", 1)
            if named and len(named) <= LONGEST and named not in kept:
                kept.append(named)
    return kept


def checked(tags: Any, behaviour: Behaviour) -> list[str]:
    """Give tags as they are stored, or refuse the request because of one of them; 24.1 lets them all pass."""
    if not behaviour.checks_tags:
        return bent(tags)
    if not isinstance(tags, list):
        raise _refused("Input should be a valid list", "list_type", ("body", "tags"), tags)
    for index, tag in enumerate(tags):
        if not re.match(PATTERN, str(tag)):
            message = f"String should match pattern '{PATTERN}'"
            raise _refused(message, "string_pattern_mismatch", ("body", "tags", index), tag)
    return bent(tags)


def _refused(message: str, kind: str, place: tuple[Any, ...], given: Any) -> Refusal:
    problem = json.dumps({"type": kind, "loc": place, "msg": message, "input": given})
    return Refusal(400, 400008, f"{message} in {place!r}", validation_errors=[problem])
