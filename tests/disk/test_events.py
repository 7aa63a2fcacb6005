"""Wake-ups come from real inotify events, and every way of losing them is told once."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.disk.conftest import unmount
from watcher.disk.events import LIMITS, Wakeups
from watcher.disk.threads import DiskThreads


class Heard:
    """What the callbacks were told, to be waited for."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.blind: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def wake(self, key: str) -> None:
        self.woken.append(key)
        self._news.set()

    def go_blind(self, key: str, reason: str) -> None:
        self.blind.append((key, reason))
        self._news.set()

    async def until(self, happened: Callable[[], bool], *, within_s: float = 60) -> None:
        """Return once it has happened."""
        async with asyncio.timeout(within_s):
            while not happened():
                self._news.clear()
                await self._news.wait()

    async def started(self, wakeups: Wakeups) -> None:
        """Return once all is watched, and forget the wake-ups that this makes."""
        await wakeups.started()
        self.woken.clear()

    async def nothing_for(self, seconds: float) -> None:
        """Fail when anything is heard within that time."""
        self._news.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def wakeups(patient: DiskThreads, heard: Heard) -> AsyncIterator[Wakeups]:
    made = Wakeups(patient, on_wake=heard.wake, on_blind=heard.go_blind, calm_s=0.01)
    yield made
    made.close()


def write(folder: Path) -> None:
    (folder / "new").write_bytes(b"x")


