"""Installing the sandbox's Galaxy: what is said beforehand, when it is refused, and that only a whole one counts.

The lists of packages here are empty or broken, so that nothing is fetched; the real list is installed by the tests
that boot Galaxy.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.live.real_galaxy import OLDER, older_installation
from watcher.errors import SandboxError
from watcher.sandbox.install import (
    DISK_BYTES,
    FETCH_BYTES,
    MEMORY_BYTES,
    MIB,
    REQUIREMENTS,
    VERSION,
    Installation,
    Room,
    announcement,
    cache_folder,
    install,
    installation,
    one_at_a_time,
    refuse_if_short,
    room_here,
)

PLENTY = Room(disk_bytes=10 * DISK_BYTES, memory_bytes=10 * MEMORY_BYTES)


@pytest.fixture
def empty(tmp_path: Path) -> Installation:
    """Return an installation that needs no package at all."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    return Installation(tmp_path / "cache" / "galaxy", requirements)


@pytest.mark.parametrize("version", [VERSION, *OLDER])
def test_everything_is_pinned_by_its_hash(version: str) -> None:
    """Each package has one version per platform and at least one hash, nothing says where to fetch it, and Galaxy's own
    are all of the same version.
    """
    requirements = REQUIREMENTS if version == VERSION else older_installation(version).requirements
    lines = requirements.read_text().replace("\\\n", " ").splitlines()
    assert "://" not in requirements.read_text()
    packages = [line for line in lines if not line.startswith("#")]
    assert all("==" in line and "--hash=sha256:" in line for line in packages)
    names = {line.split("==")[0]: line.split("==")[1].split()[0] for line in packages}
    # Two packages of Galaxy's go their own ways.
    own = {"galaxy-sequence-utils", "galaxy-tool-shed-schema"}
    ours = {name: pinned for name, pinned in names.items() if name.startswith("galaxy-") and name not in own}
    assert {"galaxy-app", "galaxy-web-apps", "galaxy-data", "galaxy-tool-util"} <= set(ours)
    assert ("galaxy-web-client" in ours) == (version == VERSION)
    assert set(ours.values()) == {version}


def test_it_says_beforehand_what_it_takes(empty: Installation) -> None:
    """Before anything is fetched the person reads what, from where, to where, and how much of everything."""
    text = " ".join(announcement(empty, whole=False))
    for told in (VERSION, str(empty.folder), f"{FETCH_BYTES // MIB} MB", "Python package index", "disk", "minutes"):
        assert told in text
    assert "nothing is fetched" in " ".join(announcement(empty, whole=True))


@pytest.mark.parametrize(
    ("disk_bytes", "memory_bytes", "whole", "said"),
    [
        (DISK_BYTES - 1, MEMORY_BYTES, False, "disk space"),
        (DISK_BYTES, MEMORY_BYTES - 1, False, "memory"),
        (0, None, True, "disk space"),
        (DISK_BYTES // 4, MEMORY_BYTES, True, ""),
        (DISK_BYTES, None, False, ""),
    ],
    ids=["disk", "memory", "installed but full", "installed", "memory unknown"],
)
def test_it_is_refused_when_short(
    empty: Installation, disk_bytes: int, memory_bytes: int | None, whole: bool, said: str
) -> None:
    """Too little disk or memory is one clear refusal with a way out; an installed Galaxy needs less disk."""
    room = Room(disk_bytes, memory_bytes)
    if not said:
        refuse_if_short(empty, room, whole=whole)
        return
    with pytest.raises(SandboxError, match=said) as refused:
        refuse_if_short(empty, room, whole=whole)
    assert "--galaxy-url" in refused.value.hint


def test_nothing_is_made_when_it_is_refused(empty: Installation) -> None:
    """A refusal leaves no half installation behind."""
    with pytest.raises(SandboxError):
        install(empty, lambda line: None, Room(0, None))
    assert not empty.folder.exists()


def test_it_is_installed_once(empty: Installation) -> None:
    """The second time everything is there: nothing is fetched and nothing touched."""
    said: list[str] = []
    assert install(empty, said.append, PLENTY)
    assert empty.is_whole()
    before = empty.marker.stat().st_mtime_ns
    assert not install(empty, said.append, PLENTY)
    assert empty.marker.stat().st_mtime_ns == before


@pytest.mark.parametrize("harm", ["no marker", "older list", "python gone"])
def test_a_broken_installation_is_made_anew(empty: Installation, harm: str) -> None:
    """Whatever is not whole, or not of the present list, is removed and installed again."""
    install(empty, lambda line: None, PLENTY)
    left_behind = empty.folder / "left-behind"
    left_behind.touch()
    if harm == "no marker":
        empty.marker.unlink()
    elif harm == "older list":
        empty.requirements.write_text("# another list\n")
    else:
        empty.python.unlink()
    said: list[str] = []
    assert install(empty, said.append, PLENTY)
    assert any("made anew" in line for line in said)
    assert empty.is_whole()
    assert not left_behind.exists()


def test_a_failed_installation_says_why(empty: Installation) -> None:
    """The installer's own last words and the place of its log are in the error, and nothing counts as installed."""
    empty.requirements.write_text("this is ! no package\n")
    with pytest.raises(SandboxError, match="could not be installed") as failed:
        install(empty, lambda line: None, PLENTY)
    assert str(empty.folder / "install.log") in failed.value.hint
    assert not empty.is_whole()


def test_two_processes_do_not_install_at_once(tmp_path: Path) -> None:
    """Whoever comes second says that it waits, and goes on when the first has ended."""
    waits, entered = threading.Event(), threading.Event()

    def second() -> None:
        with one_at_a_time(tmp_path / "lock", lambda line: waits.set()):
            entered.set()

    with one_at_a_time(tmp_path / "lock", pytest.fail):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        assert not entered.is_set()
    assert entered.wait(10)
    thread.join(10)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/big/cache"}, Path("/big/cache/galaxy-watcher")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/galaxy-watcher"),
        ({}, Path.home() / ".cache/galaxy-watcher"),
    ],
    ids=["set", "relative is ignored", "not set"],
)
def test_the_cache_is_the_users(environment: dict[str, str], expected: Path) -> None:
    """The cache follows the desktop's convention, under our own name."""
    assert cache_folder(environment) == expected
    folder = installation(cache_folder(environment)).folder
    assert folder.parent == expected
    assert folder.name.startswith(f"galaxy-{VERSION}-")


def test_room_is_measured_where_the_folder_will_be(tmp_path: Path) -> None:
    """A folder that does not exist yet has the room of the disk it will be on; Linux tells the memory."""
    room = room_here(tmp_path / "not" / "yet")
    assert room.disk_bytes > 0
    assert (room.memory_bytes is not None) == (sys.platform == "linux")
