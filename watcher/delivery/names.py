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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from watcher.delivery.templates import Names
from watcher.results import MANIFEST, ResultFile

LONGEST_NAME_BYTES = 200
"""File systems take 255; the rest is for what goes around a temporary name."""

_LONGEST_FOLDERS_BYTES = 500
_LONGEST_NAME_OF_REST_BYTES = 100
"""A key in an object store has 1024 bytes at most, and a part of them is the place of the delivery."""

_LONGEST_ENDING = 24
_UNNAMED = "_"
_FORBIDDEN = frozenset('/\\<>:"|?*\x7f\ufffd')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_LEADING = " .-~"
_SUFFIX_DIGITS = (6, 12, 24, 64)
_OTHER_DIGITS = (6, 12)

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
    """A file's folders, stem and ending, cleaned; `digest` tells it from others of the same name. An index is called
    like the file that it belongs to, with a `suffix`.
    """

    file: ResultFile
    folders: tuple[str, ...]
    stem: str
    ending: str
    suffix: str
    digest: str

    def path(self, digits: int = 0) -> str:
        return self.of_stem(f"{self.stem}~{self.digest[:digits]}" if digits else self.stem) + self.suffix

    def of_stem(self, stem: str) -> str:
        return "/".join((*self.folders, f"{stem}{self.ending}"))


NO_NAMES = Names()


def lay_out(files: Sequence[ResultFile], *, kept: Sequence[str] = (), names: Names = NO_NAMES) -> dict[str, ResultFile]:
    """Return the relative path of each file, sorted; the same set of files gives the same paths in any order. Names
    that are `kept` for something else, as the manifest's is, are given to none. Templates in `names` say what a file
    is called; where they call two alike, both get a suffix.
    """
    return {path: spelling.file for path, (spelling, _) in _laid_out(files, kept, names).items()}


def _laid_out(files: Sequence[ResultFile], kept: Sequence[str], names: Names) -> dict[str, tuple[_Spelling, int]]:
    """Return the spelling of each file and the digits it needs, by path."""
    own = {_key(name) for name in (MANIFEST, *kept)}
    exts = {file.galaxy_id: file.ext for file in files if not file.member}
    spelled = {_spell(file, *names.call(file, exts.get(file.galaxy_id, file.ext)), own) for file in files}
    spellings = sorted(spelled, key=lambda spelling: (spelling.path(), spelling.digest))
    taken = own | {
        _key("/".join(spelling.folders[:depth]))
        for spelling in spellings
        for depth in range(1, 1 + len(spelling.folders))
    }
    digits = dict.fromkeys(spellings, 0)
    for more in _SUFFIX_DIGITS:
        count = Counter(_key(spelling.path(digits[spelling])) for spelling in spellings)
        for spelling in spellings:
            key = _key(spelling.path(digits[spelling]))
            if count[key] > 1 or key in taken:
                digits[spelling] = more
    return dict(sorted((spelling.path(digits[spelling]), (spelling, digits[spelling])) for spelling in spellings))


class Places:
    """What every delivery knows of its files: where each lies below the target."""

    def __init__(self, marker: str = "", kept: Sequence[str] = (), names: Names = NO_NAMES) -> None:
        self._ends = [marker] if marker else []
        self._kept = (*self._ends, *kept)
        self._names = names
        self._laid_out: dict[str, tuple[_Spelling, int]] = {}

    def places(self, files: Sequence[ResultFile]) -> dict[str, ResultFile]:
        """Return the relative path of each file, all different; the same files get the same paths in any order."""
        self._laid_out = _laid_out(files, self._kept, self._names)
        return {path: spelling.file for path, (spelling, _) in self._laid_out.items()}

    @property
    def paths(self) -> list[str]:
        """Return the paths that `places` told last."""
        return list(self._laid_out)

    def place(self, file: ResultFile) -> str:
        """Return the path of a file among those `places` saw last; of any other file its path when it is alone."""
        known = (path for path, (spelling, _) in self._laid_out.items() if spelling.file == file)
        return next(known, "") or next(iter(lay_out([file], kept=self._kept, names=self._names)))

    def companions(self) -> list[dict[str, list[str]]]:
        """Return the paths that `places` told last, those in one mapping that are called alike, as an index is: each
        with the paths to take in its stead, in this order, where somebody else's file has its name. The same paths
        have the same others always.
        """
        used = {_key(path) for path in self._laid_out} | {_key(end) for end in (MANIFEST, *self._kept)}
        found: dict[str, dict[str, list[str]]] = {}
        for path, (spelling, digits) in self._laid_out.items():
            stem = f"{spelling.stem}~{spelling.digest[:digits]}" if digits else spelling.stem
            alike = spelling.of_stem(stem)
            others = [spelling.of_stem(f"{stem}~{_digest(alike)[:more]}") + spelling.suffix for more in _OTHER_DIGITS]
            found.setdefault(alike, {})[path] = [other for other in others if _key(other) not in used]
        return list(found.values())


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


def _spell(file: ResultFile, parts: Sequence[str], ext: str, own: Collection[str]) -> _Spelling:
    told = (file.galaxy_id, *file.parts)
    if file.member and not file.suffix:  # an index is called as the file that it belongs to
        told = (*told, file.member)
    digest = hashlib.sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()
    *folders, name = [clean_part(part) for part in parts] or [_UNNAMED]
    if folders and _key(folders[0]) in own:
        folders[0] = f"_{folders[0]}"
    stem, ending = _split(name, clean_part(ext)[:_LONGEST_ENDING].lower() if ext not in _NO_ENDING else "")
    stem = _shorten(stem, LONGEST_NAME_BYTES - len(ending.encode()), digest)
    folders = _fitting([_shorten(folder, LONGEST_NAME_BYTES, _digest(folder)) for folder in folders])
    suffix = f".{clean_part(file.suffix)[:_LONGEST_ENDING]}" if file.suffix else ""
    return _Spelling(file, tuple(folders), stem, ending, suffix, digest)


def _fitting(folders: Sequence[str]) -> list[str]:
    """Put one folder in the place of all from that on with which a path would become too long for an object's key."""
    fit: list[str] = []
    for number, folder in enumerate(folders):
        if len("/".join((*fit, folder)).encode()) > _LONGEST_FOLDERS_BYTES:
            rest = "/".join(folders[max(number - 1, 0) :])
            return [*fit[:-1], _shorten(rest.replace("/", "_"), _LONGEST_NAME_OF_REST_BYTES, _digest(rest))]
        fit.append(folder)
    return fit


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
