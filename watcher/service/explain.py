"""The `explain` command's view: for each sample of the units at a path which rule took it, and why the others did not.

The same look and the same verdicts as those of `plan` and of the stages (`units_at.py`, `stages/choose.py`); nothing is
written, no Galaxy is asked. The shape of the report is a contract: `explain.schema.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watcher.clock import Clock
from watcher.config import Settings
from watcher.config.match import Miss
from watcher.errors import UsageError
from watcher.model import Sample, Status
from watcher.service.meant import watch_around
from watcher.service.units_at import UnitAt, inside, look_into, units_at
from watcher.stages.choose import Verdict, verdicts
from watcher.stages.looking import problems_of

MOST_SHOWN = 3
"""How many of several things a sentence names."""


async def explain(
    path: Path, settings: Settings, *, assume_quiet: bool = False, clock: Clock | None = None
) -> dict[str, Any]:
    """Return what every rule says to every sample at, below or around a path, which must lie in a watch."""
    if watch_around(path, settings) is None:
        watched = ", ".join(f"{watch.name} ({watch.path})" for watch in settings.watches)
        raise UsageError(
            f"{path} lies in no watch: no rule is ever asked about it.",
            hint=f"Watches: {watched}. `galaxy-watcher plan` shows what lies there.",
        )

    async def tell(at: UnitAt) -> dict[str, Any]:
        return await _unit(at, settings, assume_quiet)

    return await units_at(path, settings, tell, clock=clock)


async def _unit(at: UnitAt, settings: Settings, assume_quiet: bool) -> dict[str, Any]:
    looked = await look_into(at, assume_quiet=assume_quiet)
    status, reasons = looked.verdict()
    samples: list[dict[str, Any]] = []
    left_out = list(looked.judgement.left_out)
    if status in (Status.READY, Status.WAITING):
        problems, _, grouping = await problems_of(at.threads, looked.view)
        if grouping is not None:
            left_out += [left for left in grouping.left_out if left not in left_out]
            facts = looked.facts()
            samples = [
                _sample(at, sample, verdicts(settings.rules, facts, sample), settings) for sample in grouping.samples
            ]
        untaken = [sample["name"] for sample in samples if sample["taken_by"] is None]
        if untaken and settings.unmatched == "hold":
            problems.append(f"No rule takes {', '.join(untaken)}.")
        if looked.judgement.complete and problems:
            status, reasons = Status.HELD, problems
    return {
        **looked.told(),
        "instrument": looked.view.instrument,
        "status": str(status),
        "reasons": reasons,
        "left_out": [{"path": inside(left.path, at.found), "reason": left.reason} for left in left_out],
        "samples": samples,
    }


def _sample(at: UnitAt, sample: Sample, said: Sequence[Verdict], settings: Settings) -> dict[str, Any]:
    taken_by = next((one.rule.name for one in said if one.takes and not one.rule.also), None)
    return {
        "name": sample.name,
        "project": sample.project,
        "files": [inside(file.path, at.found) for file in sample.files],
        "size": sum(file.size for file in sample.files),
        "taken_by": taken_by,
        "also_taken_by": [one.rule.name for one in said if one.takes and one.rule.also],
        "unmatched": settings.unmatched if taken_by is None else None,
        "rules": [_rule(at, one) for one in said],
    }


def _rule(at: UnitAt, said: Verdict) -> dict[str, Any]:
    miss = said.miss
    seen = tuple(inside(path, at.found) for path in miss.seen) if miss and miss.key in ("file", "kinds") else None
    shown = miss._replace(seen=seen) if miss and seen is not None else miss
    return {
        "rule": said.rule.name,
        "also": said.rule.also,
        "takes": said.takes,
        "files": [inside(file.path, at.found) for one in said.portions for file in one.files] if said.takes else [],
        "key": shown.key if shown else None,
        "seen": list(shown.seen) if shown else [],
        "wanted": list(shown.wanted) if shown else [],
        "why": _why(said, shown),
    }


def _why(said: Verdict, miss: Miss | None) -> str:
    """Return one sentence for people."""
    if said.before:
        return f"would have taken it, but came later: {said.before} takes it first"
    if miss is None:
        return "takes it as well (also)" if said.rule.also else "takes it"
    wanted = _several(miss.wanted, "or")
    match miss.key:
        case "size":
            return f"size: it has {miss.seen[0]} bytes, wanted is {wanted}"
        case "file" | "kinds":
            return f"{miss.key}: none of its files ({_several(miss.seen, 'and')}) is {wanted}"
        case "reads":
            told = [read for read in miss.seen if read]
            return f"reads: it has {_several(told, 'and') if told else 'none that are told'}, wanted is {wanted}"
    seen = [value for value in miss.seen if value]
    is_told = _several([f"`{value}`" for value in seen], "and") if seen else "empty"
    return f"{miss.key}: it is {is_told}, wanted is {wanted}"


def _several(words: Sequence[str], glue: str) -> str:
    shown = list(words[:MOST_SHOWN])
    if len(words) > MOST_SHOWN:
        return f"{', '.join(shown)} {glue} {len(words) - MOST_SHOWN} more"
    return f" {glue} ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
