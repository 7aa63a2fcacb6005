"""Listings show everything, follow nothing out of the root, and read small files safely."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.disk.conftest import lesser_user
from watcher.clock import ManualClock, SystemClock
from watcher.disk.scan import facts, facts_of, folder_pattern, list_folder, read_ends, read_small
from watcher.disk.threads import DiskThreads
from watcher.errors import FileGone, MountGone, UnsafePath
from watcher.model import Kind, Listing, SourceFacts

CLOCK = SystemClock()
T = TypeVar("T")


def kinds(listing: Listing) -> dict[str, str]:
    """Return each path's problem where it has one, else its kind."""
    return {path: seen.problem or str(seen.kind) for path, seen in listing.entries.items()}


async def test_a_tree_is_listed_with_its_facts(patient: DiskThreads, tmp_path: Path) -> None:
    """Files and folders come with relative paths, sizes, times and inodes."""
    (tmp_path / "run" / "Data").mkdir(parents=True)
    file = tmp_path / "run" / "Data" / "ä 1.fastq"
    file.write_bytes(b"12345")
    began = datetime.now(UTC)
    listing = await list_folder(patient, tmp_path, clock=CLOCK)
    assert set(listing.entries) == {"run", "run/Data", "run/Data/ä 1.fastq"}
    seen, status = listing.entries["run/Data/ä 1.fastq"], file.stat()
    assert (seen.kind, seen.size, seen.mtime_ns, seen.ctime_ns, seen.inode) == (
        Kind.FILE,
        5,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    )
    assert listing.root == str(tmp_path)
    assert began <= listing.taken_at <= datetime.now(UTC)
    assert listing.seconds > 0
    assert seen == facts(tmp_path, "run/Data/ä 1.fastq")


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(1, {"a"}), (2, {"a", "a/b"}), (3, {"a", "a/b", "a/b/c"}), (None, {"a", "a/b", "a/b/c", "a/b/c/d"})],
)
async def test_depth_limits_the_listing(
    patient: DiskThreads, tmp_path: Path, depth: int | None, expected: set[str]
) -> None:
    """Depth counts the parts of the listed paths."""
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    listing = await list_folder(patient, tmp_path, depth=depth, clock=ManualClock())
    assert set(listing.entries) == expected
    assert listing.taken_at == ManualClock().now()


async def test_pruned_folders_are_named_but_not_entered(patient: DiskThreads, tmp_path: Path) -> None:
    """A pruned folder is in the listing, its content is not; a file of that name is no folder."""
    for folder in ("Data/L001", "Data/Library1", "InterOp", "x/InterOp"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "f").touch()
    (tmp_path / "Data/L002").touch()
    listing = await list_folder(patient, tmp_path, prune=["Data/L[0-9][0-9][0-9]", "InterOp/"], clock=CLOCK)
    assert listing.pruned == {"Data/L001", "InterOp"}
    assert {path for path in listing.entries if path.endswith("/f")} == {"Data/Library1/f", "x/InterOp/f"}
    assert "Data/L002" in listing.entries


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a/*", ["a/b", "a/.b"], ["a", "a/b/c", "xa/b"]),
        ("**/L00?", ["L001", "x/L002", "x/y/L003"], ["L0011", "xL001"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz"]),
        ("L[!0-9]", ["Lx"], ["L1"]),
        ("a.b+(c)[", ["a.b+(c)["], ["aXb+(c)["]),
    ],
)
def test_folder_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    """Patterns match whole relative paths, a name at a time."""
    compiled = folder_pattern(pattern)
    assert [path for path in matching if not compiled.match(path)] == []
    assert [path for path in other if compiled.match(path)] == []


