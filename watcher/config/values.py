"""Values as people write them in a configuration: durations, sizes, absolute paths, names, patterns.

Each is an annotated type that turns the written form into a Python value, says in one sentence what is wrong with it,
and knows how to write itself back. `Section` is the base of every part of the configuration: frozen, unknown keys
refused. Nothing here knows what a value is used for; `settings.py` puts the parts together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

PROBLEM_TYPE = "watcher_problem"
"""The error type of everything refused here; `ctx` holds `problem` and `hint`."""

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of mappings, numbers of list entries from 0."""


class Section(BaseModel):
    """Base of every part of a configuration: never changed after loading, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, written: Any) -> Any:
        """Take a section whose options are all commented out for one without options."""
        return {} if written is None else written


class Misfit(NamedTuple):
    """Something wrong between values that are each fine: at `key`, relative to whoever reports it."""

    key: KeyPath
    message: str
    hint: str = ""
    unless_wrong_below: bool = False
    """Not worth telling when something under the key is wrong already: that is the cause."""


def wrong(problem: str, hint: str = "", **more: Any) -> PydanticCustomError:
    """Return the error to raise for a value that cannot be used."""
    return PydanticCustomError(PROBLEM_TYPE, "{problem}", {"problem": problem, "hint": hint, **more})


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d)\s*){{1,5}}")
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_PLAIN_NUMBER = re.compile(_NUMBER)
_LONGEST = timedelta(days=3650)
_DURATION_HINT = 'Write a number with s, m, h or d, for example "90s", "5m", "12h"; a bare number means seconds.'


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `5m`, `1h30m`, `0s`; a bare number means seconds."""
    if isinstance(value, timedelta):
        return value
    seconds = _seconds(value)
    if seconds is None:
        raise wrong("is not a duration.", _DURATION_HINT)
    if seconds < 0:
        raise wrong("is not a duration: it lies before zero.", _DURATION_HINT)
    if seconds > _LONGEST.total_seconds():
        raise wrong("is longer than ten years.", _DURATION_HINT)
    return timedelta(seconds=seconds)


def _seconds(value: object) -> float | None:
    if isinstance(value, str):
        text = value.strip()
        if _PLAIN_NUMBER.fullmatch(text):
            return float(text)
        if _DURATION.fullmatch(text):
            return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    elif isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12:
        return float(value)
    return None


def format_duration(value: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same one: `5m`, `1h30m`, `0s`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    parts = []
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _above_zero(value: timedelta) -> timedelta:
    if value < timedelta(milliseconds=100):
        raise wrong("is too short: at least 100ms.")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["string", "number"], "examples": ["5m", "90s", "12h", 30]}),
]
Interval = Annotated[Duration, AfterValidator(_above_zero)]


_BYTES: dict[str, int] = {"": 1, "B": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate(("k", "M", "G", "T"), start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
# Both spellings are seen; only the binary one has a large K by the standard.
_BYTES |= {"KiB": 1024, "KB": 1000}
_SIZE = re.compile(r"([0-9]{1,15})\s*([kKMGT]?i?B)?")
_SIZE_HINT = 'Write whole bytes, or a number with kB, MB, GB, KiB, MiB or GiB, for example "10MiB".'


def parse_size(value: object) -> int:
    """Read `10MiB`, `4 GB`, or whole bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())) and (found[2] or "") in _BYTES:
        return int(found[1]) * _BYTES[found[2] or ""]
    raise wrong("is not a size.", _SIZE_HINT)


def format_size(value: int) -> int | str:
    """Write a size so that `parse_size` reads the same one."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return value


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise wrong("must be a whole number, not true or false.")
    return value


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=int | str, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["10MiB", 1048576]}),
]
Count = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=1, le=1000)]
Priority = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=-1000, le=1000)]


def refuse_control(value: str) -> str:
    """Refuse text with line breaks, lone halves of a character and other things that do not show."""
    if any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise wrong("holds a line break or another character that does not show.")
    return value


def _check_text(value: str) -> str:
    if not value.strip():
        raise wrong("is empty.", "Write a value or remove the line.")
    return refuse_control(value)


def _check_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise wrong("is not a name.", "Up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit.")
    return value


def parse_path(value: object) -> Path:
    """Read an absolute path; `~`, `..` and paths relative to wherever the program was started are refused."""
    if not isinstance(value, str | Path):
        raise wrong("must be a path.")
    written = refuse_control(str(value))
    if not written.startswith("/"):
        raise wrong("must be an absolute path: it has to begin with /.", relative=written)
    if ".." in written.split("/"):
        raise wrong("must not go up with '..'.", "Write the path out.")
    # Two leading slashes would survive in a Path and then differ from the same place written with one.
    return Path("/" + written.lstrip("/"))


def one_or_many(value: object) -> object:
    """Let a list with a single entry be written without the list."""
    return (value,) if isinstance(value, str | dict | BaseModel) else value


def at_least_one(value: object) -> object:
    """Refuse a list without entries, whatever is wrong with the entries themselves."""
    if value is not None and isinstance(value, Sequence) and not value:
        raise wrong("must hold at least one entry.")
    return value


Text = Annotated[str, AfterValidator(_check_text)]
Name = Annotated[str, AfterValidator(_check_name)]
AbsolutePath = Annotated[
    Path,
    BeforeValidator(parse_path),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^/"}),
]


def json_one_or_many(entry: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return what adds the single form to the JSON Schema of a list that may be written without the list."""

    def add(schema: dict[str, Any]) -> None:
        schema.setdefault("anyOf", [entry, {"type": "array", "items": entry}])
        schema.pop("type", None)
        schema.pop("items", None)

    return add


def json_one_or_mapping(schema: dict[str, Any]) -> None:
    """Add the single form to the JSON Schema of a mapping of texts that may be written as one text."""
    schema.pop("type", None)
    entries = schema.pop("additionalProperties", {"type": "string"})
    schema["anyOf"] = [{"type": "string"}, {"type": "object", "additionalProperties": entries}]


Patterns = Annotated[
    tuple[Text, ...],
    BeforeValidator(at_least_one),
    BeforeValidator(one_or_many),
    Field(json_schema_extra=json_one_or_many({"type": "string"})),
]
"""One glob pattern or several: `*`, `?`, `[abc]`; upper and lower case differ."""
