"""What can be wrong with a target folder: full, gone, read-only, links in the way, a mount that is missing."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.delivery.results import AtOnce, Results, parts_in, run_command
from watcher.clock import ManualClock
from watcher.delivery import FolderDelivery
from watcher.delivery.target import OpenFile, new_digest, unmounted
from watcher.errors import DeliveryBroken, DeliveryError, GalaxyAway, MountGone, TargetFull, TargetGone

T = TypeVar("T")
MIB = 1024 * 1024
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def deliver_to(folder: Path, base: Path | None = None, fstab: str = "") -> FolderDelivery:
    """Return a delivery that sees an fstab of its own."""
    own = folder.parent / "fstab"
    if fstab:
        own.write_text(fstab)
    return FolderDelivery(folder, base or folder, AtOnce(), ManualClock(), fstab=own)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    run_command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(point))
    try:
        yield point
    finally:
        run_command("umount", "--lazy", str(point))


@needs_root
async def test_a_full_disk_is_an_obstacle_and_heals(small_disk: Path) -> None:
    """Space that runs out in the middle raises TargetFull; with room again the file is completed, nothing is left."""
    results, delivery = Results(), deliver_to(small_disk)
    (small_disk / "ballast").write_bytes(bytes(2 * MIB))
    file = results.add("a", os.urandom(3 * MIB), "reads")
    with pytest.raises(TargetFull, match="No room"):
        await delivery.put(results, file, "reads.txt")
    assert not (small_disk / "reads.txt").exists()
    assert parts_in(small_disk)
    (small_disk / "ballast").unlink()
    await delivery.put(results, file, "reads.txt")
    assert (small_disk / "reads.txt").read_bytes() == results.contents["a"]
    assert not parts_in(small_disk)


@needs_root
async def test_room_is_looked_at_before(small_disk: Path) -> None:
    """More than fits is refused before the first byte, with both numbers."""
    delivery = deliver_to(small_disk)
    await delivery.prepare(3 * MIB)
    with pytest.raises(TargetFull, match=f"{5 * MIB} are needed"):
        await delivery.prepare(5 * MIB)


@needs_root
async def test_what_free_space_does_not_show_is_tried(small_disk: Path) -> None:
    """A disk that has free bytes and takes no file is full all the same; the trial leaves nothing behind."""
    run_command("mount", "-o", "remount,nr_inodes=3", str(small_disk))
    for name in ("a", "b"):
        (small_disk / name).touch()
    delivery = deliver_to(small_disk)
    with pytest.raises(TargetFull, match="No space"):
        await delivery.prepare(1)
    (small_disk / "a").unlink()
    await delivery.prepare(3 * MIB)
    assert [path.name for path in small_disk.iterdir()] == ["b"]


@needs_root
async def test_a_read_only_disk_is_an_obstacle(small_disk: Path) -> None:
    """A target that became read-only raises TargetGone, before and in the middle."""
    results, delivery = Results(), deliver_to(small_disk)
    run_command("mount", "-o", "remount,ro", str(small_disk))
    with pytest.raises(TargetGone, match="read-only"):
        await delivery.prepare(1)
    with pytest.raises(TargetGone, match="Read-only"):
        await delivery.put(results, results.add("a", b"x", "reads"), "reads.txt")


@needs_root
async def test_a_mount_that_goes_away_in_the_middle(small_disk: Path) -> None:
    """When the base suddenly lies on another file system, nothing is written to the bare mount point."""
    results, delivery = Results(), deliver_to(small_disk / "run", small_disk)
    await delivery.prepare(1)
    run_command("umount", str(small_disk))
    try:
        with pytest.raises(TargetGone, match="another file system"):
            await delivery.put(results, results.add("a", b"x", "reads"), "reads.txt")
        assert list(small_disk.iterdir()) == []
    finally:
        run_command("mount", "-t", "tmpfs", "tmpfs", str(small_disk))


async def test_a_mount_that_fstab_knows_must_be_there(tmp_path: Path) -> None:
    """Below a mount point that fstab names and nothing is mounted on, no folder is made."""
    base = tmp_path / "my nas" / "results"
    base.mkdir(parents=True)
    escaped = str(tmp_path / "my nas").replace(" ", "\\040")
    delivery = deliver_to(
        base / "run", base, f"# comment\nserver:/x {escaped} nfs defaults 0 0\nproc /proc proc defaults 0 0\n"
    )
    with pytest.raises(TargetGone, match="should be mounted"):
        await delivery.prepare(1)
    assert sorted(path.name for path in base.iterdir()) == ["fstab"]


def test_other_mounts_do_not_matter(tmp_path: Path) -> None:
    """The root, mounted places and mount points elsewhere are no reason to refuse; nor is a missing fstab."""
    fstab = tmp_path / "fstab"
    fstab.write_text(
        f"/dev/sda1 / ext4 defaults 0 1\nproc /proc proc defaults 0 0\nx {tmp_path}-other nfs defaults\nshort\n"
    )
    assert unmounted(tmp_path, fstab) == ""
    assert unmounted(Path("/proc/self"), fstab) == ""
    assert unmounted(tmp_path, tmp_path / "none") == ""


async def test_the_base_is_never_made(tmp_path: Path) -> None:
    """A base that does not exist raises TargetGone and stays missing, whatever is asked."""
    results, delivery = Results(), deliver_to(tmp_path / "base" / "run", tmp_path / "base")
    file = results.add("a", b"x", "reads")
    with pytest.raises(TargetGone, match="cannot be reached"):
        await delivery.prepare(1)
    with pytest.raises(TargetGone):
        await delivery.put(results, file, "reads.txt")
    with pytest.raises(TargetGone):
        await delivery.holds("reads.txt", 1, file.sha256)
    with pytest.raises(TargetGone):
        await delivery.write_manifest([])
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("folder", ["elsewhere", "base/../elsewhere"])
async def test_a_folder_outside_its_base_is_refused(tmp_path: Path, folder: str) -> None:
    """What a template makes of odd names cannot lead out of its fixed part."""
    (tmp_path / "base").mkdir()
    with pytest.raises(DeliveryBroken, match="does not lie in"):
        await deliver_to(tmp_path / folder, tmp_path / "base").prepare(1)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//x", "", "a/", "."])
async def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    """A path that no name of ours could be is refused, although `places` never makes one."""
    results = Results()
    (tmp_path / "base").mkdir()
    with pytest.raises(DeliveryBroken, match="is no name for a result"):
        await deliver_to(tmp_path / "base").put(results, results.add("a", b"x", "x"), path)


async def test_links_in_the_target_are_not_followed(tmp_path: Path) -> None:
    """A link as folder, as final name or as temporary name leads nowhere; what it points to is untouched."""
    results, base, outside = Results(), tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    victim = outside / "victim"
    victim.write_bytes(b"mine")
    delivery = deliver_to(base)
    file = results.add("a", b"theirs", "reads")
    (base / "sub").symlink_to(outside)
    with pytest.raises(DeliveryBroken, match="in the way"):
        await delivery.put(results, file, "sub/reads.txt")
    (base / "reads.txt").symlink_to(victim)
    with pytest.raises(DeliveryBroken, match="in the way"):
        await delivery.put(results, file, "reads.txt")
    (base / "dangling.txt").symlink_to(outside / "new")
    with pytest.raises(DeliveryBroken, match="in the way"):
        await delivery.put(results, file, "dangling.txt")
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
async def test_a_strange_temporary_name_is_replaced(tmp_path: Path, kind: str) -> None:
    """A link or a pipe under the temporary name is removed, not written through."""
    results, base, victim = Results(), tmp_path / "base", tmp_path / "victim"
    base.mkdir()
    victim.write_bytes(b"mine")
    delivery, file = deliver_to(base), results.add("a", bytes(2 * MIB), "reads")
    results.cut_at = MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    results.cut_at = None
    (part,) = parts_in(base)
    part.unlink()
    {
        "link": lambda: part.symlink_to(victim),
        "hard link": lambda: part.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(part),
    }[kind]()
    await delivery.put(results, file, "reads.txt")
    assert victim.read_bytes() == b"mine"
    assert (base / "reads.txt").read_bytes() == bytes(2 * MIB)
    assert not parts_in(base)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_something_else_under_the_name_is_left_alone(tmp_path: Path, kind: str) -> None:
    """A folder or pipe of the result's name stops the delivery and does not hang it."""
    results, base = Results(), tmp_path / "base"
    base.mkdir()
    if kind == "folder":
        (base / "reads.txt").mkdir()
    else:
        os.mkfifo(base / "reads.txt")
    with pytest.raises(DeliveryBroken, match="is no file"):
        await deliver_to(base).put(results, results.add("a", b"x", "reads"), "reads.txt")


