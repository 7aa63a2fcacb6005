"""Reads single facts out of the small XML, JSON and `key=value` files that sequencers leave beside their reads.

Names in XML are local names: sequencers write with and without namespaces. What cannot be parsed is NOT_READABLE,
never an empty answer, because a half-written status file must not count as one that says nothing. Knows no layout.
"""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class NotReadable(Exception):
    """The content is no XML, no JSON or no text; the message says which, `at` the line and column where it is known."""

    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SequencedRead:
    """One read of a run as RunInfo.xml plans it."""

    number: int
    cycles: int
    is_index: bool


@dataclass(frozen=True, slots=True)
class LocatedElement:
    """An element of a document without its texts: where it begins (from 1) and how many elements it is inside of."""

    name: str
    attributes: Mapping[str, str]
    depth: int
    line: int
    column: int


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root element. Copes with a declaration that names another encoding than the bytes have."""
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        # PacBio declares UTF-16 and writes UTF-8.
        try:
            return ElementTree.fromstring(_DECLARATION.sub("", content.decode("utf-8-sig")))
        except (ElementTree.ParseError, ValueError) as error:
            raise NotReadable("cannot be read as XML") from error


def located_elements(content: bytes) -> list[LocatedElement]:
    """Return every element in the order of the document, whatever text stands between them."""
    try:
        return _elements(content)
    except expat.ExpatError as first:
        try:
            return _elements(_DECLARATION.sub("", content.decode("utf-8-sig")))
        except (expat.ExpatError, ValueError) as error:
            broken = NotReadable("cannot be read as XML")
            broken.at = (first.lineno, first.offset + 1)
            raise broken from error


def xml_texts(root: ElementTree.Element, at: str) -> list[str]:
    """Return the texts at `Parent/Element` or `Element@Attribute`, anywhere in the document, in its order.

    `*` stands for any element. An element's text is all text inside it, stripped.
    """
    path, _, attribute = at.partition("@")
    steps = [step for step in path.split("/") if step]
    if not steps:
        return []
    found: list[str] = []
    # A stack of our own: a hostile file may nest deeper than Python recurses.
    waiting: list[tuple[ElementTree.Element, tuple[str, ...]]] = [(root, ())]
    while waiting:
        element, above = waiting.pop()
        here = (*above, _local(element.tag))[-len(steps) :]
        if len(here) == len(steps) and all(step in ("*", name) for step, name in zip(steps, here, strict=True)):
            if attribute:
                found.extend(value for name, value in element.attrib.items() if _local(name) == attribute)
            else:
                found.append("".join(element.itertext()).strip())
        waiting.extend((child, here) for child in reversed(element))
    return found


def planned_reads(content: bytes) -> list[SequencedRead]:
    """Return the reads that a RunInfo.xml plans, in their order; none when it tells of none."""
    reads: list[SequencedRead] = []
    for element in parse_xml(content).iter():
        if _local(element.tag) == "Read" and (element.get("NumCycles") or "").isdigit():
            number = element.get("Number") or ""
            is_index = (element.get("IsIndexedRead") or "N").upper().startswith("Y")
            reads.append(
                SequencedRead(
                    int(number) if number.isdigit() else len(reads) + 1, int(element.get("NumCycles") or 0), is_index
                )
            )
    return sorted(reads, key=lambda read: read.number)


def json_texts(content: bytes, at: str) -> list[str]:
    """Return the value at a dotted path as text, [] when the path leads nowhere."""
    try:
        value: object = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise NotReadable("cannot be read as JSON") from error
    for step in at.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return []
    return [value if isinstance(value, str) else json.dumps(value)]


def json_rows(content: bytes, at: str) -> list[Mapping[str, object]]:
    """Return the objects at a dotted path, of all lists on the way all elements; raises NotReadable."""
    try:
        values: list[object] = [json.loads(content.decode("utf-8-sig"))]
    except (ValueError, RecursionError) as error:
        raise NotReadable("cannot be read as JSON") from error
    for step in at.split("."):
        values = [one[step] for one in values if isinstance(one, dict) and step in one]
        values = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return [one for one in values if isinstance(one, dict)]


def key_values(content: bytes) -> dict[str, str]:
    """Return the `key=value` lines of a file; other lines say nothing."""
    pairs = (line.split("=", 1) for line in text_of(content).splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def texts_at(kind: str, content: bytes, at: str) -> list[str]:
    """Return the texts at a place of a small file of this kind: `xml`, `json`, `kv`, or `csv` with `at` as the column.

    Raises NotReadable.
    """
    if kind == "xml":
        return xml_texts(parse_xml(content), at)
    if kind == "json":
        return json_texts(content, at)
    if kind == "kv":
        return [key_values(content).get(at, "")]
    return [value for row in csv_rows(content) if isinstance(value := row.get(at), str)]


def csv_rows(content: bytes, delimiter: str = ",") -> list[Mapping[str, object]]:
    """Return the rows of a table by the columns that its first row names, whatever ends its lines; raises NotReadable.

    Cells beyond the columns are a list under None.
    """
    try:
        return list(csv.DictReader(io.StringIO(text_of(content), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise NotReadable(f"cannot be read as a table ({error})") from error


def text_of(content: bytes) -> str:
    """Return content as text, whatever bytes it holds."""
    return content.decode("utf-8-sig", errors="replace")


def _elements(content: bytes | str) -> list[LocatedElement]:
    parser, found, depth = expat.ParserCreate(namespace_separator="}"), [], 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        here = {_local(key): value for key, value in attributes.items()}
        place = (parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
        found.append(LocatedElement(_local(name), here, depth, *place))
        depth += 1

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.Parse(content, True)
    return found


def _local(tag: object) -> str:
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""
