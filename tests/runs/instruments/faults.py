"""What is wrong with a file of reads that looks right in a listing: its ends first, then the whole of it."""

from __future__ import annotations

from watcher.errors import ContentBroken
from watcher.runs.integrity import ContentPass, kind_of
from watcher.runs.structure import check_structure


def faults(path: str, content: bytes) -> str:
    """Return what is wrong with a file, from its ends and from reading it through."""
    if wrong := check_structure(path, len(content), content[:64], content[-4096:]):
        return wrong
    reading = ContentPass(path, kind_of(path))
    try:
        reading.feed(content)
        reading.finish()
    except ContentBroken as error:
        return str(error)
    return ""
