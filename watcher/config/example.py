"""What is shown of a configuration: a complete example, the JSON Schema, and the values in effect.

All three are made from the models, so that they cannot tell anything else than what is accepted. `EXAMPLE` holds the
values of the example; every option that is not in it appears as a comment with its default. Secrets are masked
wherever they could show.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from watcher.config.settings import Settings
from watcher.config.written import dump_yaml

MASK = "********"

EXAMPLE: Mapping[str, Any] = {
    "galaxy": {
        "url": "https://galaxy.example.org",
        "api_key_file": "/etc/galaxy-watcher/key",
        "access": "private",
    },
    "state": {"path": "/var/lib/galaxy-watcher/state.sqlite"},
    "watches": [
        {"name": "miseq", "path": "/data/miseq", "layout": "auto", "settle": "5m"},
        {"name": "dropbox", "path": "/data/dropbox", "layout": "files", "settle": "15m", "max_wait": "12h"},
    ],
    "rules": [
        {
            "name": "amplicon",
            "match": {"watch": "miseq", "project": "16S*"},
            "per": "project",
            "priority": 10,
            "destination": {"history": "{run} {unit} {project}", "collection": "list:paired"},
            "tags": ["amplicon"],
            "workflow": {
                "name": "Amplicon QC",
                "inputs": {"Reads": "reads", "Minimum length": 50},
                "steps": {"fastp": {"qualified_quality_phred": 20}},
            },
            "deliver": [
                {"folder": "/results/{run}/{unit}/{project}", "outputs": ["*"]},
                {"folder": "/results/failed/{run}/{unit}/{project}", "on": "failed"},
            ],
        },
        {"name": "everything-else", "destination": {"history": "{run} {unit}"}},
    ],
    "unmatched": "hold",
}

_HEAD = """\
# Configuration of galaxy-watcher. Values may also come from the environment, which wins over this file:
# WATCHER_GALAXY__URL, WATCHER_STATE__PATH and so on. API keys live in files of their own.
# Lines that begin with "#", a key and a colon show options that are left out, with their default.
"""
_WIDTH = 118


def example_yaml() -> str:
    """Return a complete configuration with every option explained."""
    return _HEAD + "\n".join(_section(Settings, EXAMPLE, "", apart=True)) + "\n"


def _section(model: type[BaseModel], values: Mapping[str, Any], indent: str, *, apart: bool = False) -> Iterator[str]:
    """Yield the lines of a section: each option with its comment, those without a value commented out."""
    for name, option in model.model_fields.items():
        if name == "api_key":
            continue
        default = option.get_default(call_default_factory=True, validated_data={})
        # Sections are written out with their defaults: their options want explaining too.
        value = values.get(name, {} if isinstance(default, BaseModel) else None)
        if apart:
            yield ""
        yield from _comment(option.description or "", indent)
        if value is None:
            yield from (f"{indent}# {line}" for line in _lines(name, _as_written(option, default), ""))
        else:
            yield from _option(name, option, value, indent)


def _option(name: str, option: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    section = _section_of(option.annotation)
    if section is None:
        yield from _lines(name, value, indent)
    elif isinstance(value, list):
        yield f"{indent}{name}:"
        for number, entry in enumerate(value):
            if number:
                yield ""
            # The options are explained with the first entry.
            explained = _section(section, entry, indent + "    ")
            bare = (line for key, part in entry.items() for line in _lines(key, part, indent + "    "))
            yield from _as_entry(list(bare if number else explained), indent)
    else:
        yield f"{indent}{name}:"
        yield from _section(section, value, indent + "  ")


def _as_entry(lines: list[str], indent: str) -> Iterator[str]:
    """Put the dash of a list entry before the first line that is no comment; comments before it stay above."""
    first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    for number, line in enumerate(lines):
        yield f"{indent}  - {line.strip()}" if number == first else line


def _lines(name: str, value: Any, indent: str) -> Iterator[str]:
    """Yield a key and its value: mappings in lines of their own, everything else behind the key."""
    if isinstance(value, Mapping) and value:
        yield f"{indent}{_word(name)}:"
        for key, part in value.items():
            yield from _lines(key, part, indent + "  ")
    elif isinstance(value, list | tuple):
        yield f"{indent}{name}: [{', '.join(_word(entry) for entry in value)}]"
    else:
        yield f"{indent}{_word(name)}: {_word(value)}".rstrip()


def _word(value: Any) -> str:
    """Write one value, in double quotes where it needs any."""
    if value is None or value == "" or value == {}:
        return ""
    plain = dump_yaml(value).removesuffix("\n...\n").rstrip("\n")
    return json.dumps(value, ensure_ascii=False) if plain.startswith("'") else plain


def _as_written(option: FieldInfo, default: Any) -> Any:
    """Write a default as a person would."""
    return (
        None
        if default is PydanticUndefined
        else TypeAdapter(option.rebuild_annotation()).dump_python(default, mode="json")
    )


def _comment(text: str, indent: str) -> Iterator[str]:
    yield from (f"{indent}# {line}" for line in textwrap.wrap(text, _WIDTH - len(indent)))


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section an option holds: itself, optionally, or as entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is not None and get_origin(annotation) is not Mapping:
        return next((found for part in get_args(annotation) if (found := _section_of(part)) is not None), None)
    return None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, for editors."""
    schema = Settings.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "galaxy-watcher configuration",
    }


def effective_yaml(settings: Settings) -> str:
    """Return every value in effect, defaults included, as YAML; secrets are masked or stay away."""
    values = settings.model_dump(mode="json", exclude_none=True)
    values.pop("galaxies" if settings.galaxy is not None else "galaxy", None)
    accounts = [values["galaxy"]] if settings.galaxy is not None else list(values["galaxies"].values())
    for account in accounts:
        account.pop("api_key", None)
    state = values["state"]
    state["url"] = re.sub(r"(//[^:/@]*:).*@", rf"\g<1>{MASK}@", state["url"])
    state["url"] = re.sub(r"(password=)[^&]*", rf"\g<1>{MASK}", state["url"])
    if not state["url"]:
        del state["url"]
    return dump_yaml(values)
