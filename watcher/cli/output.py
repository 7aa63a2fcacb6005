"""How reports look on a terminal: tables for what stands, one live line per batch for what moves, plain lines
elsewhere.

Reads the reports of `service/report.py`, `preview.py` and `explain.py`; decides nothing. Colours only on a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

COLOURS = {
    "done": "green", "working": "cyan", "waiting": "blue", "ready": "cyan", "held": "yellow", "failed": "red",
    "cancelled": "bright_black", "ignored": "bright_black",
}  # fmt: skip


SETTLED = ("done", "held", "failed", "cancelled", "ignored")
CHECKED = {
    "off": "by SHA-256 where Galaxy verifies it, else by size",
    "sample": "by SHA-256 where Galaxy verifies it, else by size+sample",
    "full": "by SHA-256; read back where Galaxy does not verify it",
}
"""What a plan promises of its datasets, by `readback`: which it will be, the server tells when they are there."""

PLAIN_WIDTH = 200
"""Columns where output goes to a file or pipe: nobody wants folded tables there."""


def _console(console: Console | None) -> Console:
    return console or Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def size_text(size_bytes: float) -> str:
    """Return a size for people, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def _status(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def print_status(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print obstacles, then units and batches as a table, then what needs a person, then what watches leave out."""
    console = _console(console)
    for obstacle in report.get("obstacles", []):
        console.print(Text(f"Obstacle since {obstacle['since']}: {obstacle['reason']}", style="yellow"))
        console.print(Text(f"  {obstacle['hint']}"))
    if report.get("units"):
        _print_units(report["units"], console)
    else:
        console.print("No run has been seen yet.")
    for watch in report.get("watches", []):
        if watch["left_out"]:
            console.print(Text(f"Watch {watch['name']} leaves out:"))
            _print_left_out(watch["left_out"], console)
            if watch["left_out_more"]:
                console.print(Text(f"  and {watch['left_out_more']} more", style="bright_black"))


def _print_units(units: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "RUN", "UNIT", "STAGE", "STATUS", "RULE", "SENT", "CHECKED", "WHY"):
        table.add_column(heading, overflow="fold")
    for unit in units:
        table.add_row(
            unit["id"], unit["run"], unit["unit"], unit["stage"], _status(unit["status"]), "", "", "", unit["reason"]
        )
        for batch in unit["batches"]:
            sent = f"{size_text(batch['bytes_done'])} of {size_text(batch['bytes_total'])}"
            table.add_row(
                "  " + batch["id"],
                "",
                "",
                batch["stage"],
                _status(batch["status"]),
                batch["rule"],
                sent,
                batch["checked"],
                batch["reason"],
            )
    console.print(table)
    for unit in units:
        asking = [row for row in unit["batches"] if row["status"] in ("held", "failed")] or [unit]
        for row in asking:
            if row["status"] in ("held", "failed") and row["hint"]:
                console.print(Text(f"{row['id']}: {row['hint']}", style="yellow"))
        if unit.get("overdue"):
            console.print(Text(f"{unit['id']}: Still waiting: {unit['overdue']}.", style="yellow"))
        if late := unit.get("late"):
            names = ", ".join(f"{one['path']} ({one['what']})" for one in late[:6])
            more = f" and {len(late) - 6} more" if len(late) > 6 else ""
            console.print(Text(f"{unit['id']}: Came later: {names}{more}", style="yellow"))


def _print_predicates(predicates: Sequence[Mapping[str, Any]], console: Console) -> None:
    for predicate in predicates:
        since = f", since {predicate['since']}" if predicate["since"] else ""
        mark = "yes" if predicate["holds"] else "no "
        console.print(Text(f"  {mark} {predicate['name']}: {predicate['detail']}{since}"))


def _print_left_out(left_out: Sequence[Mapping[str, Any]], console: Console, word: str = "") -> None:
    for left in left_out:
        console.print(Text(f"  {word}{left['path']}: {left['reason']}", style="bright_black"))


class Rates:
    """How fast things move: since each was seen first, so that one slow moment does not upset the estimate."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: dict[str, tuple[float, int]] = {}

    def told(self, key: str, done_bytes: int, total_bytes: int | None = None) -> str:
        """Return `12 MiB of 40 MiB, 5.0 MiB/s, 6 s left`; what is not known yet is left out."""
        began, first = self._seen.setdefault(key, (self._now(), done_bytes))
        seconds = self._now() - began
        rate = (done_bytes - first) / seconds if seconds > 0.5 else 0.0
        text = size_text(done_bytes) + (f" of {size_text(total_bytes)}" if total_bytes is not None else "")
        if rate <= 0:
            return text
        left = "" if total_bytes is None else f", {max(0, total_bytes - done_bytes) / rate:.0f} s left"
        return f"{text}, {size_text(rate)}/s{left}"


class LiveProgress:
    """Live lines on a terminal (bytes, rate, ETA, stage per batch); one plain line per change elsewhere."""

    def __init__(self, live: bool, console: Console | None = None) -> None:
        shown_on = console or Console(stderr=True)
        self._live = Live(console=shown_on, refresh_per_second=4, transient=True) if live else None
        self._said: dict[str, str] = {}
        self._rates = Rates()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, report: Mapping[str, Any]) -> None:
        """Show how everything stands now."""
        lines = [line for unit in report["units"] for line in self._lines(unit)]
        if self._live:
            table = Table(box=None, pad_edge=False, show_header=False)
            for key, stage, status, text in lines:
                table.add_row(key, stage, _status(status), text)
            self._live.update(table)
            return
        for key, stage, status, text in lines:
            said = f"{stage} {status if status in SETTLED else 'goes on'}"
            if self._said.get(key) != said:
                self._said[key] = said
                print(f"{key}  {stage}  {status}  {text}".rstrip(), file=sys.stderr, flush=True)

    def _lines(self, unit: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        if not unit["batches"]:
            return [(f"{unit['id']} {unit['run']}", unit["stage"], unit["status"], unit["reason"])]
        return [
            (f"{batch['id']} {unit['run']}", batch["stage"], batch["status"], self._told(batch))
            for batch in unit["batches"]
        ]

    def _told(self, batch: Mapping[str, Any]) -> str:
        if batch["stage"] == "upload" and batch["bytes_done"] < batch["bytes_total"]:
            return self._rates.told(batch["id"], batch["bytes_done"], batch["bytes_total"])
        if batch["stage"] == "deliver" and batch["bytes_fetched"]:
            return f"{self._rates.told(batch['id'] + ' home', batch['bytes_fetched'])} brought home"
        jobs = [
            f"{count} {state}"
            for invocation in batch["invocations"]
            for state, count in sorted(invocation["jobs"].items())
        ]
        return f"jobs: {', '.join(jobs)}" if batch["stage"] == "poll" and jobs else str(batch["reason"])


def print_plan(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `plan` found: units, conditions, batches, what is left out."""
    console = _console(console)
    if not report["units"] and not report["left_out"]:
        console.print("Nothing that looks like a run is there.")
    for unit in report["units"]:
        _print_seen_unit(console, unit, f"layout {unit['layout']}")
        if unit["sheet"]:
            console.print(Text(f"  Sample sheet: {unit['sheet']['path']}"))
        _print_predicates(unit["predicates"], console)
        for batch in unit["batches"]:
            _print_planned_batch(console, batch)
        _print_left_out(unit["left_out"], console, "left out: ")
    if report["left_out"]:
        console.print("In no unit:")
        _print_left_out(report["left_out"], console)


def _print_seen_unit(console: Console, unit: Mapping[str, Any], known: str) -> None:
    head = Text(f"{unit['run']} {unit['unit']}  ").append_text(_status(unit["status"])).append(f"  ({known})")
    console.print(head)
    for reason in unit["reasons"]:
        console.print(Text(f"  {reason}", style="yellow"))


def _print_planned_batch(console: Console, batch: Mapping[str, Any]) -> None:
    files = [file for sample in batch["samples"] for file in sample["files"]]
    total = size_text(sum(file["size"] for file in files))
    rule = batch["rule"] or "(none: no configuration)"
    console.print(f"  rule {rule}: {len(batch['samples'])} samples, {len(files)} files, {total}")
    if batch["destination"]:
        _print_destination(console, batch["destination"])
        if "readback" in batch["destination"]:
            console.print(f"    checked     {CHECKED[batch['destination']['readback']]}")
    collection = batch["collection"]
    if collection:
        names: Sequence[str] = [element["name"] for element in collection["elements"]]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        console.print(f"    collection  {collection['type']} `{collection['name']}`: {', '.join(names[:6])}{more}")
    for workflow in batch["workflow"] or []:
        after = f"  after {', '.join(workflow['after'])}" if workflow["after"] else ""
        console.print(f"    workflow    {workflow['ref']}{after}")
        for label, value in workflow["inputs"].items():
            console.print(f"                {escape(label)}: {_input(value)}")
    for delivery in batch["deliveries"]:
        console.print(f"    delivery    {delivery['target']}  ({', '.join(delivery['outputs'])})")
        for pattern, template in delivery.get("names", {}).items():
            console.print(f"                {escape(pattern)}: {escape(template)}")


def _input(value: Any) -> str:
    """Say what goes into an input of a workflow, as the rule writes it."""
    told = ", ".join(f"{key} `{part}`" for key, part in value.items()) if isinstance(value, Mapping) else str(value)
    return escape(told)


WAYS = {
    "link": "linked where they lie, no byte is sent",
    "copy": "copied by Galaxy, no byte is sent",
    "import_dir": "linked out of Galaxy's import folder, no byte is sent",
    "user_import_dir": "linked out of the account's import folder, no byte is sent",
}


def _print_destination(console: Console, destination: Mapping[str, Any]) -> None:
    library, way = destination["library"], destination["transfer"]
    if library:
        console.print(f"    library     {library['name']}  folder {library['folder'] or '/'}")
    if way in WAYS:
        read = "read through once here" if destination["content"] == "full" else "looked at by head and tail"
        console.print(f"    files       {WAYS[way]}; {read}")
    if destination["history"] is not None:
        console.print(f"    history     {destination['history']}")


def print_explain(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `explain` found: each sample with its rules, in their order."""
    console = _console(console)
    if not report["units"] and not report["left_out"]:
        console.print("Nothing that looks like a run is there.")
    for unit in report["units"]:
        instrument = f", instrument {unit['instrument']}" if unit["instrument"] else ""
        _print_seen_unit(console, unit, f"watch {unit['watch']}, layout {unit['layout']}{instrument}")
        for sample in unit["samples"]:
            project = f" of project {sample['project']}" if sample["project"] else ""
            takers = [sample["taken_by"] or "no rule", *sample["also_taken_by"]]
            console.print(
                Text(
                    f"  {sample['name']}{project}, {len(sample['files'])} files, {size_text(sample['size'])}: "
                ).append(" and ".join(takers), style="bold" if sample["taken_by"] else "yellow")
            )
            for rule in sample["rules"]:
                mark = "yes" if rule["takes"] else "no "
                console.print(Text(f"    {mark} {rule['rule']}: {rule['why']}"))
        _print_left_out(unit["left_out"], console, "left out: ")
    if report["left_out"]:
        console.print("In no unit:")
        _print_left_out(report["left_out"], console)


def _print_invocation(invocation: Mapping[str, Any], console: Console) -> None:
    jobs = ", ".join(f"{count} {state}" for state, count in sorted(invocation["jobs"].items()))
    attempt = f"attempt {invocation['attempt']}  " if invocation["attempt"] > 1 else ""
    told = f"  invocation  {invocation['workflow']}  {attempt}{invocation['status']}  {jobs}  {invocation['url']}"
    console.print(Text(told.rstrip()))
    if invocation["reason"]:
        console.print(Text(f"              {invocation['reason']}"))
    for sample, why in sorted(invocation["samples_not_good"].items()):
        console.print(Text(f"    not good  {sample}: {why}"))


def _jobs_of(step: Mapping[str, Any]) -> str:
    """Say how many jobs a step had, and which of their exit codes is not 0."""
    bad = sorted({str(job["exit_code"]) for job in step["jobs"] if job["exit_code"]})
    count = len(step["jobs"])
    return f"{count} {'job' if count == 1 else 'jobs'}" + (f", exit code {', '.join(bad)}" if bad else "")


def print_show(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print one unit with everything below it."""
    console = _console(console)
    print_status({"units": [report], "obstacles": []}, console)
    _print_predicates(report.get("predicates", []), console)
    if report.get("sheet"):
        console.print(Text(f"  Sample sheet: {report['sheet']['path']}"))
    for remark in report.get("remarks", []):
        console.print(Text(f"  {remark}", style="yellow"))
    for batch in report["batches"]:
        if batch["library"]:
            console.print(f"  library     {batch['library']}  {batch['library_url']}")
        if batch["history_url"]:
            console.print(f"  history     {batch['history']}  {batch['history_url']}")
        for invocation in batch["invocations"]:
            _print_invocation(invocation, console)
        for record in batch["records"]:
            for step in record["steps"]:
                name = f"{step['index']} {step['label']}".strip()
                console.print(Text(f"    step      {name}  {step['tool_id']} {step['tool_version']}  {_jobs_of(step)}"))
        for row in batch["datasets"]:
            level = row["checked"] or row["status"]
            console.print(f"  dataset     {row['name']}  {size_text(row['size'])}  {level}  {row['sha256'][:12]}")
        for row in batch["deliveries"]:
            console.print(f"  delivery    {row['target']}  {row['status']}  {row['reason']}")
        for row in batch["results"]:
            level = row["checked"] or row["status"]
            console.print(f"  result      {row['path']}  {size_text(row['size'])}  {level}  {row['sha256'][:12]}")
    for line in report["journal"]:
        console.print(Text(f"  {line['at']}  {line['actor']:<8} {line['event']:<20} {line['text']}"))
