"""What a delivery's templates make of a result: the path it is called by, before that is made safe.

A template such as `{element.1}/{output}.{ext}` was checked by the configuration. No value adds a folder to it: only its
own slashes do. A field that has nothing to say takes the separators beside it along, so that `{output}_{element}.{ext}`
is `counts.txt` where there is no collection. What is safe, and what differs, is for `names.py` to see to.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from watcher.results import ResultFile

_EXT = "ext:"
_ENDING = ".{ext}"
_SEPARATORS = "_-. ~+"
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Names:
    """Templates by pattern, the first that fits counts; `values` are those that all results of a batch share."""

    templates: Sequence[tuple[str, str]] = ()
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def call(self, file: ResultFile, ext: str) -> tuple[tuple[str, ...], str]:
        """Return the parts of a result's path and the extension to be seen to, as in `ResultFile`.

        `ext` is that of the dataset, also for a file beside it. Without a template that fits, they are the file's own.
        """
        parts, inner = file.parts[: len(file.parts) - file.within], file.parts[len(file.parts) - file.within :]
        template = next((one for pattern, one in self.templates if _fits(pattern, parts[0], ext)), "")
        if not template:
            return file.parts, file.ext
        is_told = not template.endswith(_ENDING)  # the template says how the name ends
        called = self._fill(template.removesuffix(_ENDING), file, parts, ext)
        if inner:  # the result has a folder to itself, its own bytes are called like it
            called = (*called, *(inner if file.member else called[-1:]))
        return called, "" if is_told else file.ext

    def _fill(self, template: str, file: ResultFile, parts: Sequence[str], ext: str) -> tuple[str, ...]:
        elements = parts[1:]
        values = {
            **self.values,
            "output": parts[0],
            "element": "_".join(elements),
            **{
                f"element.{depth}": elements[depth - 1] if depth <= len(elements) else ""
                for depth in range(1, _DEPTH + 1)
            },
            "name": file.name or parts[-1],
            "ext": ext,
        }
        text, is_left_out = "", False
        for literal, name in _pieces(template):
            text += literal.lstrip(_SEPARATORS) if is_left_out else literal
            is_left_out = False
            if name is None:
                continue
            value = values.get(name, "").strip().replace("/", "_")
            text = text + value if value else text.rstrip(_SEPARATORS)
            is_left_out = not value and not text.rpartition("/")[2]
        return tuple(part for part in text.split("/") if part.strip()) or (parts[-1],)


def _fits(pattern: str, output: str, ext: str) -> bool:
    if pattern.startswith(_EXT):
        return fnmatchcase(ext.lower(), pattern.removeprefix(_EXT).lower())
    return fnmatchcase(output, pattern)


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    for literal, name, _, _ in string.Formatter().parse(template):
        yield literal, name
