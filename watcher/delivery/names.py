"""Turns names that came out of Galaxy into file names that are safe on any file system, each once.

A dataset may be called anything, also `../../etc/passwd`. What comes out stays inside its folder, is not hidden, is
no option, no device name of Windows, never too long, and differs from every other name even where case does not
count. Which name a file gets depends on the set of files alone, not on their order. Nothing is touched here;
`folder.py` writes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watcher.results import MANIFEST, ResultFile

LONGEST_NAME_BYTES = 200
"""File systems take 255; the rest is for what goes around a temporary name."""

_LONGEST_ENDING = 24
_UNNAMED = "_"
_FORBIDDEN = frozenset('/\\<>:"|?*\x7f\ufffd')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_LEADING = " .-~"
_SUFFIX_DIGITS = (6, 12, 24, 64)

# Endings that already say what Galaxy's extension says; others get the extension appended.
_SAME: Mapping[str, tuple[str, ...]] = {
    "fastqsanger": ("fastq", "fq"),
    "fastqsanger.gz": ("fastq.gz", "fq.gz"),
    "fastqsanger.bz2": ("fastq.bz2", "fq.bz2"),
    "fasta": ("fa", "fna"),
    "fasta.gz": ("fa.gz", "fna.gz"),
    "tabular": ("tsv", "tab", "txt"),
    "html": ("htm",),
    "vcf_bgzip": ("vcf.gz",),
    "jpg": ("jpeg",),
}
_NO_ENDING = frozenset({"", "data", "auto", "_sniff_"})


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A file's folders, stem and ending, cleaned; `digest` tells it from others of the same name."""

    file: ResultFile
    folders: tuple[str, ...]
    stem: str
    ending: str
    digest: str

    def path(self, digits: int = 0) -> str:
        suffix = f"~{self.digest[:digits]}" if digits else ""
        return "/".join((*self.folders, f"{self.stem}{suffix}{self.ending}"))


def lay_out(files: Sequence[ResultFile], *, kept: Sequence[str] = ()) -> dict[str, ResultFile]:
    """Return the relative path of each file, sorted; the same set of files gives the same paths in any order. Names
    that are `kept` for something else, as the manifest's is, are given to none.
    """
    spellings = sorted({_spell(file) for file in files}, key=lambda spelling: (spelling.path(), spelling.digest))
    taken = {
        _key("/".join(spelling.folders[:depth]))
        for spelling in spellings
        for depth in range(1, 1 + len(spelling.folders))
    }
    taken |= {_key(name) for name in (MANIFEST, *kept)}
    digits = dict.fromkeys(spellings, 0)
    for more in _SUFFIX_DIGITS:
        count = Counter(_key(spelling.path(digits[spelling])) for spelling in spellings)
        for spelling in spellings:
            key = _key(spelling.path(digits[spelling]))
            if count[key] > 1 or key in taken:
                digits[spelling] = more
    return dict(sorted((spelling.path(digits[spelling]), spelling.file) for spelling in spellings))


class Places:
    """What every delivery knows of its files: where each lies below the target."""

    def __init__(self, marker: str = "", kept: Sequence[str] = ()) -> None:
        self._ends = [marker] if marker else []
        self._kept = (*self._ends, *kept)
        self._paths: dict[ResultFile, str] = {}

    def places(self, files: Sequence[ResultFile]) -> dict[str, ResultFile]:
        """Return the relative path of each file, all different; the same files get the same paths in any order."""
        laid_out = lay_out(files, kept=self._kept)
        self._paths = {file: path for path, file in laid_out.items()}
        return laid_out

    def place(self, file: ResultFile) -> str:
        """Return the path of a file among those `places` saw last; of any other file its path when it is alone."""
        return self._paths.get(file) or next(iter(lay_out([file], kept=self._kept)))


def clean_part(part: str) -> str:
    """Return one path component that is safe as a file or folder name; never empty."""
    text = unicodedata.normalize("NFC", part.encode("utf-8", "replace").decode())
    text = "".join(_clean_character(character) for character in text)
    text = text.lstrip(_LEADING).rstrip(" .")
    if _DEVICES.fullmatch(text.split(".")[0].rstrip()):
        text = f"_{text}"
    return text or _UNNAMED


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in _FORBIDDEN or category in _INVISIBLE:
        return _UNNAMED
    return " " if category == "Zs" else character


def manifest_line(path: str, sha256: str) -> str:
    """Return a line as `sha256sum` writes and reads it; a name with a backslash or line break is escaped and marked."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != path else ""
    return f"{mark}{sha256}  {escaped}\n"


def manifest_entries(text: str) -> dict[str, str]:
    """Return the SHA-256 of each path that such lines name; what is no such line is left out."""
    found = (re.fullmatch(r"(\\?)([0-9a-f]{64})  (.+)", line) for line in text.split("\n"))
    return {_unescaped(one[3]) if one[1] else one[3]: one[2] for one in found if one}


def _unescaped(path: str) -> str:
    meant = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
    return re.sub(r"\\[\\nr]", lambda found: meant[found[0]], path)


def _spell(file: ResultFile) -> _Spelling:
    told = (file.galaxy_id, *file.parts)
    if file.member and not file.suffix:  # an index is called as the file that it belongs to
        told = (*told, file.member)
    digest = hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()
    *folders, name = [clean_part(part) for part in file.parts] or [_UNNAMED]
    if folders and _key(folders[0]) == _key(MANIFEST):
        folders[0] = f"_{folders[0]}"
    stem, ending = _split(name, clean_part(file.ext)[:_LONGEST_ENDING].lower() if file.ext not in _NO_ENDING else "")
    stem = _shorten(stem, LONGEST_NAME_BYTES - len(ending.encode()), digest)
    folders = [_shorten(folder, LONGEST_NAME_BYTES, _digest(folder)) for folder in folders]
    suffix = f".{clean_part(file.suffix)[:_LONGEST_ENDING]}" if file.suffix else ""
    return _Spelling(file, tuple(folders), stem, ending + suffix, digest)


def _split(name: str, ext: str) -> tuple[str, str]:
    """Cut a name into stem and ending; the ending is the extension, or what the name itself has in its place."""
    if not ext:
        stem, dot, ending = name.rpartition(".")
        return (stem, dot + ending) if stem and len(ending) < _LONGEST_ENDING else (name, "")
    for known in (ext, *_SAME.get(ext, ())):
        if name.lower().endswith(f".{known}") and len(name) > len(known) + 1:
            return name[: -len(known) - 1], name[-len(known) - 1 :]
    return name, f".{ext}"


def _shorten(text: str, limit_bytes: int, digest: str) -> str:
    """Cut text that is too long at a character, and say by a few digits of its digest which text it was."""
    whole = text.encode()
    if len(whole) <= limit_bytes:
        return text
    return f"{whole[: limit_bytes - 9].decode(errors='ignore').rstrip(' .')}~{digest[:8]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(path: str) -> str:
    """Return what names have in common that a file system without case, or with its own normal form, takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
