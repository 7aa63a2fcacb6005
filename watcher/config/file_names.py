"""What delivered files are called: templates by output, as they are written below a delivery.

A template may name what places are made of (`destinations.py`) and what a single result is called by. Here it is only
seen whether it can be one; the delivery fills it in, and tells apart what it calls alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from watcher.config.destinations import TEMPLATE_FIELDS, check_template
from watcher.config.values import Text, json_one_or_mapping, wrong
from watcher.results import RESULT_FIELDS

FILE_FIELDS: Mapping[str, str] = {**RESULT_FIELDS, **TEMPLATE_FIELDS}
"""What such a template may name, and what it means."""

_ELSEWHERE = ("step:", "tag:")


def _one_for_all(written: object) -> object:
    return {"*": written} if isinstance(written, str) else {} if written is None else written


def _check_pattern(pattern: str) -> str:
    if pattern.startswith(_ELSEWHERE):
        raise wrong(
            "is no pattern for names.",
            "Name the label of an output (* and ? stand for any), or ext:EXTENSION.",
        )
    return pattern


def check_file_template(template: str) -> str:
    """Refuse what `check_template` refuses, and paths that are absolute, go up, or end without a name."""
    check_template(template, tuple(FILE_FIELDS))
    if template.startswith("/"):
        raise wrong("begins with /.", "Names lie below the delivery's own place, for example {element}/{output}.{ext}.")
    if any(part.strip() in (".", "..") for part in template.split("/")):
        raise wrong("must not go up with '..'.", "Names lie below the delivery's own place.")
    if template.endswith("/"):
        raise wrong("ends with a folder.", "Say what the file is called in it, for example {element}/{output}.{ext}.")
    return template


FileNames = Annotated[
    Mapping[Annotated[Text, AfterValidator(_check_pattern)], Annotated[str, AfterValidator(check_file_template)]],
    BeforeValidator(_one_for_all),
    Field(json_schema_extra=json_one_or_mapping),
]
"""Templates by patterns on the labels of outputs, or one for all."""
