"""Stage verify: did the run succeed, is its structure whole?

Everything that can be told without reading the files through: magic bytes, end blocks, tails of zeros, pairs, sample
sheet against files, manifests. A problem names its file and line and holds the unit; it releases itself when that
file has changed. The bytes themselves are proven while they are sent (`transfer.py`).
"""

from __future__ import annotations

from watcher.errors import StructureBroken
from watcher.model import Done, Hold, Ignore, Next, Outcome, Stage
from watcher.rows import Unit
from watcher.runs.manifests import expected_checksums
from watcher.stages.copies import compared, copy_of
from watcher.stages.looking import NO_FILES, left_out_of, problems_of, view_again
from watcher.stages.revisions import NAMESAKE, brings_nothing_new
from watcher.stages.rooms import Rooms
from watcher.stages.same_run import SAME_AS, TRACES, earlier_self, fingerprint, follow, traces


async def verify(unit: Unit, rooms: Rooms) -> Outcome:
    """Look at the head and tail of every selected file, and at what the sheet and the names say."""
    place, view = await view_again(unit, rooms)
    problems, files, grouping = await problems_of(rooms.threads, view)
    if grouping is not None:
        await rooms.store.touch(unit, more=left_out_of(grouping.left_out))
    if grouping is not None and problems and len(problems) == sum(one.lacks_files for one in grouping.problems):
        return Hold(
            _shown(problems),
            NO_FILES,
            hint="Add the files or correct the sheet, and the watcher sees it; `no_files: skip` in the watch and"
            f" `galaxy-watcher retry {unit.id}` go on without them.",
            files=files,
        )
    if problems:
        return Hold(
            _shown(problems),
            StructureBroken.code,
            hint="Correct what is named; the watcher sees it and goes on.",
            files=files,
        )
    selected = [view.listing.entries[path] for path in view.selection.selected]
    known_by_name = view.identity()[1] == "name"
    unit = await rooms.store.touch(unit, fingerprint=fingerprint(view.found, selected), more={TRACES: traces(selected)})
    if known_by_name and (old := await earlier_self(rooms, unit, place, selected)) is not None:
        await follow(rooms, old, unit.watch, place, has_left=old.identity != unit.identity)
        return Ignore(f"This is {old.id} under another name: the same files.", SAME_AS)
    if known_by_name:
        unit, outcome = await copy_of(rooms, unit, place, selected)
    else:
        unit, outcome = await compared(rooms, rooms.watch(unit.watch), unit, place, view)
    if outcome is not None:
        return outcome
    if await brings_nothing_new(rooms, unit, place.root, selected):
        return Done(f"These are the files that {unit.replaces or unit.more[NAMESAKE]} brought: nothing is to be done.")
    await rooms.store.touch(
        unit, more={"checksums": {path: dict(known) for path, known in expected_checksums(view).items()}}
    )
    return Next(Stage.PLAN, "The structure is whole.")


def _shown(problems: list[str]) -> str:
    return " ".join(problems[:5]) + (f" And {len(problems) - 5} more." if len(problems) > 5 else "")
