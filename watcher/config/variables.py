"""The fields of `Settings` as variables of the environment, read by pydantic-settings.

The variables are handed in, so that nothing here depends on the process it runs in. Which variables concern us and how
problems are told stands in `environment.py`, which imports this module only when there is something to read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from watcher.config.settings import Settings


class _Variables(Settings, BaseSettings):
    """The fields of `Settings`, for the source that reads variables; never built."""

    model_config = SettingsConfigDict(env_nested_delimiter="__")


class _Source(EnvSettingsSource):
    """Reads the variables handed in instead of those of the process."""

    def __init__(self, variables: Mapping[str, str], prefix: str) -> None:
        self._variables = variables
        super().__init__(_Variables, env_prefix=prefix)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        return json.loads(value, parse_constant=_refuse_constant)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def read_variables(variables: Mapping[str, str], prefix: str) -> tuple[dict[str, Any], list[str]]:
    """Return the values told by variables, nested as in the file, and the top fields whose text is no JSON."""
    source = _Source(variables, prefix)
    values: dict[str, Any] = {}
    unreadable: list[str] = []
    for name, field in _Variables.model_fields.items():
        try:
            written, _, is_complex = source.get_field_value(field, name)
            value = source.prepare_field_value(name, field, written, is_complex)
        except (ValueError, SettingsError, RecursionError):
            unreadable.append(name)
            continue
        if value is not None:
            values[name] = value
    return values, unreadable


def _refuse_constant(constant: str) -> Any:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(constant)
