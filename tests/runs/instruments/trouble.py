"""How finished runs come to a watched folder: slowly, in the wrong order, under other names, with holes.

Each function has one instrument's run arrive in one way and returns the `Story`; `STORIES` is the table of all. Some
trouble is no story but a run that is odd in itself: `ODD` holds those, as instruments. What a story holds is in
`arrival.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tests.runs.instruments.arrival import LONG_AGO_NS, SOON_S, Arrival, Story
from tests.runs.instruments.converters import bclconvert
from tests.runs.instruments.instrument import Instrument, one_unit
from tests.runs.run_folders import Tree, fastq_names

LONGER_THAN_QUIET_S = 6 * 3600.0
"""A pause that outlasts every quiet time of ours, and ends before anybody is told that it takes too long."""


def _taken(instrument: Instrument) -> list[str]:
    return [path for paths in instrument.taken.values() for path in paths]


def _markers(instrument: Instrument) -> list[str]:
    """Return what is written once reads are there: markers, and what else says that they are."""
    taken, order = set(_taken(instrument)), list(instrument.make().files)
    first = min(order.index(path) for path in taken)
    return [path for path in order[first:] if path not in taken]


def _begun(instrument: Instrument, but: Iterable[str] = ()) -> tuple[Tree, Arrival]:
    """Return the whole run, and its arrival with everything but these there."""
    whole, left = instrument.make(), set(but)
    arrival = Arrival(whole)
    for path in whole.files:
        if path not in left:
            arrival.put(path)
    return whole, arrival


def _ended(arrival: Arrival, name: str, instrument: Instrument) -> Story:
    """Return the story, with the last looks of a folder in which nothing happens any more."""
    arrival.look("the last file is there", SOON_S, is_whole=True)
    still_s = max(LONGER_THAN_QUIET_S, instrument.quiet_s)
    return arrival.look("nothing has happened since", still_s, is_whole=True).story(name)


def in_order(instrument: Instrument, pause_s: float = SOON_S) -> Story:
    """Have the files come as the instrument writes them, one at each look."""
    whole = instrument.make()
    arrival = Arrival(whole)
    for path in list(whole.files)[:-1]:
        arrival.put(path).look(f"{path} came", pause_s)
    arrival.put(list(whole.files)[-1])
    return _ended(arrival, "in order", instrument)


def pauses(instrument: Instrument) -> Story:
    """Have the files come in order, with pauses that are longer than any quiet time."""
    story = in_order(instrument, LONGER_THAN_QUIET_S)
    return Story("pauses longer than the quiet time", story.states)


def slow_writer(instrument: Instrument) -> Story:
    """Have each file of reads grow in three goes with long pauses, under its final name; markers come last."""
    taken, markers = _taken(instrument), _markers(instrument)
    whole, arrival = _begun(instrument, [*taken, *markers])
    for path in taken:
        content = whole.files[path]
        for part in (1, 2):
            arrival.put(path, content[: len(content) * part // 3])
            arrival.look(f"{part}/3 of {path}", LONGER_THAN_QUIET_S, damaged=[path])
        arrival.put(path)
    for path in markers:
        arrival.put(path)
    return _ended(arrival, "slow writer", instrument)


def marker_first(instrument: Instrument) -> Story:
    """Have the markers come first, as an alphabetical copy does, and the reads with long pauses."""
    taken = _taken(instrument)
    _, arrival = _begun(instrument, taken)
    for path in taken:
        arrival.look(f"everything but the reads, {path} is next", LONGER_THAN_QUIET_S)
        arrival.put(path)
    return _ended(arrival, "marker first", instrument)


def marker_without_data(instrument: Instrument) -> Story:
    """Have everything come but the reads, which never do."""
    _, arrival = _begun(instrument, _taken(instrument))
    for number in range(3):
        arrival.look(f"look {number} at a run without its reads", LONGER_THAN_QUIET_S)
    return arrival.story("marker without data")


def data_after_marker(instrument: Instrument) -> Story:
    """Have the last file of reads be written again, longer than before, after the run was whole."""
    whole, arrival = _begun(instrument)
    arrival.look("the run is there", SOON_S, is_whole=True).look("and stays", LONGER_THAN_QUIET_S, is_whole=True)
    path = _taken(instrument)[-1]
    arrival.put(path, whole.files[path] * 2).look(f"{path} was written again", SOON_S)
    return arrival.look("and stays so", LONGER_THAN_QUIET_S).story("data after marker")


def preserved_times(instrument: Instrument) -> Story:
    """Have a copy that gives every file its old time at once, while the reads still grow."""
    taken, markers = _taken(instrument), _markers(instrument)
    whole = instrument.make()
    arrival = Arrival(whole)
    for path in whole.files:
        if path not in (*taken, *markers):
            arrival.put(path, mtime_ns=LONG_AGO_NS)
    for path in taken:
        half = whole.files[path][: len(whole.files[path]) // 2]
        arrival.put(path, half, mtime_ns=LONG_AGO_NS)
        arrival.look(f"half of {path}, a year old", SOON_S, damaged=[path])
        arrival.put(path, mtime_ns=LONG_AGO_NS)
    for path in markers:
        arrival.put(path, mtime_ns=LONG_AGO_NS)
    return _ended(arrival, "preserved times", instrument)


def robocopy(instrument: Instrument) -> Story:
    """Have a copy under final names whose files are of 1970 until each is there."""
    whole, arrival = instrument.make(), Arrival(instrument.make())
    for path, content in whole.files.items():
        if len(content) > 1:
            arrival.put(path, content[: len(content) // 2], mtime_ns=0)
            arrival.look(f"half of {path}, of 1970", SOON_S, damaged=[path])
        arrival.put(path, mtime_ns=LONG_AGO_NS)
    return _ended(arrival, "robocopy", instrument)


def rsync(instrument: Instrument) -> Story:
    """Have each file come under a hidden name beside it, renamed with its old time when it is whole."""
    whole, arrival = instrument.make(), Arrival(instrument.make())
    for path, content in whole.files.items():
        folder, _, name = path.rpartition("/")
        hidden = f"{folder}/.{name}.Ab12Cd".lstrip("/")
        arrival.put(hidden, content[: len(content) // 2]).look(f"{path} is on its way", SOON_S)
        arrival.put(hidden, mtime_ns=LONG_AGO_NS, target=path).move(hidden, path)
    return _ended(arrival, "rsync", instrument)


def rsync_delayed(instrument: Instrument) -> Story:
    """Have all files come into `.~tmp~` folders, and be renamed in one burst at the end."""
    whole, arrival = instrument.make(), Arrival(instrument.make())
    hidden = {}
    for path in whole.files:
        folder, _, name = path.rpartition("/")
        hidden[path] = f"{folder}/.~tmp~/{name}".lstrip("/")
        arrival.put(hidden[path], mtime_ns=LONG_AGO_NS, target=path)
        arrival.look(f"{path} waits for its name", SOON_S)
    arrival.look("all wait for their names", LONGER_THAN_QUIET_S)
    for path, other in hidden.items():
        arrival.move(other, path)
    return _ended(arrival, "rsync --delay-updates", instrument)


def in_place(instrument: Instrument) -> Story:
    """Have four files at a time grow under their final names, as Globus writes, in the order of names."""
    whole, arrival = instrument.make(), Arrival(instrument.make())
    paths = sorted(whole.files)
    for at in range(0, len(paths), 4):
        several = paths[at : at + 4]
        for path in several:
            arrival.put(path, whole.files[path][: len(whole.files[path]) // 2])
        halves = [path for path in several if whole.files[path]]
        arrival.look(f"halves of {' '.join(several)}", SOON_S, damaged=halves)
        for path in several:
            arrival.put(path)
    return _ended(arrival, "in place", instrument)


def aspera(instrument: Instrument) -> Story:
    """Have each file of reads grow under its final name with a `.aspx` beside it; one of them is left behind."""
    taken, markers = _taken(instrument), _markers(instrument)
    whole, arrival = _begun(instrument, [*taken, *markers])
    for path in taken:
        content = whole.files[path]
        arrival.put(f"{path}.aspx", b"aspera").put(path, content[: len(content) // 2])
        arrival.look(f"half of {path}", SOON_S, damaged=[path])
        arrival.put(path)
        if path != taken[-1]:
            arrival.drop(f"{path}.aspx")
    for path in markers:
        arrival.put(path)
    return _ended(arrival, "Aspera", instrument)


def aspera_partial(instrument: Instrument) -> Story:
    """Have each file of reads come as `.partial` and be renamed."""
    taken, markers = _taken(instrument), _markers(instrument)
    whole, arrival = _begun(instrument, [*taken, *markers])
    for path in taken:
        arrival.put(f"{path}.partial", whole.files[path][:20]).look(f"{path} is on its way", SOON_S)
        arrival.put(f"{path}.partial", target=path).move(f"{path}.partial", path)
    for path in markers:
        arrival.put(path)
    return _ended(arrival, "Aspera with .partial", instrument)


def smb(instrument: Instrument) -> Story:
    """Have every file of reads be there in full size at once, all zeros; markers come before the bytes do.

    Sizes and times do not change when the bytes come, so only reading tells.
    """
    taken = _taken(instrument)
    whole, arrival = _begun(instrument, taken)
    for path in taken:
        arrival.put(path, bytes(len(whole.files[path])), mtime_ns=LONG_AGO_NS)
    arrival.look("all sizes are right, all bytes are zero", SOON_S, damaged=taken)
    arrival.look("nothing seems to happen", LONGER_THAN_QUIET_S, damaged=taken)
    for at, path in enumerate(taken, 1):
        arrival.put(path, mtime_ns=LONG_AGO_NS)
        if taken[at:]:
            arrival.look(f"{path} has its bytes", SOON_S, damaged=taken[at:])
    return _ended(arrival, "SMB", instrument)


def hole(instrument: Instrument) -> Story:
    """Have the last file of reads keep a hole of zeros at its end, in its full size, for ever."""
    path = _taken(instrument)[-1]
    whole, arrival = _begun(instrument, [path])
    content = whole.files[path]
    keep = max(20, len(content) // 2)
    arrival.put(path, content[:keep] + bytes(8192 + len(content) - keep))
    arrival.look("the end is a hole", SOON_S, damaged=[path])
    return arrival.look("and stays one", LONGER_THAN_QUIET_S, damaged=[path]).story("a hole at the end")


def truncated(instrument: Instrument) -> Story:
    """Have the last file of reads be cut, with all markers there, for ever."""
    path = _taken(instrument)[-1]
    whole, arrival = _begun(instrument, [path])
    arrival.put(path, whole.files[path][:-10]).look("ten bytes are missing", SOON_S, damaged=[path])
    return arrival.look("and stay away", LONGER_THAN_QUIET_S, damaged=[path]).story("truncated")


def renamed_folder(instrument: Instrument) -> Story:
    """Have the run folder be called `….tmp` while half of it comes, and by its own name from then on."""
    whole = instrument.make()
    arrival = Arrival(whole, f"{whole.name}.tmp")
    paths = list(whole.files)
    for at, path in enumerate(paths):
        arrival.put(path)
        if at == len(paths) // 2:
            arrival.look("half is there", SOON_S).rename_folder(whole.name)
            arrival.look("the folder has another name", SOON_S)
    return _ended(arrival, "renamed in mid-copy", instrument)


def requeued(instrument: Instrument) -> Story:
    """Have a run be whole but for its last unit, which comes a day later: the run was analysed again, or its next cell
    or lane ended.
    """
    whole = instrument.make()
    unit = instrument.units[-1]
    late = [path for path in whole.files if path.startswith(f"{unit}/") or unit in path.rsplit("/", 1)[-1]]
    _, arrival = _begun(instrument, late)
    arrival.look("all but the last unit is there", 4 * LONGER_THAN_QUIET_S)
    for path in late[:-1]:
        arrival.put(path).look(f"{path} came", SOON_S)
    arrival.put(late[-1])
    return _ended(arrival, "requeued", instrument)


STORIES: Mapping[str, Callable[[Instrument], Story]] = {
    "in order": in_order,
    "pauses longer than the quiet time": pauses,
    "slow writer": slow_writer,
    "marker first": marker_first,
    "marker without data": marker_without_data,
    "data after marker": data_after_marker,
    "preserved times": preserved_times,
    "robocopy": robocopy,
    "rsync": rsync,
    "rsync --delay-updates": rsync_delayed,
    "in place": in_place,
    "Aspera": aspera,
    "Aspera with .partial": aspera_partial,
    "SMB": smb,
    "a hole at the end": hole,
    "truncated": truncated,
    "renamed in mid-copy": renamed_folder,
    "requeued": requeued,
}
"""All of them; `why_not` says which of them cannot be told of an instrument."""

WITHOUT_READS = (
    "in order", "pauses longer than the quiet time", "robocopy", "rsync", "rsync --delay-updates", "in place",
    "renamed in mid-copy",
)  # fmt: skip
"""Stories of a whole folder; the others are about the files of reads in it."""


def why_not(story: str, instrument: Instrument) -> str:
    """Return why a story cannot be told of an instrument, "" where it can."""
    if story not in WITHOUT_READS and not any(instrument.taken.values()):
        return "there are no reads that could come late, damaged or under another name"
    if story == "requeued" and len(instrument.units) == 1:
        return "its runs are one unit: there is no second analysis, cell or lane to come later"
    return ""


_MANY = [f"P{number:02d}" for number in range(1, 97)]
_EIGHT = range(1, 9)
_LIKE_NAMES = ("ctl_S1_L001_R1_001", "ctl_S1", "pool_R2_test", "S1_L002")
_BOTH = ("Corals", "Squids")


def many_samples() -> Tree:
    """Return 96 samples over 8 lanes."""
    return bclconvert(_MANY, lanes=list(_EIGHT))


def names_like_names() -> Tree:
    """Return samples whose names look like parts of file names."""
    return bclconvert(_LIKE_NAMES)


def two_projects() -> Tree:
    """Return two projects of one run, each with two samples."""
    return bclconvert(("S1", "S2", "S3", "S4"), _BOTH)


_END = {".": "Logs/FastqComplete.txt"}
_FOUR = ("S1", "S2", "S3", "S4")

ODD: Mapping[str, Instrument] = {
    "96 samples over 8 lanes": Instrument(
        "bclconvert", many_samples, *one_unit(_MANY, fastq_names(_MANY, list(_EIGHT))), _END
    ),
    "names like file names": Instrument(
        "bclconvert", names_like_names, *one_unit(_LIKE_NAMES, fastq_names(_LIKE_NAMES)), _END
    ),
    "two projects in one run": Instrument(
        "bclconvert",
        two_projects,
        *one_unit(_FOUR, (f"{_BOTH[(int(name[1]) - 1) % 2]}/{name}" for name in fastq_names(_FOUR))),
        _END,
    ),
}
