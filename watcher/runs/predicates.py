"""Asks a look whether the conditions of a layout hold, and says what was seen in words a person can act on.

One small function for each kind of the language in `conditions.py`, found through one table. Whatever cannot be read
or parsed does not hold. A file that is not there never makes a condition of `failed` or `held` true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from watcher.model import PredicateResult, SourceFacts
from watcher.runs.conditions import Condition, spoken
from watcher.runs.manifests import read_lists
from watcher.runs.markup import NotReadable, json_texts, key_values, parse_xml, planned_reads, text_of, xml_texts
from watcher.runs.pairing import expected_reads, missing_reads
from watcher.runs.sheet_match import match_sheet
from watcher.runs.view import RUN_INFO, UnitView

Answer = tuple[bool, str]
SETTLED = "quiet"
"""The name of the predicate that everything taken lies still in the end."""

_LEAST_PROOF = timedelta(seconds=1)
_OF_NO_TIME_NS = 347_155_200 * 10**9  # 1981: robocopy gives files a time of 1970 (or of DOS, 1980) until they are whole
_MAY_STALL = timedelta(hours=1)
_SHOWN = 3


def ask(condition: Condition, view: UnitView, *, of_completeness: bool = True) -> PredicateResult:
    """Return whether a condition holds. `of_completeness` is False for conditions of `failed` and `held`."""
    holds, detail = _EVALUATE[condition.kind](condition, view, of_completeness)
    return PredicateResult(condition.name, holds, detail)


def ask_any(conditions: Sequence[Condition], view: UnitView) -> PredicateResult:
    """Return one result for alternatives: it holds when any of them does."""
    results = [ask(condition, view) for condition in conditions]
    name = " or ".join(result.name for result in results)
    held = next((result for result in results if result.holds), None)
    if held is not None:
        return PredicateResult(name, True, held.detail)
    return PredicateResult(name, False, "; ".join(result.detail for result in results))


def settled(view: UnitView) -> PredicateResult:
    """Return whether everything taken, and every transfer that may become part of it, is unchanged for the settle
    time.
    """
    result = _quiet_result(SETTLED, view, *lying_still(None, view))
    if result.holds or not (half := _of_no_time(view)):
        return result
    return PredicateResult(SETTLED, False, f"{result.detail}; {half} is of 1970, as robocopy has it until it is whole")


def lying_still(condition: Condition | None, view: UnitView) -> tuple[timedelta, Sequence[str]]:
    """Return how long a condition that waits for quiet wants which paths unchanged; None is the last settling."""
    if condition is None:
        settle = view.layout.settle if view.settle is None else view.settle
        if _of_no_time(view):  # its copy goes on, or has stalled; a file may be so old all the same
            settle = max(settle, _MAY_STALL)
        return settle, [*view.selection.selected, *view.selection.unfinished]
    if condition.kind == "age":
        return condition.duration("min"), [facts.path for facts in files_of(condition, view)]
    # Where quiet is the only proof, the files must at least have been seen twice. Whatever moves in the unit counts,
    # not only what is taken: a log that grows, or a temporary name, says that somebody is at work.
    needed = max(condition.duration("min") if view.settle is None else view.settle, _LEAST_PROOF)
    # In a flat folder only what concerns the unit does.
    return needed, [*view.selection.selected, *view.selection.unfinished] if view.layout.flat else view.files


def still_to_lie(view: UnitView) -> timedelta:
    """Return how much longer everything must lie still until no condition waits for that alone; none is negative."""
    left = [timedelta(0)]
    for condition in (None, *(one for one in view.layout.complete_all if one.kind == "quiet")):
        needed, paths = lying_still(condition, view)
        seconds, last = view.unchanged(paths)
        left += [needed - timedelta(seconds=seconds)] if last else []
    return max(left)


def _of_no_time(view: UnitView) -> str:
    """Return a file that is taken and seems to be half-way through a copy by its time, "" when there is none."""
    entries = view.listing.entries
    return next((path for path in view.selection.selected if entries[path].mtime_ns < _OF_NO_TIME_NS), "")


def files_of(condition: Condition, view: UnitView) -> list[SourceFacts]:
    """Return the files that a condition asks for, as far as they are there."""
    if condition.flag("first"):
        found = (view.find([glob], ignore_case=condition.flag("ci")) for glob in condition.globs)
        return next((files for files in found if files), [])
    return view.find(condition.globs, ignore_case=condition.flag("ci"))


def is_still(view: UnitView) -> bool:
    """Tell whether nothing at all in the unit has changed for the settle time, taken or not."""
    settle = view.layout.settle if view.settle is None else view.settle
    return view.unchanged(view.files)[0] >= settle.total_seconds()


def contents_needed(condition: Condition) -> Sequence[str]:
    """Return the globs of files whose content a condition asks for."""
    if condition.kind in ("xml", "json", "kv", "text", "manifest"):
        return condition.globs
    if condition.kind == "each":
        return RUN_INFO
    equals = str(condition.arguments.get("equals", ""))
    return (equals.split(":", 2)[1],) if equals.startswith("kv:") else ()


def _absent(condition: Condition, view: UnitView) -> str:
    if problem := view.problem_at(condition.globs, ignore_case=condition.flag("ci")):
        return problem
    return f"{' or '.join(view.place(glob) for glob in condition.globs)} is not there"


def _file(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    found = files_of(condition, view)
    return (True, f"{found[0].path} is there") if found else (False, _absent(condition, view))


def _no_file(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    found = files_of(condition, view)
    return (False, f"{found[0].path} is there") if found else (True, _absent(condition, view))


def _each(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    plans = view.find(RUN_INFO)
    if not plans:
        return False, "RunInfo.xml is not there"
    try:
        reads = planned_reads(view.contents.get(plans[0].path, b""))
    except NotReadable as error:
        return False, f"{plans[0].path} {error}"
    if not reads:
        return False, f"{plans[0].path} names no reads"
    for read in reads:
        glob = condition.text("glob").replace("{n}", str(read.number))
        if not view.find([glob], ignore_case=condition.flag("ci")):
            return False, f"{view.place(glob)} is not there"
    return True, f"there is one for each of {len(reads)} reads"


def _per_file(
    read: Callable[[Condition, UnitView, str, bytes], Answer],
) -> Callable[[Condition, UnitView, bool], Answer]:
    """Ask each file that matches: for completeness every one must hold, for `failed` and `held` one is enough."""

    def answer(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
        found = files_of(condition, view)
        if not found:
            return condition.flag("if_present") and of_completeness, _absent(condition, view)
        answers: list[Answer] = []
        for facts in found:
            content = view.contents.get(facts.path)
            if content is None:
                answers.append((False, f"{facts.path} could not be read"))
                continue
            try:
                answers.append(read(condition, view, facts.path, content))
            except NotReadable as error:
                answers.append((False, f"{facts.path} {error}"))
        decisive = next((one for one in answers if one[0] is not of_completeness), answers[0])
        return decisive

    return answer


def _judged(condition: Condition, path: str, what: str, texts: Sequence[str], said: Iterable[str] = ()) -> Answer:
    values = [text for text in texts if text]
    more = "; ".join(text for text in said if text and text.lower() != "none")
    if "exists" in condition.arguments and what == "*":
        return bool(texts) is condition.flag("exists"), f"{path} can be read"
    for wish, seen in (("exists", texts), ("nonempty", values)):
        if wish in condition.arguments:
            holds = bool(seen) is condition.flag(wish)
            return holds, f"{path} says {what}: {values[0]}" if values else f"{path} has no {what}"
    if not values:
        return False, f"{path} has no {what}"
    listed, unlisted = condition.texts("in"), condition.texts("not_in")
    holds = (listed is None or values[0] in listed) and (unlisted is None or values[0] not in unlisted)
    return holds, f"{what} is {values[0]!r} in {path}" + (f" ({more})" if more else "")


def _xml(condition: Condition, view: UnitView, path: str, content: bytes) -> Answer:
    root = parse_xml(content)
    said = [text for at in condition.texts("say") or () for text in xml_texts(root, at)]
    return _judged(condition, path, condition.text("at"), xml_texts(root, condition.text("at")), said)


def _json(condition: Condition, view: UnitView, path: str, content: bytes) -> Answer:
    said = [text for at in condition.texts("say") or () for text in json_texts(content, at)]
    return _judged(condition, path, condition.text("at"), json_texts(content, condition.text("at")), said)


def _kv(condition: Condition, view: UnitView, path: str, content: bytes) -> Answer:
    key = condition.text("key")
    return _judged(condition, path, key, [key_values(content).get(key, "")])


def _text(condition: Condition, view: UnitView, path: str, content: bytes) -> Answer:
    found = re.search(condition.text("regex"), text_of(content))
    if found is None:
        return False, f"{path} does not say {condition.text('regex')}"
    line = next((line.strip() for line in text_of(content)[found.start() :].splitlines() if line.strip()), found[0])
    return True, f"{path} says: {line[:200]}"


def _count(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    there = len(files_of(condition, view))
    where = " or ".join(view.place(glob) for glob in condition.globs)
    equals = condition.arguments["equals"]
    if isinstance(equals, int):
        expected = equals
    elif equals.startswith("kv:"):
        _, glob, key = equals.split(":", 2)
        sources = view.find([glob])
        if not sources:
            return False, f"{view.place(glob)} is not there"
        told = [key_values(view.contents.get(facts.path, b"")).get(key, "") for facts in sources]
        if not all(one.isdigit() for one in told):
            return False, f"{sources[0].path} does not tell {key}"
        expected = sum(int(one) for one in told)
    else:
        expected = len(view.find([equals]))
    return there == expected, f"{there} of {expected} files {where}"


def _manifest(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    lists = files_of(condition, view)
    if not lists:
        return condition.flag("if_present") and of_completeness, _absent(condition, view)
    sidecars = bool(condition.arguments.get("sidecars", True))
    listed = read_lists(view, lists, condition.text("kind"), sidecars=sidecars)
    if listed.problems or listed.ambiguous:
        return False, (*listed.problems, *listed.ambiguous)[0]
    if not listed.lists:
        return False, "the only lists of checksums belong to single files"
    if listed.missing:
        return False, f"{_some(listed.missing)} listed in {listed.lists[0]}, but not there"
    if not listed.files and not condition.flag("if_listed"):
        return False, f"{listed.lists[0]} lists nothing"
    unlisted = (
        [path for path in view.selection.selected if path not in listed.files] if condition.flag("covers") else []
    )
    if unlisted:
        return False, f"{_some(unlisted)} not listed in {listed.lists[0]}"
    return True, f"all {len(listed.files)} files of {listed.lists[0]} are there"


def _pairs(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    expected = expected_reads(view)
    if missing := [sentence for _, sentence in missing_reads(view, expected)]:
        return False, "; ".join(missing[:_SHOWN]) + (
            f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        )
    if len(expected) > 1:
        return True, f"{' and '.join(expected)} are there"
    return True, "no read is missing"


def _sheet_covered(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    if view.sheet.problem:
        return False, view.sheet.problem
    if view.sheet.sheet is None:
        return True, "there is no sample sheet"
    without = match_sheet(view).without_files
    if without and view.no_files != "skip":
        ids = list(dict.fromkeys(row.sample_id for row in without))
        return False, f"{_some(ids)} in {view.sheet.path}, but without files"
    return True, f"every sample of {view.sheet.path} has files"


def _quiet(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    result = _quiet_result(condition.name, view, *lying_still(condition, view))
    return result.holds, result.detail


def _quiet_result(name: str, view: UnitView, needed: timedelta, paths: Iterable[str]) -> PredicateResult:
    seconds, last = view.unchanged(paths)
    if view.assume_quiet:
        return PredicateResult(name, True, "assumed")
    if not last or seconds >= needed.total_seconds():
        return PredicateResult(name, True, f"quiet for {spoken(needed)}")
    # Cut, not rounded: 119.99 s of 2 m must not read as over.
    return PredicateResult(
        name, False, f"quiet for {spoken(float(int(seconds)))} of {spoken(needed)}, {last} changed last"
    )


def _newer(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    markers = files_of(condition, view)
    if not markers:
        return False, _absent(condition, view)
    marker = max(markers, key=lambda facts: facts.ctime_ns)
    others = [facts for facts in view.find(condition.texts("than") or ()) if facts not in markers]
    later = max(others, key=lambda facts: facts.ctime_ns, default=None)
    if later is not None and later.ctime_ns > marker.ctime_ns:
        return False, f"{marker.path} is older than {later.path}"
    return True, f"{marker.path} is the newest"


def _age(condition: Condition, view: UnitView, of_completeness: bool) -> Answer:
    found = files_of(condition, view)
    if not found:
        return False, _absent(condition, view)
    result = _quiet_result(condition.name, view, *lying_still(condition, view))
    return result.holds, f"{found[0].path}: {result.detail}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return (
        ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "") + (" is" if len(names) == 1 else " are")
    )


_EVALUATE: Mapping[str, Callable[[Condition, UnitView, bool], Answer]] = {
    "file": _file,
    "no_file": _no_file,
    "each": _each,
    "xml": _per_file(_xml),
    "json": _per_file(_json),
    "kv": _per_file(_kv),
    "text": _per_file(_text),
    "count": _count,
    "manifest": _manifest,
    "pairs": _pairs,
    "sheet_covered": _sheet_covered,
    "quiet": _quiet,
    "newer": _newer,
    "age": _age,
}