def move_in(folder: Path) -> None:
    (folder.parent / "elsewhere").rename(folder / "moved")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(write, id="file-written"),
        pytest.param(lambda folder: (folder / "d").mkdir(), id="folder-made"),
        pytest.param(move_in, id="file-moved-in"),
        pytest.param(lambda folder: (folder / "old").rename(folder / "newer"), id="renamed"),
        pytest.param(lambda folder: (folder / "old").unlink(), id="removed"),
    ],
)
async def test_a_change_wakes_its_key(
    wakeups: Wakeups, heard: Heard, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """What comes, goes or is renamed wakes the key of the folder, and only that one."""
    (tmp_path / "elsewhere").touch()
    for key in ("one", "two"):
        (tmp_path / key).mkdir()
        (tmp_path / key / "old").touch()
        wakeups.watch(key, tmp_path / key)
    await heard.started(wakeups)
    assert wakeups.watched() == {"one", "two"}
    change(tmp_path / "one")
    await heard.until(lambda: "one" in heard.woken)
    assert set(heard.woken) == {"one"}
    assert heard.blind == []


async def test_closing_a_growing_file_wakes_but_its_writes_do_not(
    wakeups: Wakeups, heard: Heard, tmp_path: Path
) -> None:
    """A writer's single writes and our own reading are silent; the end of the writing is not."""
    file = tmp_path / "f"
    file.write_bytes(b"a")
    wakeups.watch("w", tmp_path)
    await heard.started(wakeups)
    with file.open("ab", buffering=0) as growing:
        growing.write(b"b")
        file.read_bytes()
        list(tmp_path.iterdir())
        file.chmod(0o600)
        await heard.nothing_for(0.3)
    await heard.until(lambda: bool(heard.woken))


async def test_many_changes_are_few_wakeups(patient: DiskThreads, heard: Heard, tmp_path: Path) -> None:
    """The first change wakes at once, those right after it together; none is left out."""
    wakeups = Wakeups(patient, on_wake=heard.wake, on_blind=heard.go_blind, calm_s=0.3)
    wakeups.watch("w", tmp_path)
    await heard.started(wakeups)
    for number in range(500):
        (tmp_path / f"f{number}").touch()
    await heard.until(lambda: bool(heard.woken))
    woken_before = len(heard.woken)
    (tmp_path / "last").touch()
    await heard.until(lambda: len(heard.woken) > woken_before)
    assert len(heard.woken) < 10
    wakeups.close()


async def test_two_keys_may_watch_one_folder(wakeups: Wakeups, heard: Heard, tmp_path: Path) -> None:
    """Both are woken, also through a link, and one may leave without making the other deaf."""
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    wakeups.watch("a", tmp_path / "real")
    wakeups.watch("b", tmp_path / "alias")
    await heard.started(wakeups)
    write(tmp_path / "real")
    await heard.until(lambda: {"a", "b"} <= set(heard.woken))
    wakeups.unwatch("a")
    await heard.started(wakeups)
    heard.woken.clear()
    (tmp_path / "real" / "more").touch()
    await heard.until(lambda: "b" in heard.woken)
    assert "a" not in heard.woken


async def test_unwatched_and_closed_are_silent(wakeups: Wakeups, heard: Heard, tmp_path: Path) -> None:
    """After unwatch or close no callback comes, and ending twice harms nobody."""
    for key in ("a", "b"):
        (tmp_path / key).mkdir()
        wakeups.watch(key, tmp_path / key)
    await heard.started(wakeups)
    wakeups.unwatch("a")
    wakeups.unwatch("a")
    await heard.started(wakeups)
    write(tmp_path / "a")
    write(tmp_path / "b")
    await heard.until(lambda: "b" in heard.woken)
    assert "a" not in heard.woken
    wakeups.close()
    heard.woken.clear()
    (tmp_path / "b" / "more").touch()
    wakeups.watch("c", tmp_path)
    await heard.nothing_for(0.3)


async def test_a_folder_that_is_missing_goes_or_comes_back(wakeups: Wakeups, heard: Heard, tmp_path: Path) -> None:
    """A missing folder and one that is removed are told once each; watching again works once it is there."""
    folder = tmp_path / "run"
    wakeups.watch("w", folder)
    await heard.started(wakeups)
    assert [key for key, _ in heard.blind] == ["w"]
    assert wakeups.watched() == frozenset()
    folder.mkdir()
    wakeups.watch("w", folder)
    await heard.started(wakeups)
    shutil.rmtree(folder)
    await heard.until(lambda: len(heard.blind) == 2)
    await heard.until(lambda: heard.woken[-1:] == ["w"])
    assert heard.blind[1] == ("w", f"{folder} is gone")
    assert wakeups.watched() == frozenset()
    folder.mkdir()
    wakeups.watch("w", folder)
    await heard.started(wakeups)
    heard.woken.clear()
    write(folder)
    await heard.until(lambda: bool(heard.woken))


async def test_watching_again_after_a_remount(
    wakeups: Wakeups, heard: Heard, tmp_path: Path, mount_tmpfs: Callable[[Path], Path]
) -> None:
    """An unmount makes inotify deaf without a word; the same `watch` again hears the new mount."""
    root = mount_tmpfs(tmp_path / "nas")
    wakeups.watch("w", root)
    await heard.started(wakeups)
    unmount(root)
    mount_tmpfs(root)
    wakeups.watch("w", root)
    await heard.started(wakeups)
    write(root)
    await heard.until(lambda: "w" in heard.woken)
    assert heard.blind == []


async def test_a_fresh_watch_wakes_once(wakeups: Wakeups, heard: Heard, tmp_path: Path) -> None:
    """What changed between the caller's last look and the kernel's first is not missed: the key is woken."""
    wakeups.watch("w", tmp_path)
    await heard.until(lambda: heard.woken == ["w"])


async def test_a_network_mount_is_not_asked(heard: Heard, tmp_path: Path) -> None:
    """On a network mount nobody waits for events that never come: told once, and the mount is not touched."""
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {tmp_path / 'nas'} rw - nfs4 filer:/x rw\n")
    threads = DiskThreads(mountinfo=table)
    wakeups = Wakeups(threads, on_wake=heard.wake, on_blind=heard.go_blind)
    wakeups.watch("w", tmp_path / "nas" / "run")  # does not even exist
    await heard.started(wakeups)
    assert len(heard.blind) == 1
    assert "nfs4" in heard.blind[0][1]
    assert wakeups.watched() == {"w"}, "asking again would say the same again"
    wakeups.close()
    threads.close()


FLOOD = """
import os, sys
folder, rounds = sys.argv[1:]
for number in range(int(rounds)):
    name = f"{folder}/f{number % 9}"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    os.unlink(name)
"""


@pytest.mark.timeout(120)  # tens of thousands of events, under a second on an idle machine
async def test_lost_events_are_told_once_and_wake(wakeups: Wakeups, heard: Heard, tmp_path: Path) -> None:
    """When the kernel's queue overflows, all keys are woken for a look each time; it is told once, with what is to be
    raised.
    """
    for key in ("w", "still"):
        (tmp_path / key).mkdir()
        wakeups.watch(key, tmp_path / key)
    await heard.started(wakeups)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", FLOOD, str(tmp_path / "w"), str(limit // 2 + 1000)])  # noqa: ASYNC220
        # Waits without letting go of the interpreter's lock: the observer's thread cannot read, as on a busy machine.
        ctypes.PyDLL(None).waitpid(child.pid, None, 0)
        child.returncode = 0
        await heard.until(lambda: "still" in heard.woken, within_s=40)
        heard.woken.clear()
        assert wakeups.watched() == {"w", "still"}
    ((_, reason),) = heard.blind
    assert "fs.inotify.max_queued_events" in reason
    shutil.rmtree(tmp_path / "w")
    await heard.until(lambda: heard.blind[-1] == ("w", f"{tmp_path / 'w'} is gone"), within_s=40)


LIMITED = """
import asyncio, sys
from pathlib import Path
from watcher.disk.events import Wakeups
from watcher.disk.threads import DiskThreads

async def main():
    threads = DiskThreads()
    wakeups = Wakeups(threads, on_wake=lambda key: print(key, "woken"), on_blind=lambda key, reason: print(key, reason))
    for key in "abc":
        wakeups.watch(key, Path(sys.argv[1]) / key)
    await wakeups.started()
    wakeups.close()
    threads.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("max_inotify_watches=1", f"a woken\nb {LIMITS[errno.ENOSPC]}\n"),
        ("max_inotify_instances=0", f"a {LIMITS[errno.EMFILE]}\n"),
    ],
)
def test_the_kernels_limits_are_no_exception(tmp_path: Path, limit: str, told: str) -> None:
    """Without watches or instances left that is told once, however many folders feel it, with what is to be raised."""
    assert "fs.inotify.max_user_" in told
    for key in "abc":
        (tmp_path / key).mkdir()
    name, _, value = limit.partition("=")
    # Limits of an own user namespace: the machine's are not touched.
    own = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'echo {value} > /proc/sys/user/{name} && exec "$@"',
        "sh",
    ]
    if subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not allow user namespaces, whose limits could be lowered")
    ended = subprocess.run([*own, sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, told, "")
