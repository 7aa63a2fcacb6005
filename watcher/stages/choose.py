"""Which rule takes a sample, and why every other one does not.

The first rule that matches and finds files in the sample takes it; rules with `also` take it besides that one. Pure:
asked by `cut.py`, which makes batches of it, and by the `explain` command, which shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from watcher.config import RuleSettings
from watcher.config.match import Miss
from watcher.model import Sample
from watcher.runs.portions import portion
from watcher.runs.sheet_columns import cells_of


@dataclass(frozen=True, slots=True)
class Facts:
    """What names and rules may depend on."""

    id: str
    watch: str
    layout: str
    run: str
    unit: str
    version: int
    path: str
    day: date
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says to a sample: `portions` is what it would take of it, `miss` why that is nothing; `before` is
    the rule that took it first.
    """

    rule: RuleSettings
    portions: tuple[Sample, ...]
    miss: Miss | None = None
    before: str = ""

    @property
    def takes(self) -> bool:
        """Whether the rule takes the sample."""
        return self.miss is None and not self.before


def verdicts(rules: Sequence[RuleSettings], facts: Facts, sample: Sample) -> list[Verdict]:
    """Return what each rule says, in their order; at most one that is not `also` takes the sample."""
    found: list[Verdict] = []
    first = ""
    for rule in rules:
        portions, miss = _asked(rule, facts, sample)
        found.append(Verdict(rule, portions, miss, "" if rule.also or miss else first))
        if miss is None and not rule.also:
            first = first or rule.name
    return found


def _asked(rule: RuleSettings, facts: Facts, sample: Sample) -> tuple[tuple[Sample, ...], Miss | None]:
    miss = rule.match.miss(
        watch=facts.watch,
        layout=facts.layout,
        instrument=facts.instrument,
        run=facts.run,
        project=sample.project,
        sample=sample.name,
        sheet=cells_of(sample),
    )
    if miss is not None:
        return (), miss
    portions = portion(
        sample, reads=rule.reads, kinds=rule.kinds, files=rule.match.file, keeps_lanes=rule.lanes == "keep"
    )
    if not portions:
        return (), _without_files(rule, sample)
    size_bytes = sum(file.size for one in portions for file in one.files)
    if not rule.match.size.holds(size_bytes):
        return (), Miss("size", (str(size_bytes),), (rule.match.size.told,))
    return portions, None


def _without_files(rule: RuleSettings, sample: Sample) -> Miss:
    """Say which of the keys that choose among files left none: the first without which there would be some."""
    names = tuple(file.path for file in sample.files)
    if not portion(sample, files=rule.match.file) and portion(sample, reads=rule.reads, kinds=rule.kinds):
        return Miss("file", names, rule.match.file)
    if rule.kinds and not portion(sample, kinds=rule.kinds, files=rule.match.file):
        return Miss("kinds", names, rule.kinds)
    if rule.reads:
        return Miss("reads", tuple(dict.fromkeys(file.read for file in sample.files)), rule.reads)
    if rule.kinds:
        return Miss("kinds", names, rule.kinds)
    return Miss("file", names, rule.match.file)
