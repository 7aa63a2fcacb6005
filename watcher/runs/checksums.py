"""Reads files that list other files, with or without their checksums, and finds the listed ones.

All line forms of `md5sum` and its like, of BSD and OpenSSL, and the vendors' own lists. A list may be half-written: a
line that makes no sense is an error with its place, never skipped. Whether the checksums fit is found out by
`integrity.py`, on the bytes being sent.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from watcher.errors import StructureBroken

Checksum = tuple[str, str]
"""Algorithm and lower-case hex digits."""

BY_LENGTH: Mapping[int, str] = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}

_HEX = r"[0-9a-fA-F]{32,128}"
_GNU = re.compile(rf"(?P<escaped>\\?)(?P<hash>{_HEX}) [ *](?P<name>.+)")
_LOOSE = re.compile(rf"(?P<hash>{_HEX})\s+(?P<name>\S.*)")
_BSD = re.compile(rf"(?P<escaped>\\?)(?P<algorithm>[A-Za-z][A-Za-z0-9-]*) ?\((?P<name>.+)\) ?= ?(?P<hash>{_HEX})")
_NAME_FIRST = re.compile(rf"(?P<name>.+?)(?::\s*|\t+)(?P<hash>{_HEX})")
_BARE = re.compile(_HEX)
_CHECKSUM_ENDING = re.compile(r"\.(?:md5(?:sum)?|sha(?:1|224|256|384|512)?(?:sum)?)$", re.IGNORECASE)
_CRC32 = re.compile(r"[0-9a-fA-F]{1,8}")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def read_manifest(content: bytes, kind: str, name: str) -> Mapping[str, Checksum | None]:
    """Return what a list of files lists: path as written (`/`, no leading `./`) → checksum, None where it gives none.

    `kind` is `md5`, `sha` (both: by length), `crc32-tsv`, `ont-hash`, `pacbio` or `fastq_list`; `name` is the list's
    own name, used in messages and for files that hold nothing but a hash. Raises StructureBroken with the line.
    """
    if kind not in _READERS:
        raise ValueError(f"no list of files is called {kind!r}")
    listed: dict[str, Checksum | None] = {}
    for number, path, checksum in _READERS[kind](content.decode("utf-8-sig", "surrogateescape"), name):
        if listed.get(path, checksum) != checksum:
            raise _wrong(name, number, f"`{path}` is listed twice with different checksums")
        listed[path] = checksum
    return listed


def find_listed(listed: str, paths: Sequence[str], folder: str = "") -> str | None:
    """Return the path a listed name means, None when it is not there; StructureBroken when it may mean several.

    Names may be relative to the list's own `folder`, or come from another site, absolute. One of the two must be the
    tail of the other (of a path below `folder`: what follows it); another folder's file of that name is another file.
    """
    direct = str(PurePosixPath(folder) / listed) if folder else listed
    if direct in paths:
        return direct
    wanted = _parts(listed)
    best: list[str] = []
    rank = (0, False)
    for path in paths:
        beside = path.startswith(f"{folder}/") if folder else True
        parts = _parts(path.removeprefix(f"{folder}/") if folder else path)
        common = min(len(parts), len(wanted))
        if parts[-common:] == wanted[-common:] and (common, beside) >= rank:
            best = [*best, path] if (common, beside) == rank else [path]
            rank = (common, beside)
    if len(best) > 1:
        raise StructureBroken(
            f"The listed file `{listed}` may be {' or '.join(f'`{path}`' for path in sorted(best))}.",
            hint="Write the names in the list relative to its own folder.",
            files=tuple(sorted(best)),
        )
    return best[0] if best else None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _clean(path: str) -> str:
    """Bring a path to `/` separators, without a leading `./`."""
    path = path.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def _wrong(name: str, number: int, why: str) -> StructureBroken:
    hint = "Write the list again, or wait until it has been copied to its end."
    return StructureBroken(f"{name}:{number}: {why}.", hint=hint, files=(name,))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with their numbers; only a line feed ends a line."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip() and not line.startswith("#"):
            yield number, line


def _read_sums(text: str, name: str) -> Iterator[tuple[int, str, Checksum]]:
    lines = list(_lines(text))
    for number, line in lines:
        bare = line.strip()
        if _BARE.fullmatch(bare):
            about = _CHECKSUM_ENDING.sub("", PurePosixPath(name).name)
            if about == PurePosixPath(name).name or len(lines) > 1:
                raise _wrong(name, number, "a checksum without a file name")
            yield number, about, (_algorithm(bare, name, number), bare.lower())
            continue
        found = next(filter(None, (form.fullmatch(line) for form in (_GNU, _LOOSE, _BSD, _NAME_FIRST))), None)
        if found is None:
            raise _wrong(name, number, f"not understood: `{line[:80]}`")
        digits, path, parts = found["hash"].lower(), found["name"], found.groupdict()
        algorithm = _algorithm(digits, name, number)
        said = re.sub(r"^sha2-|-", "", (parts.get("algorithm") or algorithm).lower())
        if said not in (algorithm, f"sha{algorithm}", algorithm.removeprefix("sha")):
            raise _wrong(name, number, f"{len(digits)} hex digits are no {parts['algorithm']}")
        yield number, _unescape(path) if parts.get("escaped") else _clean(path), (algorithm, digits)


def _unescape(path: str) -> str:
    return re.sub(r"\\[\\nr]", lambda match: _ESCAPES[match[0]], path)


def _algorithm(digits: str, name: str, number: int) -> str:
    if len(digits) not in BY_LENGTH:
        raise _wrong(name, number, f"a checksum of {len(digits)} hex digits is none that we know")
    return BY_LENGTH[len(digits)]


def _read_crc32(text: str, name: str) -> Iterator[tuple[int, str, Checksum]]:
    """DRAGEN's Manifest.tsv: relative path, TAB, CRC-32 in hex."""
    for number, line in _lines(text):
        path, _, digits = line.rpartition("\t")
        if not path or not _CRC32.fullmatch(digits.strip()):
            raise _wrong(name, number, f"not a path and a CRC-32: `{line[:80]}`")
        yield number, _clean(path), ("crc32", digits.strip().lower().zfill(8))


