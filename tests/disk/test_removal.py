"""What may be touched when a folder goes, and what ends it before anything is lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from watcher.disk import archive
from watcher.disk.removal import claim, claimed_path, delete_claimed, give_back, is_ours
from watcher.disk.stock import open_folder, take_stock
from watcher.disk.threads import DiskThreads
from watcher.errors import DeliveryBroken, FileChanged, FileGone, TargetFull, TargetGone, UnsafePath

MARK = "k7m2x9"


@pytest.fixture
def threads(patient: DiskThreads) -> DiskThreads:
    """Return threads as the daemon has them."""
    return patient


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a watch with a run in it."""
    run = tmp_path / "watched" / "run"
    (run / "inner" / "deep").mkdir(parents=True)
    (run / "a.txt").write_text("a")
    (run / "inner" / "b.txt").write_text("bb")
    (run / "link").symlink_to("a.txt")
    return run.parent


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Give a folder on another file system."""
    folder = Path(tempfile.mkdtemp(prefix="galaxy-watcher-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("path", ["/etc", "../x", "run/../../x", "run/link", "way/inner"])
def test_no_way_leads_out_or_through_a_link(root: Path, path: str) -> None:
    """Absolute paths, `..` and links are refused on every step of a way."""
    (root / "way").symlink_to("run")
    with pytest.raises(UnsafePath):
        os.close(open_folder(root, path))


async def test_everything_in_a_folder_is_told(root: Path, threads: DiskThreads) -> None:
    """Folders, files and links, each as itself."""
    stock = await take_stock(threads, root, "run")
    assert [(one.path, one.kind, one.size, one.link) for one in stock] == [
        ("a.txt", "file", 1, ""), ("inner", "folder", 0, ""), ("inner/b.txt", "file", 2, ""),
        ("inner/deep", "folder", 0, ""), ("link", "link", 0, "a.txt"),
    ]  # fmt: skip
    with pytest.raises(FileGone):
        await take_stock(threads, root, "nothing")


async def test_what_is_no_file_ends_it(root: Path, threads: DiskThreads) -> None:
    """A FIFO in the folder is named, not deleted."""
    os.mkfifo(root / "run" / "pipe")
    with pytest.raises(UnsafePath, match="pipe"):
        await take_stock(threads, root, "run")


@pytest.mark.parametrize("at", ["run", "run/inner"])
async def test_a_mount_is_never_taken(
    root: Path, threads: DiskThreads, mount_tmpfs: Callable[[Path], Path], at: str
) -> None:
    """Neither a mount point nor a folder in which something is mounted."""
    mount_tmpfs(root / at)
    with pytest.raises(UnsafePath, match="mounted"):
        await take_stock(threads, root, "run")
    with pytest.raises(UnsafePath, match="mounted"):
        await claim(threads, root, "run", MARK)


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def test_a_claim_is_given_back(root: Path, threads: DiskThreads) -> None:
    """It is one rename, and so is the way back; a name that was taken meanwhile is not overwritten."""
    await claim(threads, root, "run", MARK)
    assert names(root) == [claimed_path("run", MARK)]
    assert is_ours(claimed_path("run", MARK))
    await give_back(threads, root, "run", MARK)
    assert names(root) == ["run"]
    await claim(threads, root, "run", MARK)
    (root / "run").mkdir()
    with pytest.raises(UnsafePath, match="taken"):
        await give_back(threads, root, "run", MARK)


async def test_only_what_is_known_is_deleted(root: Path, threads: DiskThreads) -> None:
    """A file that nobody knows stays, with its name in the error; without it all goes, also a second time."""
    stock = await take_stock(threads, root, "run")
    await claim(threads, root, "run", MARK)
    hidden = root / claimed_path("run", MARK)
    (hidden / "inner" / "late.txt").write_text("late")
    with pytest.raises(FileChanged, match=r"late\.txt"):
        await delete_claimed(threads, root, "run", MARK, stock)
    assert (hidden / "inner" / "late.txt").read_text() == "late"
    (hidden / "inner" / "late.txt").unlink()
    for _ in range(2):
        await delete_claimed(threads, root, "run", MARK, stock)
    assert names(root) == []


async def test_a_file_that_changed_is_not_deleted(root: Path, threads: DiskThreads) -> None:
    """It is compared right before it would go."""
    stock = await take_stock(threads, root, "run")
    await claim(threads, root, "run", MARK)
    path = root / claimed_path("run", MARK) / "inner" / "b.txt"
    path.write_text("other")
    with pytest.raises(FileChanged, match=r"inner/b\.txt"):
        await delete_claimed(threads, root, "run", MARK, stock)
    assert path.read_text() == "other"


async def copy(threads: DiskThreads, root: Path, base: Path, sent: Mapping[str, str]) -> dict[str, str]:
    """Copy the run, and return what was told to be whole."""
    told: dict[str, str] = {}

    async def whole(hashes: Mapping[str, str]) -> None:
        told.update(hashes)

    stock = await take_stock(threads, root, "run")
    part = archive.part_of(base / "run", MARK)
    await archive.copy_stock(threads, root, "run", stock, base, part, sent=sent, on_whole=whole)
    return told


async def test_a_copy_is_whole(root: Path, threads: DiskThreads, elsewhere: Path) -> None:
    """Files, folders, links, times and modes are there; the name comes last, and only where none is."""
    os.utime(root / "run" / "a.txt", ns=(1, 10**18))
    (root / "run" / "a.txt").chmod(0o640)
    assert sorted(await copy(threads, root, elsewhere, {})) == ["a.txt", "inner/b.txt"]
    await archive.place_copy(threads, elsewhere, elsewhere / "run", MARK)
    await archive.place_copy(threads, elsewhere, elsewhere / "run", MARK)
    there = elsewhere / "run"
    assert ((there / "a.txt").read_text(), (there / "link").readlink()) == ("a", Path("a.txt"))
    assert ((there / "a.txt").stat().st_mtime_ns, (there / "a.txt").stat().st_mode & 0o777) == (10**18, 0o640)
    assert (there / "inner" / "deep").is_dir()
    await copy(threads, root, elsewhere, {})
    with pytest.raises(UnsafePath, match="already"):
        await archive.place_copy(threads, elsewhere, elsewhere / "run", MARK)


async def test_a_copy_of_other_bytes_ends_it(root: Path, threads: DiskThreads, elsewhere: Path) -> None:
    """What is not what was sent is no original."""
    with pytest.raises(FileChanged, match="not the bytes that were sent"):
        await copy(threads, root, elsewhere, {"inner/b.txt": "0" * 64})


async def test_a_copy_that_reads_back_otherwise_ends_it(
    root: Path, threads: DiskThreads, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives back other bytes than it was given is found out."""
    monkeypatch.setattr(archive, "_write", lambda file, chunk: os.write(file, chunk[:-1] + b"x"))
    with pytest.raises(DeliveryBroken, match="read back"):
        await copy(threads, root, elsewhere, {})


async def test_an_archive_has_to_be_there_and_to_have_room(threads: DiskThreads, elsewhere: Path) -> None:
    """Both are told before a byte is copied."""
    with pytest.raises(TargetGone):
        await archive.prepare(threads, elsewhere / "none", elsewhere / "none" / "run", 0)
    with pytest.raises(TargetFull):
        await archive.prepare(threads, elsewhere, elsewhere / "run", 2**60)


async def test_what_is_whole_already_is_not_copied_again(root: Path, threads: DiskThreads, elsewhere: Path) -> None:
    """A copy that broke goes on with the rest."""
    told = await copy(threads, root, elsewhere, {})
    stock = [replace(one, sha256=told.get(one.path, "")) for one in await take_stock(threads, root, "run")]
    (root / "run" / "a.txt").write_text("never read again")
    part = archive.part_of(elsewhere / "run", MARK)

    async def nothing(hashes: Mapping[str, str]) -> None:
        assert not hashes

    await archive.copy_stock(threads, root, "run", stock, elsewhere, part, sent={}, on_whole=nothing)
