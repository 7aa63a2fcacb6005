"""Which samples a rule takes: patterns for what is known of a sample, and which of its files it means.

`Match.miss` says which key does not match, so that `explain` can tell it. How the first rule of several is found, and
what `also` changes, is the business of the plan (`stages/choose.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from watcher.config.values import Patterns, Section, Size, Text, format_size, wrong


class Miss(NamedTuple):
    """The first key of a rule that does not match: what was seen there, and what is wanted."""

    key: str
    seen: tuple[str, ...]
    wanted: tuple[str, ...]


class SizeRange(Section):
    """How large something may be, both ends included."""

    min: Size | None = Field(None, description="At least so many bytes.")
    max: Size | None = Field(None, description="At most so many bytes.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong("has a min that is larger than its max: nothing would match.", "Exchange the two.")
        return self

    def holds(self, size_bytes: int) -> bool:
        """Say whether a size lies in the range."""
        return (self.min or 0) <= size_bytes and (self.max is None or size_bytes <= self.max)

    @property
    def told(self) -> str:
        """The range for people: `at least 1MiB and at most 2GiB`."""
        ends = (("at least", self.min), ("at most", self.max))
        return " and ".join(f"{word} {format_size(end)}" for word, end in ends if end is not None)


class Match(Section):
    """What a rule takes: every key must match, one of its patterns is enough."""

    watch: Patterns = Field(("*",), description="Names of watches.")
    layout: Patterns = Field(("*",), description="Names of layouts, as recognised.")
    instrument: Patterns = Field(
        ("*",),
        description="Names or serial numbers of instruments, such as M02439, as the run tells them (RunInfo.xml, the"
        " run's own files or its id); of a run that tells none it is the empty name.",
    )
    run: Patterns = Field(("*",), description="Run ids.")
    project: Patterns = Field(
        ("*",), description="Projects of the sample sheet; a sample without one has the empty name."
    )
    sample: Patterns = Field(("*",), description="Sample names.")
    sheet: Mapping[Text, Patterns] = Field(
        default_factory=dict, description="Columns of the sample sheet, in any case, with patterns for their cells."
    )
    file: Patterns = Field(
        ("*",),
        description="Files of a sample: the rule takes those that match, and no sample of which none does. A pattern"
        " with / is held against the path below the run folder (* crosses folders), any other against the file's name.",
    )
    size: SizeRange = Field(
        default_factory=SizeRange,
        description="How large a sample is: the bytes of those of its files that the rule takes, together.",
    )

    def miss(
        self,
        *,
        watch: str,
        layout: str,
        run: str,
        instrument: str = "",
        project: str = "",
        sample: str = "",
        sheet: Mapping[str, Sequence[str]] | None = None,
    ) -> Miss | None:
        """Return the first key by which a sample of that run does not belong to this rule, None when it does; `sheet`
        are its cells by lower-case column. Files and size are asked once they are known: `size.holds`.

        A column with several cells matches by any of them; a sample without the column has the empty cell.
        """
        cells = sheet or {}
        asked: list[tuple[str, Sequence[str], Sequence[str]]] = [
            ("watch", self.watch, (watch,)),
            ("layout", self.layout, (layout,)),
            ("instrument", self.instrument, (instrument,)),
            ("run", self.run, (run,)),
            ("project", self.project, (project,)),
            ("sample", self.sample, (sample,)),
            *((f"sheet.{column}", wanted, cells.get(column.lower(), ("",))) for column, wanted in self.sheet.items()),
        ]
        for key, patterns, seen in asked:
            if not any(fnmatchcase(value, pattern) for pattern in patterns for value in seen):
                return Miss(key, tuple(seen), tuple(patterns))
        return None

    def may_take(self, *, watch: str, layout: str) -> bool:
        """Say whether a sample of such a run may belong to this rule."""
        asked = ((self.watch, watch), (self.layout, layout))
        return all(any(fnmatchcase(value, pattern) for pattern in patterns) for patterns, value in asked)
