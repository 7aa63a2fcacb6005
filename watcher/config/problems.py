"""What is wrong with a value, as a sentence for the person who wrote it.

Translates the answers of pydantic, which speak of types, into sentences that speak of keys, and adds "did you mean".
Values are repeated only where a fixed set of words is allowed: anything else could be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from watcher.config.settings import Settings
from watcher.config.values import PROBLEM_TYPE, KeyPath

_NOT_TEXT = frozenset({"string_type"})
_NOT_NUMBER = frozenset(
    {"int_type", "int_parsing", "int_from_float", "int_parsing_size", "float_type", "float_parsing"}
)
_NOT_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type", "mapping_type"})
_NOT_LIST = frozenset({"tuple_type", "list_type"})


def did_you_mean(written: str, known: Iterable[str], *, else_hint: str = "") -> str:
    """Return the hint for a word that is not known: the nearest one, else what is."""
    words = list(known)
    near = difflib.get_close_matches(written, words, n=1, cutoff=0.6)
    if not near:
        folded = {word.lower(): word for word in words}
        near = [folded[written.lower()]] if written.lower() in folded else []
    return f"Did you mean {near[0]}?" if near else else_hint


def explain(error: ErrorDetails, base: Path) -> tuple[str, str]:
    """Return problem and hint for one refused value; `base` is the folder of the file, to suggest absolute paths."""
    kind, path, value = error["type"], tuple(error["loc"]), error.get("input")
    context: Mapping[str, Any] = error.get("ctx", {})
    if value is None and kind not in ("missing", "extra_forbidden"):
        return "is empty.", "Write a value or remove the line."
    if kind == PROBLEM_TYPE:
        return _own(context, base)
    if kind == "missing":
        description = _description(path)
        return "is missing.", f"It tells: {description[:1].lower()}{description[1:]}" if description else ""
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        hint = did_you_mean(str(path[-1]), known, else_hint=f"Known here: {', '.join(known)}.")
        return "is not a key that is known here.", hint
    if kind == "literal_error":
        return _not_a_word(context, path, value)
    if kind in _NOT_TEXT:
        return f"must be text, not {_what(value)}.", 'Put it in quotes: "…".' if not isinstance(value, list) else ""
    if kind in _NOT_NUMBER:
        return f"must be a whole number, not {_what(value)}.", ""
    if kind in _NOT_MAPPING:
        known = _known_keys(path)
        return f"must hold keys and values, not {_what(value)}.", f"Known here: {', '.join(known)}." if known else ""
    if kind in _NOT_LIST:
        return f"must be a list, not {_what(value)}.", "Begin each entry with '- '."
    return error["msg"][:1].lower() + error["msg"][1:] + ".", ""


def _own(context: Mapping[str, Any], base: Path) -> tuple[str, str]:
    hint = str(context.get("hint", ""))
    if "relative" in context and not str(context["relative"]).startswith("~"):
        hint = f"Perhaps {base / str(context['relative'])}?"
    return str(context["problem"]), hint


def _not_a_word(context: Mapping[str, Any], path: KeyPath, value: object) -> tuple[str, str]:
    expected = str(context.get("expected", "")).replace("'", "")
    words = [word.strip() for word in expected.replace(" or ", ",").split(",") if word.strip()]
    accepted = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    short = isinstance(value, str) and len(value) <= 40 and value.isprintable()
    shown = short and path[:1] not in (("galaxy",), ("galaxies",))
    return (
        f"must be {accepted}, not {value if shown else _what(value)}.",
        did_you_mean(value, words) if isinstance(value, str) else "",
    )


def _what(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "keys and values"
        case list() | tuple():
            return "a list"
        case _:
            return "this"


def _known_keys(path: KeyPath) -> list[str]:
    """Return the keys that may stand at a place; empty when it is no section."""
    section = _section_at(path)
    # The key itself is taken from the environment only: nobody shall be led to write it into a file.
    return [name for name in section.model_fields if name != "api_key"] if section is not None else []


def _description(path: KeyPath) -> str:
    section = _section_at(path[:-1])
    known = section.model_fields.get(str(path[-1])) if section is not None and path else None
    return (known.description or "") if known is not None else ""


def _section_at(path: KeyPath) -> type[BaseModel] | None:
    """Follow a path through the types of `Settings`."""
    here: Any = Settings
    for part in path:
        here = _unwrapped(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            known = here.model_fields.get(str(part))
            here = known.annotation if known is not None else None
        elif get_origin(here) is tuple:
            here = get_args(here)[0]
        elif get_args(here):
            here = get_args(here)[-1]
        else:
            return None
    here = _unwrapped(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _unwrapped(annotation: Any) -> Any:
    """Take away `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        annotation = inner[0]
    return annotation