async def test_what_is_no_regular_file_is_named(patient: DiskThreads, tmp_path: Path) -> None:
    """FIFO, socket and device are listed with what they are, and none of them is opened."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "sock"))
        expected = {"pipe": "it is a FIFO", "sock": "it is a socket"}
        if os.geteuid() == 0:
            os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
            expected["null"] = "it is a device"
        assert kinds(await list_folder(patient, tmp_path, clock=CLOCK)) == expected
    for name in expected:
        with pytest.raises(UnsafePath, match="no regular file"):
            await read_ends(patient, tmp_path, name)
        with pytest.raises(UnsafePath, match="no regular file"):
            await read_small(patient, tmp_path, [name])


async def test_links(patient: DiskThreads, tmp_path: Path) -> None:
    """A link to a file inside the root is that file; every other link has its own answer, and none is followed out."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "run", outside):
        folder.mkdir(parents=True)
        (folder / "f").write_bytes(b"abc")
    (tmp_path / "alias").symlink_to(root)
    links: dict[str, str | Path] = {
        "inside": "run/f",
        "run/up": "../run/f",
        "absolute": root / "run" / "f",
        "twice": "inside",
        "folder": "run",
        "self": ".",
        "leaves": "../outside/f",
        "comes-back": "../root/run/f",
        "leaves-absolute": outside / "f",
        "leaves-folder": outside,
        "nothing": "run/none",
        "circle-a": "circle-b",
        "circle-b": "circle-a",
        "device": "/dev/zero",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    listing = await list_folder(patient, tmp_path / "alias", clock=CLOCK)
    leaves, circle = "it is a link that leaves the watched folder", "it is a link that leads in a circle"
    assert kinds(listing) == {
        "run": "folder",
        "run/f": "file",
        "inside": "file",
        "run/up": "file",
        "absolute": "file",
        "twice": "file",
        "folder": "it is a link to the folder run, which is not followed",
        "self": "it is a link to the folder ., which is not followed",
        "leaves": leaves,
        "comes-back": leaves,
        "leaves-absolute": leaves,
        "leaves-folder": leaves,
        "nothing": "it is a link to nothing",
        "circle-a": circle,
        "circle-b": circle,
        "device": leaves,
    }
    assert (listing.entries["twice"].size, listing.entries["twice"].inode) == (3, (root / "run/f").stat().st_ino)
    assert await facts_of(patient, root, list(listing.entries)) == dict(listing.entries)
    assert await read_small(patient, root, ["twice", "absolute", "nothing", "gone"]) == {
        "twice": b"abc",
        "absolute": b"abc",
    }
    for unsafe in ("leaves", "comes-back", "leaves-absolute", "leaves-folder/f", "circle-a", "device"):
        with pytest.raises(UnsafePath):
            await read_small(patient, root, [unsafe])


async def test_an_absolute_link_may_use_the_name_of_the_watch(patient: DiskThreads, tmp_path: Path) -> None:
    """Where the watched path itself is a link, links written with either name of the root are inside."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "f").write_bytes(b"abc")
    (tmp_path / "alias").symlink_to(root)
    (root / "link").symlink_to(tmp_path / "alias" / "f")
    assert kinds(await list_folder(patient, tmp_path / "alias", clock=CLOCK)) == {"f": "file", "link": "file"}


async def test_a_link_that_leaves_is_not_touched_behind_the_root(patient: DiskThreads, tmp_path: Path) -> None:
    """Nothing behind such a link is asked for: the answer comes even if its target is a folder we may not enter."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "missing" / ".." / "root" / "f")
    listing = await list_folder(patient, tmp_path / "root", clock=CLOCK)
    assert kinds(listing) == {"link": "it is a link that leaves the watched folder"}


@pytest.mark.parametrize(
    ("name", "shown", "problem"),
    [
        (b"a\nb.fastq", "a\\nb.fastq", "the name has a line break or another control character"),
        (b"a\x1b[2Jb", "a\\x1b[2Jb", "the name has a line break or another control character"),
        ("a\u2028b".encode(), "a\\u2028b", "the name has a line break or another control character"),
        (b"bad\xff\xfe.gz", "bad\\xff\\xfe.gz", "the name is not valid UTF-8"),
    ],
)
async def test_unusable_names(patient: DiskThreads, tmp_path: Path, name: bytes, shown: str, problem: str) -> None:
    """A name that cannot be stored or shown is listed escaped, with the reason; such a folder is not entered."""
    (tmp_path / os.fsdecode(name)).touch()
    (tmp_path / os.fsdecode(b"d" + name)).mkdir()
    (tmp_path / os.fsdecode(b"d" + name) / "f").touch()
    listing = await list_folder(patient, tmp_path, clock=CLOCK)
    assert kinds(listing) == {shown: problem, "d" + shown: problem}
    assert all(path.encode("utf-8").decode().isprintable() for path in listing.entries)


async def test_an_escaped_name_takes_nobodys_place(patient: DiskThreads, tmp_path: Path) -> None:
    """A file whose real name looks like an escaped one is listed beside it."""
    (tmp_path / "a\nb").touch()
    (tmp_path / "a\\nb").touch()
    listing = await list_folder(patient, tmp_path, clock=CLOCK)
    assert [seen.kind for _, seen in sorted(listing.entries.items())] == [Kind.FILE, Kind.OTHER]


async def test_unreadable_things_are_named(patient: DiskThreads, public_path: Path) -> None:
    """A file or folder without read permission is listed with that problem, and the rest of the tree as usual."""
    for folder in ("closed", "open"):
        (public_path / folder).mkdir()
        (public_path / folder / "f").touch()
    (public_path / "secret").write_bytes(b"x")
    (public_path / "secret").chmod(0)
    (public_path / "closed").chmod(0)
    with lesser_user():
        listing = await list_folder(patient, public_path, clock=CLOCK)
        with pytest.raises(UnsafePath, match="cannot be read"):
            await read_small(patient, public_path, ["secret"])
    (public_path / "closed").chmod(0o700)
    unreadable = "it cannot be read by the watcher's user"
    assert kinds(listing) == {"closed": unreadable, "open": "folder", "open/f": "file", "secret": unreadable}


class SteppedThreads(DiskThreads):
    """Real threads; before each call something may happen on the disk."""

    def __init__(self, between: Callable[[], None]) -> None:
        super().__init__(timeout_s=0.3)
        self._between = between
        self.looks = 0

    async def look(self, place: Path, call: Callable[[], T], *, timeout_s: float | None = None) -> T:
        """Look after something has happened."""
        self.looks += 1
        self._between()
        return await super().look(place, call, timeout_s=timeout_s)


async def test_what_vanishes_meanwhile_is_named(tmp_path: Path) -> None:
    """What goes between the folder's listing and its own look is listed as vanished, file or folder."""
    (tmp_path / "f").touch()
    (tmp_path / "d").mkdir()
    looks = 0

    def remove() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:  # the first entry is known by name, the second not yet
            (tmp_path / "f").unlink()
        if looks == 3:  # all names are known
            (tmp_path / "d").rmdir()

    threads = SteppedThreads(remove)
    seen = kinds(await list_folder(threads, tmp_path, clock=CLOCK, slice_s=0))
    threads.close()
    vanished = "it vanished while it was looked at"
    assert seen == {"f": vanished, "d": vanished}


async def test_a_listing_is_cut_into_short_calls(tmp_path: Path) -> None:
    """However big the folder, one call to the disk stays short, and the parts make the same whole."""
    for number in range(30):
        (tmp_path / f"f{number}").touch()
    whole_threads, cut_threads = SteppedThreads(lambda: None), SteppedThreads(lambda: None)
    whole = await list_folder(whole_threads, tmp_path, clock=CLOCK)
    cut = await list_folder(cut_threads, tmp_path, clock=CLOCK, slice_s=0)
    assert whole.entries == cut.entries
    assert (whole_threads.looks, cut_threads.looks) == (1, 31)
    whole_threads.close()
    cut_threads.close()


async def test_a_root_that_goes_ends_the_listing(tmp_path: Path, patient: DiskThreads) -> None:
    """Half a listing is none: a missing root raises, before and during the look."""
    with pytest.raises(FileGone, match="root"):
        await list_folder(patient, tmp_path / "root", clock=CLOCK)
    (tmp_path / "file").touch()
    with pytest.raises(FileGone, match="file"):
        await list_folder(patient, tmp_path / "file", clock=CLOCK)


async def test_a_hung_root_ends_the_listing(threads: DiskThreads, tmp_path: Path, stuck: threading.Event) -> None:
    """A listing on a mount that does not answer raises within the time limit."""
    await asyncio.gather(*(threads.look(tmp_path, stuck.wait) for _ in range(2)), return_exceptions=True)
    with pytest.raises(MountGone):
        await list_folder(threads, tmp_path, clock=CLOCK)


async def test_small_reads(patient: DiskThreads, tmp_path: Path) -> None:
    """Small files come whole; missing ones are left out; a big one is refused by name and not read in."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "empty").touch()
    (tmp_path / "big").write_bytes(b"x" * 101)
    small = await read_small(patient, tmp_path, ["a", "empty", "none", "a/b"], limit_bytes=100)
    assert small == {"a": b"abc", "empty": b""}
    with pytest.raises(UnsafePath, match="big: it has more than 100 bytes") as refused:
        await read_small(patient, tmp_path, ["a", "big"], limit_bytes=100)
    assert refused.value.files == ("big",)


@pytest.mark.parametrize("path", ["/etc/hostname", "../x", "a/../../x", "", "a\0b"])
async def test_paths_that_are_none_are_refused(patient: DiskThreads, tmp_path: Path, path: str) -> None:
    """Absolute paths, paths with `..` and worse are refused before the disk is asked."""
    (tmp_path / "a").mkdir()
    with pytest.raises(UnsafePath):
        await read_small(patient, tmp_path, [path])
    assert (await facts_of(patient, tmp_path, [path]))[path].kind is Kind.OTHER


async def test_the_longest_lists_of_a_sequencer_are_small(patient: DiskThreads, tmp_path: Path) -> None:
    """MinKNOW's hashes of 72 hours with 98 labels, reads that passed and failed, as FASTQ and BAM, with long names."""
    row = f"{'i' * 36},{'g' * 40},PAA12345,{'s' * 40},{'0' * 64},fastq_pass/{'a' * 40}/PAA12345_pass_{'a' * 40},bc,al\n"
    (tmp_path / "output_hash.csv").write_text(row * (72 * 98 * 2 * 2))
    assert (await read_small(patient, tmp_path, ["output_hash.csv"]))["output_hash.csv"].count(b"\n") == 72 * 98 * 2 * 2


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), head=st.integers(0, 100), tail=st.integers(0, 100))
async def test_ends_are_the_ends(patient: DiskThreads, tmp_path: Path, content: bytes, head: int, tail: int) -> None:
    """Head and tail are what slicing the content gives, for any size."""
    (tmp_path / "f").write_bytes(content)
    expected = (content[:head], content[max(0, len(content) - tail) :])
    assert await read_ends(patient, tmp_path, "f", head, tail) == expected


