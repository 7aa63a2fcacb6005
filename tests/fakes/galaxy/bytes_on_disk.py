"""What can be told from the bytes of a stored file: size, lines, first lines, whether gzip is whole."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from tests.fakes.galaxy.state import StoredFile

GZIP_START = b"\x1f\x8b"
COUNTED_BYTES = 8 << 20


def folder_beside(path: Path) -> Path:
    """Give the folder of the files beside a dataset's own bytes; it may not be there."""
    return path.with_name(f"{path.stem}_files")


def is_gzip(path: Path) -> bool:
    """Say whether a file starts like gzip."""
    with path.open("rb") as stored:
        return stored.read(2) == GZIP_START


def gzip_problem(path: Path) -> str:
    """Read gzip to its end; give Galaxy's words for what is wrong, or nothing."""
    try:
        with gzip.open(path, "rb") as unpacked:
            while unpacked.read(1 << 20):
                pass
    except EOFError:
        return "Compressed file ended before the end-of-stream marker was reached"
    except (OSError, zlib.error) as problem:
        return str(problem)
    return ""


def _nice(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


def _first_text(path: Path) -> bytes:
    try:
        if is_gzip(path):
            with gzip.open(path, "rb") as unpacked:
                return unpacked.read(COUNTED_BYTES)
        with path.open("rb") as stored:
            return stored.read(COUNTED_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""


def _rows_as_table(text: str) -> str:
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in line.split("\t")) + "</tr>" for line in text.splitlines()
    )
    return f'<table cellspacing="0" cellpadding="3">{rows}</table>'


def describe(file: StoredFile) -> None:
    """Read size, line count and first lines from the bytes; only small files are counted."""
    if file.path is None or not file.path.exists():
        file.size = 0
        return
    file.size = file.path.stat().st_size
    if file.size > COUNTED_BYTES:
        file.blurb, file.lines = _nice(file.size), 0
        return
    text = _first_text(file.path)
    file.lines = text.count(b"\n")
    shown = b"\n".join(text.split(b"\n")[:5]).decode(errors="replace")
    if file.ext == "tabular":
        file.peek, file.blurb = _rows_as_table(shown), f"{file.lines} lines 2 columns"
    elif file.ext.startswith("fastq"):
        file.peek, file.blurb = shown + "\n", f"{file.lines // 4} sequences"
    elif file.size == 0:
        file.peek, file.blurb = None, "data" if file.ext == "data" else "empty"
    else:
        file.peek, file.blurb = shown, _nice(file.size)
