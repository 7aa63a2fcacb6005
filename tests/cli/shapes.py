"""Holds JSON against a schema, as far as our own schemas go; a word of JSON Schema that it does not know is an error.

Small on purpose: a package for it would bring five more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
ABOUT = {"$schema", "$defs", "title", "description"}
ASKED = {
    "$ref", "type", "enum", "anyOf", "required", "properties", "additionalProperties", "items", "minItems", "minLength",
    "minimum", "pattern", "format",
}  # fmt: skip


def misfits(value: object, schema: Mapping[str, Any], top: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """Yield everything in a value that a schema does not allow; `top` is the whole schema, where `$defs` are."""
    assert set(schema) <= ABOUT | ASKED, set(schema) - ABOUT - ASKED
    if name := schema.get("$ref"):
        yield from misfits(value, top["$defs"][name.removeprefix("#/$defs/")], top, at)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "anyOf" in schema:
        ways = [list(misfits(value, one, top, at)) for one in schema["anyOf"]]
        if all(ways):
            yield from max(ways, key=lambda way: len(way[0].partition(": ")[0]))  # the one that fits deepest
    if "type" in schema and not _is_a(value, schema["type"]):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from _in_object(value, schema, top, at)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: is empty"
        for number, one in enumerate(value):
            yield from misfits(one, schema.get("items", {}), top, f"{at}[{number}]")
    elif isinstance(value, str):
        yield from _in_text(value, schema, at)
    elif isinstance(value, int) and value < schema.get("minimum", value):
        yield f"{at}: {value} is less than {schema['minimum']}"


def _is_a(value: object, wanted: str | list[str]) -> bool:
    words = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in words
    return any(isinstance(value, TYPES[word]) for word in words)


def _in_object(value: dict[str, Any], schema: Mapping[str, Any], top: Mapping[str, Any], at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for key in schema.get("required", []):
        if key not in value:
            yield f"{at}: has no {key!r}"
    for key, one in value.items():
        if key in known:
            yield from misfits(one, known[key], top, f"{at}.{key}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{at}: has {key!r}"


def _in_text(value: str, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: is empty"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not fit {schema['pattern']}"
    if schema.get("format") == "date-time" and datetime.fromisoformat(value).tzinfo is None:
        yield f"{at}: {value!r} tells no time zone"
