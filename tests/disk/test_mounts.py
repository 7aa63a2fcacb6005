"""Which mount covers a path, and when a watched root is not to be believed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.disk.conftest import lesser_user, unmount
from watcher.disk.mounts import ROOT_MARKER, MountTable, RootLook, inspect_root, mount_of, read_mounts
from watcher.disk.threads import DiskThreads
from watcher.rows import Watch

TABLE = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:44 / /mnt/nas rw,relatime shared:9 - nfs4 filer.example.org:/export/seq\040runs rw,vers=4.2
31 21 8:17 /data /mnt/with\040blank rw master:2 propagate_from:1 - xfs /dev/sdb1 rw
32 30 0:45 / /mnt/nas/inner rw - tmpfs none rw
40 21 8:33 / /data/old rw - ext4 /dev/sdc1 rw
41 21 8:49 / /data rw - ext4 /dev/sdd1 rw
42 41 0:50 / /data rw - fuse.sshfs me@host:/ rw
50 21 0:51 / /auto rw - autofs systemd-1 rw
not a line of the table
"""


@pytest.mark.parametrize(
    ("path", "source", "fstype", "is_network"),
    [
        pytest.param("/home/me", "/dev/sda1", "ext4", False, id="root"),
        pytest.param("/mnt/nas", "filer.example.org:/export/seq runs", "nfs4", True, id="mount-point-itself"),
        pytest.param("/mnt/nas/run1/x", "filer.example.org:/export/seq runs", "nfs4", True, id="beneath"),
        pytest.param("/mnt/nas2/run1", "/dev/sda1", "ext4", False, id="same-beginning-other-folder"),
        pytest.param("/mnt/nas/inner/x", "none", "tmpfs", False, id="mount-in-a-mount"),
        pytest.param("/mnt/with blank/x", "/dev/sdb1", "xfs", False, id="octal-escape-and-optional-fields"),
        pytest.param("/data/x", "me@host:/", "fuse.sshfs", True, id="mounted-over-the-same-point"),
        pytest.param("/data/old/x", "me@host:/", "fuse.sshfs", True, id="older-mount-hidden-by-a-later-one"),
        pytest.param("/mnt/nas/../nas/x", "filer.example.org:/export/seq runs", "nfs4", True, id="dots"),
        pytest.param("/auto/x", "systemd-1", "autofs", True, id="automounter"),
    ],
)
def test_the_covering_mount_is_found(path: str, source: str, fstype: str, is_network: bool) -> None:
    """A path belongs to the mount the kernel would walk into, as told by the mount table."""
    mount = mount_of(Path(path), TABLE)
    assert (mount.source, mount.fstype, mount.is_network) == (source, fstype, is_network)


def test_every_escape_is_undone() -> None:
    """Blank, tab, newline and backslash in mount points are read as they are."""
    (mount,) = read_mounts(r"1 0 0:1 / /a\040b\011c\012d\134e rw - tmpfs s\040o rw")
    assert (mount.point, mount.source) == ("/a b\tc\nd\\e", "s o")


def test_an_empty_table_still_answers() -> None:
    """Without any mount table line a path lies on an unknown local mount."""
    assert not mount_of(Path("/x"), "").is_network


def test_links_to_a_network_mount_are_followed_without_touching_it(tmp_path: Path) -> None:
    """The place is known to be on the network mount, though nothing beneath the mount point was asked for."""
    nas = tmp_path / "nas"
    nas.mkdir()
    (nas / "runs").symlink_to("/")  # who asks what lies there is led away, and answers wrongly
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {nas} rw - nfs4 filer:/x rw\n")
    (tmp_path / "alias").symlink_to("./more/../nas/runs")
    (tmp_path / "absolute").symlink_to(nas)
    (tmp_path / "circle").symlink_to("circle")
    mounts = MountTable(table)
    assert mounts.covering(tmp_path / "alias" / "run1").source == "filer:/x"
    assert mounts.covering(tmp_path / "absolute").source == "filer:/x"
    assert mounts.covering(tmp_path / "circle").source == "/dev/sda1"
    table.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert mounts.covering(tmp_path / "absolute").source == "/dev/sda1"


