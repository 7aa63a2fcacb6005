"""The `q=`/`qv=` filters and the paging of Galaxy's lists, with the odd cases kept.

`tag` also matches the part of a tag before its colon. A column nobody knows is a 400 "bad filter".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from tests.fakes.galaxy.web import Call, Refusal

Json = dict[str, Any]
Row = TypeVar("Row")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)


def _truth(text: str) -> bool:
    return text.lower() in ("true", "1", "yes", "on", "t", "y")


_TEXT: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda mine, asked: mine == asked,
    "contains": lambda mine, asked: asked.lower() in mine.lower(),
    "like": lambda mine, asked: asked.strip("%").lower() in mine.lower(),
    "in": lambda mine, asked: mine in asked.split(","),
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda mine, asked: bool(mine == asked),
    "gt": lambda mine, asked: bool(mine > asked),
    "ge": lambda mine, asked: bool(mine >= asked),
    "lt": lambda mine, asked: bool(mine < asked),
    "le": lambda mine, asked: bool(mine <= asked),
}
_TEXT_COLUMNS = ("name", "state", "extension", "history_content_type", "annotation", "type", "genome_build")
_TRUTH_COLUMNS = ("deleted", "purged", "visible")


def matches(row: Json, column: str, operation: str, value: str) -> bool:
    """Say whether a row passes one filter; 400 for a filter that does not exist."""
    if column == "tag" and operation in ("eq", "contains", "like"):
        if operation == "eq":
            return any(value in (tag, tag.partition(":")[0]) for tag in row["tags"])
        return any(_TEXT[operation](tag, value) for tag in row["tags"])
    if column in _TRUTH_COLUMNS and operation == "eq" and column in row:
        return bool(row[column]) == _truth(value)
    if column in _TEXT_COLUMNS and operation in _TEXT:
        return _TEXT[operation](str(row.get(column) or ""), value)
    if column in ("update_time", "create_time") and operation in _ORDER:
        return _ORDER[operation](_moment(row[column]), _moment(value))
    if column == "hid" and operation in _ORDER:
        return _ORDER[operation](row["hid"], int(value))
    raise Refusal(400, 400008, "bad filter", column=column, operation=operation)


def chosen(rows: Iterable[Json], call: Call) -> list[Json]:
    """Keep the rows that pass all filters of the request."""
    filters = call.filters()
    if not filters:
        return list(rows)
    return [row for row in rows if all(matches(row, *wanted) for wanted in filters)]


def page(rows: list[Row], call: Call, *, limit: int | None = None) -> list[Row]:
    """Cut out what `limit` and `offset` ask for."""
    offset = call.count("offset") or 0
    length = call.count("limit", limit)
    return rows[offset:] if length is None else rows[offset : offset + length]


def ordered(rows: list[Json], call: Call, default: str) -> list[Json]:
    """Sort by `order=`, such as `hid-asc` or `update_time`; times and numbers come newest first unless told `-asc`."""
    for part in reversed((call.query("order") or default).split(",")):
        column, _, direction = part.partition("-")
        backward = direction == "dsc" or (not direction and column in ("create_time", "update_time", "hid"))
        rows = sorted(rows, key=lambda row, column=column: row.get(column) or "", reverse=backward)  # type: ignore[misc]
    return rows