def _read_ont(text: str, name: str) -> Iterator[tuple[int, str, Checksum | None]]:
    """MinKNOW's output_hash_*.csv: a path and a SHA-256 per row, among other columns; the first row may name them.

    Names of samples and groups may look like paths (`library.7`), so a column that is called `file_path` decides.
    """
    column: int | None = None
    for number, row in _rows(text, name):
        digits = [cell for cell in row if re.fullmatch(r"[0-9a-fA-F]{64}", cell)]
        if number == 1 and not digits and "file_path" in (low := [cell.lower() for cell in row]):
            column = low.index("file_path")
            continue
        places = row if column is None else row[column : column + 1]
        paths = [cell for cell in places if "/" in cell or re.search(r"\.\w+$", cell)]
        if number == 1 and not digits and not paths:
            continue
        if not paths or len(digits) > 1:
            raise _wrong(name, number, f"not a path and a SHA-256: `{','.join(row)[:80]}`")
        yield number, _clean(paths[0]), ("sha256", digits[0].lower()) if digits else None


def _read_pacbio(text: str, name: str) -> Iterator[tuple[int, str, None]]:
    """PacBio's transferdone: the number of files, then paths on the instrument, `/data/icc/<movie>/<folder>/<file>`."""
    told, seen = 0, 0
    for number, line in _lines(text):
        if found := re.search(r"nfiles:\s*(\d+)", line):
            told = int(found[1])
        elif line.startswith("/"):
            seen += 1
            yield number, "/".join(_parts(line.strip())[3:]) or _clean(line), None
    if seen != told:
        raise _wrong(name, 1, f"says {told} files and lists {seen}")


def _read_fastq_list(text: str, name: str) -> Iterator[tuple[int, str, None]]:
    """fastq_list.csv of BCL Convert and DRAGEN: the columns Read1File and Read2File."""
    columns: list[int] | None = None
    for number, row in _rows(text, name):
        if columns is None:
            low = [cell.lower() for cell in row]
            columns = [low.index(column) for column in ("read1file", "read2file") if column in low]
            if not columns or low[columns[0]] != "read1file":
                raise _wrong(name, number, "no column is called Read1File")
            continue
        if len(row) <= columns[0] or not row[columns[0]]:
            raise _wrong(name, number, "a row without a file")
        for column in columns:
            if column < len(row) and row[column]:
                yield number, _clean(row[column]), None


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise _wrong(name, reader.line_num, f"no CSV ({error})") from error


_READERS: Mapping[str, Callable[[str, str], Iterator[tuple[int, str, Checksum | None]]]] = {
    "md5": _read_sums,
    "sha": _read_sums,
    "crc32-tsv": _read_crc32,
    "ont-hash": _read_ont,
    "pacbio": _read_pacbio,
    "fastq_list": _read_fastq_list,
}