async def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """A file where a sub-folder should be stops the delivery with its name."""
    results, base = Results(), tmp_path / "base"
    base.mkdir()
    (base / "sub").write_bytes(b"x")
    with pytest.raises(DeliveryBroken, match=r"sub/reads\.txt cannot be delivered"):
        await deliver_to(base).put(results, results.add("a", b"x", "reads"), "sub/reads.txt")


async def test_a_target_that_does_not_answer(tmp_path: Path) -> None:
    """The threads' word that a place hangs becomes an obstacle of the target."""

    class Hung:
        async def __call__(self, place: Path, call: Callable[[], T]) -> T:
            raise MountGone(f"{place} does not answer since 300 s.")

    delivery = FolderDelivery(tmp_path, tmp_path, Hung(), ManualClock())
    with pytest.raises(TargetGone, match="does not answer"):
        await delivery.prepare(1)


async def test_calls_run_on_the_threads_of_the_base(tmp_path: Path) -> None:
    """Every call names the base as its place, so that a hung target blocks nobody else."""
    results, call = Results(), AtOnce()
    delivery = FolderDelivery(tmp_path / "run", tmp_path, call, ManualClock())
    await delivery.prepare(1)
    file = results.add("a", b"x", "reads")
    await delivery.put(results, file, "reads.txt")
    await delivery.holds("reads.txt", 1, file.sha256)
    await delivery.write_manifest([("reads.txt", file.sha256)])
    assert call.places == {tmp_path}


def test_an_abandoned_call_never_writes_to_a_closed_file(tmp_path: Path) -> None:
    """After a file was given up, a late call raises and its descriptor is not used again."""
    place = tmp_path / "file"
    late = OpenFile(os.open(place, os.O_RDWR | os.O_CREAT), place)
    late.write(new_digest(), 0, b"early")
    late.close()
    reused = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(DeliveryError, match="given up"):
            late.write(new_digest(), 0, b"late")
        late.close()
        os.fstat(reused)
    finally:
        os.close(reused)
    assert place.read_bytes() == b"early"
    assert (tmp_path / "other").read_bytes() == b""