def remembered(look: RootLook) -> Watch:
    """Return the row a stage would keep after a good look."""
    return Watch(
        "w",
        mount=look.mount,
        device=look.device,
        root_inode=look.inode,
        entry_count=look.entry_count,
        last_look_at=datetime(2026, 1, 1, tzinfo=UTC),
        more={"root_marked": look.marked},
    )


async def test_a_good_root_is_remembered_and_found_again(patient: DiskThreads, tmp_path: Path) -> None:
    """The first look tells what to remember, the second finds it unchanged; hidden names do not count."""
    (tmp_path / "run1").mkdir()
    (tmp_path / ".hidden").touch()
    (tmp_path / "lost+found").mkdir()
    first = await inspect_root(patient, Watch("w"), tmp_path)
    assert (first.ok, first.entry_count, first.marked, first.restarted) == (True, 1, False, False)
    assert first.mount == mount_of(tmp_path.resolve()).label
    assert await inspect_root(patient, remembered(first), tmp_path) == first


async def test_an_empty_root_never_seen_otherwise_is_healthy(patient: DiskThreads, tmp_path: Path) -> None:
    """A fresh, empty folder is a good watch, again and again."""
    first = await inspect_root(patient, Watch("w"), tmp_path)
    again = await inspect_root(patient, remembered(first), tmp_path)
    assert first.ok and again.ok


async def test_an_emptied_root_is_blind_until_something_says_it_is_true(patient: DiskThreads, tmp_path: Path) -> None:
    """A root that was not empty and is now may have lost its mount; the marker file or a new entry ends the doubt."""
    (tmp_path / "run1").mkdir()
    watch = remembered(await inspect_root(patient, Watch("w"), tmp_path))
    (tmp_path / "run1").rmdir()
    look = await inspect_root(patient, watch, tmp_path)
    assert not look.ok
    assert "empty" in look.blind_reason and ROOT_MARKER in look.hint
    (tmp_path / ROOT_MARKER).touch()
    assert (await inspect_root(patient, watch, tmp_path)).ok
    (tmp_path / ROOT_MARKER).unlink()
    (tmp_path / "run2").mkdir()
    assert (await inspect_root(patient, watch, tmp_path)).ok


async def test_known_names_alone_make_an_empty_root_suspicious(patient: DiskThreads, tmp_path: Path) -> None:
    """Where units are known, an empty root is blind also if the row has no count."""
    assert not (await inspect_root(patient, Watch("w"), tmp_path, known=["run1"])).ok


@pytest.mark.parametrize(
    ("was_marked", "known", "there", "ok"),
    [
        pytest.param(True, ["run1"], ["other"], False, id="marker-and-all-known-gone"),
        pytest.param(True, ["run1", "run2"], ["run2"], True, id="marker-gone-one-known-there"),
        pytest.param(False, ["run1"], ["other"], True, id="never-marked-others-there"),
        pytest.param(True, [], ["other"], True, id="marker-gone-nothing-known"),
        pytest.param(True, ["run1"], [ROOT_MARKER], True, id="marker-there-all-cleaned-up"),
    ],
)
async def test_another_disk_in_the_same_place_is_noticed(
    patient: DiskThreads, tmp_path: Path, was_marked: bool, known: list[str], there: list[str], ok: bool
) -> None:
    """Marker and known names gone together mean another disk; each alone may be an ordinary clean-up."""
    for name in there:
        (tmp_path / name).touch()
    first = await inspect_root(patient, Watch("w"), tmp_path)
    watch = replace(remembered(first), more={"root_marked": was_marked})
    assert (await inspect_root(patient, watch, tmp_path, known=known)).ok is ok


