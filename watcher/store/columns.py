"""How single values lie in both databases, so that they come back as they went in and stay readable with SQL.

Times are UTC text in SQLite and `timestamptz` in PostgreSQL, aware UTC in Python. Words (`Status`, `Stage`) are plain
text. Text may come from file names and from Galaxy: what a database cannot keep (NUL, half of a surrogate pair) is
written as its escape. Plans are JSON, read through pydantic, which lets the keys of a newer version through. The
tables are in `schema.py`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from watcher.model import Plan

W = TypeVar("W", bound=StrEnum)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse times without a zone: nobody could tell later what they meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the same instant in UTC, whatever the zone of the session was."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text of any origin, made storable."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what UTF-8 or PostgreSQL cannot hold."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


class Word(TypeDecorator[W]):
    """A member of a word list; the text in the database is the word itself."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, words: type[W]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: W | None, dialect: Dialect) -> str | None:
        """Return the word as text; a word of another list is refused."""
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> W | None:
        """Return the member."""
        return None if value is None else self.words(value)


class UnsignedInteger(TypeDecorator[int]):
    """A number of 64 bits without sign, kept as the signed one of the same bits: inodes may use the top bit."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Fold the upper half below zero."""
        return value - 2**64 if value is not None and value >= 2**63 else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        """Unfold it."""
        return value + 2**64 if value is not None and value < 0 else value


class PlanText(TypeDecorator[Plan]):
    """A frozen plan as JSON."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Plan | None, dialect: Dialect) -> Any:
        """Return plain JSON values, unknown keys included."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Plan | None:
        """Read it as this version understands it."""
        return None if value is None else Plan.model_validate(value)


class JsonText(TypeDecorator[Any]):
    """JSON in a text column, which a migration can add with a default in both databases: no text is an empty value."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, empty: type[dict[str, Any]] | type[list[Any]]) -> None:
        super().__init__()
        self.empty = empty

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """Return it as text of ASCII alone; an empty value as no text."""
        return json.dumps(value) if value else ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read it."""
        return json.loads(value) if value else self.empty()
