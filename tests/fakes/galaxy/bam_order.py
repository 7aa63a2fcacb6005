"""Sorts BAM files as Galaxy does when the extension stands for an order they are not in: by place or by name.

What comes out is packed anew, so that its bytes are others even where a single pair was exchanged. A file that is in
order keeps its bytes.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LAST = 1 << 32  # reads without a place come last


def _place(alignment: bytes) -> Any:
    reference, position = struct.unpack_from("<ii", alignment, 4)
    return (reference if reference >= 0 else _LAST, position)


def _name(alignment: bytes) -> Any:
    return alignment[36 : 36 + alignment[12] - 1]


ORDERS: dict[str, Callable[[bytes], Any]] = {"bam": _place, "qname_sorted.bam": _name}


def sort_if_needed(path: Path, ext: str) -> None:
    """Bring the alignments of a stored file into the order of its extension, if it stands for one."""
    order = ORDERS.get(ext)
    if order is None:
        return
    content = gzip.decompress(path.read_bytes())
    head, alignments = _parts(content)
    in_order = sorted(alignments, key=order)
    if in_order != alignments:
        path.write_bytes(gzip.compress(head + b"".join(in_order)))


def _parts(content: bytes) -> tuple[bytes, list[bytes]]:
    """Take a BAM file apart: everything before the first alignment, and the alignments."""
    (text_bytes,) = struct.unpack_from("<i", content, 4)
    at = 8 + text_bytes
    (references,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(references):
        (name_bytes,) = struct.unpack_from("<i", content, at)
        at += 8 + name_bytes
    head, alignments = content[:at], []
    while at < len(content):
        (size,) = struct.unpack_from("<i", content, at)
        alignments.append(content[at : at + 4 + size])
        at += 4 + size
    return head, alignments