@pytest.mark.parametrize("wrong", ["missing", "file", "dangling"])
async def test_a_root_that_is_no_folder_is_blind(patient: DiskThreads, tmp_path: Path, wrong: str) -> None:
    """A root that is missing, a file, or a link to nothing is told by a sentence that names it."""
    root = tmp_path / "root"
    if wrong == "file":
        root.touch()
    elif wrong == "dangling":
        root.symlink_to(tmp_path / "nothing")
    look = await inspect_root(patient, Watch("w"), root)
    assert not look.ok
    assert str(root) in look.blind_reason


async def test_a_root_that_does_not_answer_is_blind(threads: DiskThreads, tmp_path: Path) -> None:
    """A root whose looks hang is blind within the time limit, and the reason says since when."""
    stuck = threading.Event()
    pending = [threads.look(tmp_path, stuck.wait) for _ in range(2)]
    for one in pending:
        with pytest.raises(Exception, match="does not answer"):
            await one
    look = await inspect_root(threads, Watch("w"), tmp_path)
    stuck.set()
    assert not look.ok
    assert "does not answer since" in look.blind_reason


async def test_unmounting_blinds_and_remounting_restarts(
    patient: DiskThreads, tmp_path: Path, mount_tmpfs: Callable[[Path], Path]
) -> None:
    """A real unmount is noticed by the mount table; the same mount on a new device only restarts the quiet clocks."""
    root = mount_tmpfs(tmp_path / "nas")
    (root / "run1").mkdir()
    first = await inspect_root(patient, Watch("w"), root)
    assert first.mount == "watcher-test tmpfs"
    watch = remembered(first)
    unmount(root)
    (root / "run1").mkdir()  # even with the same names in the folder below the mount
    gone = await inspect_root(patient, watch, root)
    assert not gone.ok
    assert "watcher-test tmpfs" in gone.blind_reason and str(root) in gone.blind_reason
    mount_tmpfs(tmp_path / "takes-the-old-number")
    mount_tmpfs(root)
    (root / "run1").mkdir()
    back = await inspect_root(patient, watch, root)
    assert (back.ok, back.restarted) == (True, True)
    again = await inspect_root(patient, remembered(back), root)
    assert (again.ok, again.restarted) == (True, False)


async def test_another_mount_on_top_blinds(
    patient: DiskThreads, tmp_path: Path, mount_tmpfs: Callable[..., Path]
) -> None:
    """Another source mounted over the root is not taken for the root."""
    root = mount_tmpfs(tmp_path / "nas")
    (root / "run1").mkdir()
    watch = remembered(await inspect_root(patient, Watch("w"), root))
    mount_tmpfs(root, "something-else")
    (root / "run1").mkdir()
    look = await inspect_root(patient, watch, root)
    assert not look.ok
    assert "something-else tmpfs" in look.blind_reason


async def test_a_root_behind_a_link_is_judged_by_where_it_lies(
    patient: DiskThreads, tmp_path: Path, mount_tmpfs: Callable[[Path], Path]
) -> None:
    """A watch that points to a link sees the mount behind it come and go."""
    root = mount_tmpfs(tmp_path / "nas")
    (root / "run1").mkdir()
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    watch = remembered(await inspect_root(patient, Watch("w"), alias))
    assert watch.mount == "watcher-test tmpfs"
    unmount(root)
    assert not (await inspect_root(patient, watch, alias)).ok


async def test_a_root_we_may_not_enter_is_blind(patient: DiskThreads, public_path: Path) -> None:
    """Missing rights are a reason to wait, named as such."""
    root = public_path / "root"
    root.mkdir(mode=0o700)
    (root / "run1").mkdir()
    root.chmod(0)
    with lesser_user():
        look = await inspect_root(patient, Watch("w"), root)
    root.chmod(0o700)
    assert not look.ok
    assert "cannot be read" in look.blind_reason
