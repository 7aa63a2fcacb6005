"""Quiet time: for how long each file has been seen not to change, by our own looks.

Time stamps prove nothing (movers set them back, filers' clocks differ), so only what was observed counts: time
between two looks that saw the same file, at most one rescan interval per pair of looks, so that neither sleep nor a
stopped daemon counts as watching; none at all when we were blind in between. A change of size, mtime, inode or ctime
starts the file anew. ctime is in the list because a writer that sets the old mtime back (rsync, SMB, robocopy, mmap)
cannot set ctime back; a mere rename or chmod then costs one more settle time, which is the cheaper mistake. Pure:
rows and listings in, rows out. `stages/settle.py` uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from watcher.model import Kind, Listing, SourceFacts
from watcher.rows import SourceFile


def add_quiet(
    previous: Mapping[str, SourceFile],
    now: Listing,
    *,
    unit_id: str,
    at: datetime,
    rescan: timedelta,
    blind: bool,
    restarted: bool = False,
    back_since: datetime | None = None,
    filer_now: datetime | None = None,
) -> list[SourceFile]:
    """Return the rows of the regular files in `now`, sorted by path, with the quiet time added up until `at`.

    `previous` has the rows of the last look by path. `blind`: the root was not there at some moment since then; no
    time is added, and files that are missing keep their row, because nothing is inferred. `restarted`: the device is
    new, all clocks begin at zero; `back_since`: so do those of files last looked at before that moment, when the root
    came back. Only when nothing at all is stored a file's ctime may seed its clock, as its age on the filer's own
    clock: `filer_now` (`filer_time`); without it the youngest change in the listing stands for it, which is never too
    late.
    """
    filer_now = filer_now or filer_time(now)
    is_first_look = not (previous or blind or restarted)
    rows = []
    for seen in now.files():
        before = previous.get(seen.path)
        if before is None or not _is_same(before, seen):
            quiet_s = _age_s(seen, filer_now) if is_first_look else 0.0
            rows.append(_row(unit_id, seen, quiet_s, at, ""))
        else:
            added_s = 0.0 if blind else _watched_s(before, now, at, rescan)
            quiet_s = 0.0 if restarted or _is_older(before, back_since) else before.unchanged_s + added_s
            rows.append(_row(unit_id, seen, quiet_s, at, before.sha256))
    if blind:
        missing = [before for path, before in previous.items() if path not in now.entries]
        rows += [
            _row(unit_id, _facts_of(row), 0.0 if restarted else row.unchanged_s, at, row.sha256) for row in missing
        ]
    return sorted(rows, key=lambda row: row.path)


def filer_time(listing: Listing, *, at: datetime | None = None, is_network: bool = True) -> datetime | None:
    """Return the time on the clock that sets ctime, never too late.

    On a local disk that is our own clock (`at`). A file server's clock cannot be read without writing, but it is not
    before the youngest change it shows. None when nothing is listed.
    """
    if at is not None and not is_network:
        return at
    youngest_ns = max((seen.ctime_ns for seen in listing.entries.values() if seen.kind is not Kind.OTHER), default=0)
    return datetime.fromtimestamp(youngest_ns / 1e9, UTC) if youngest_ns else None


def _is_older(before: SourceFile, back_since: datetime | None) -> bool:
    return back_since is not None and (before.looked_at is None or before.looked_at < back_since)


def _is_same(before: SourceFile, seen: SourceFacts) -> bool:
    return (before.size, before.mtime_ns, before.ctime_ns, before.inode) == (
        seen.size,
        seen.mtime_ns,
        seen.ctime_ns,
        seen.inode,
    )


def _age_s(seen: SourceFacts, filer_now: datetime | None) -> float:
    return max(0.0, filer_now.timestamp() - seen.ctime_ns / 1e9) if filer_now else 0.0


def _watched_s(before: SourceFile, now: Listing, at: datetime, rescan: timedelta) -> float:
    """Return the time between two looks at a file, rounded down.

    `at` is the end of a look: how long this one took is taken off, because the file may have been seen at its
    beginning.
    """
    if before.looked_at is None:
        return 0.0
    passed_s = (at - before.looked_at).total_seconds() - now.seconds
    return min(max(0.0, passed_s), rescan.total_seconds())


def _facts_of(row: SourceFile) -> SourceFacts:
    return SourceFacts(row.path, Kind.FILE, row.size, row.mtime_ns, row.ctime_ns, row.inode)


def _row(unit_id: str, seen: SourceFacts, quiet_s: float, at: datetime, sha256: str) -> SourceFile:
    return SourceFile(
        unit_id=unit_id,
        path=seen.path,
        size=seen.size,
        mtime_ns=seen.mtime_ns,
        ctime_ns=seen.ctime_ns,
        inode=seen.inode,
        unchanged_s=quiet_s,
        looked_at=at,
        sha256=sha256,
    )