async def test_missing_things(patient: DiskThreads, tmp_path: Path) -> None:
    """Ends of a missing file raise; facts of missing ones are left out."""
    with pytest.raises(FileGone) as gone:
        await read_ends(patient, tmp_path, "none")
    assert gone.value.files == ("none",)
    (tmp_path / "f").touch()
    assert list(await facts_of(patient, tmp_path, ["none", "f"])) == ["f"]


async def test_names_alone_are_asked_for_less(patient: DiskThreads, tmp_path: Path) -> None:
    """The same paths of the same kinds, links and FIFOs told as ever, folders with their times, files without."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "reads").write_bytes(b"12345")
    (tmp_path / "run" / "link").symlink_to("reads")
    (tmp_path / "run" / "nowhere").symlink_to("/tmp")
    os.mkfifo(tmp_path / "run" / "fifo")
    whole = (await list_folder(patient, tmp_path, clock=SystemClock())).entries
    names = (await list_folder(patient, tmp_path, names_only=True, clock=SystemClock())).entries
    assert {path: one.kind for path, one in names.items()} == {path: one.kind for path, one in whole.items()}
    assert names["run/reads"] == SourceFacts("run/reads", Kind.FILE)
    assert {path: one for path, one in names.items() if path != "run/reads"} == {
        path: one for path, one in whole.items() if path != "run/reads"
    }
