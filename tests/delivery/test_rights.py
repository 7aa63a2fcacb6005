"""Whom delivered files belong to, who may read them, and the marker that comes last of all."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from tests.delivery.results import AtOnce, Results
from watcher.clock import ManualClock
from watcher.delivery.folder import FolderDelivery
from watcher.delivery.rights import Rights
from watcher.delivery.target import OURS
from watcher.errors import DeliveryBroken

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def results() -> Results:
    """Results in memory."""
    return Results()


def delivery_to(base: Path, rights: Rights = OURS, marker: str = "") -> FolderDelivery:
    """Return a delivery to a new folder below the base."""
    return FolderDelivery(base / "run", base, AtOnce(), ManualClock(), rights=rights, marker=marker)


async def bring(delivery: FolderDelivery, results: Results) -> None:
    """Deliver one file in a folder of its own, and the manifest."""
    file = results.add("a", b"hello\n", "table", "S1", ext="tabular")
    await delivery.prepare(file.size)
    ((path, _),) = delivery.places([file]).items()
    _, sha256 = await delivery.put(results, file, path)
    await delivery.write_manifest([(path, sha256)])


def mode(path: Path) -> str:
    """Return the rights as chmod takes them."""
    return oct(path.stat().st_mode & 0o7777)[2:]


async def test_files_and_new_folders_get_their_modes(tmp_path: Path, results: Results) -> None:
    """Files, the manifest and the marker have the mode of files, new folders theirs; the base stays as it was."""
    tmp_path.chmod(0o711)
    await bring(delivery_to(tmp_path, Rights(mode="0640", folder_mode="2750"), "READY"), results)
    for name in ("table/S1.tabular", "MANIFEST.sha256", "READY"):
        assert mode(tmp_path / "run" / name) == "640"
    assert (mode(tmp_path / "run"), mode(tmp_path / "run" / "table")) == ("2750", "2750")
    assert mode(tmp_path) == "711"


async def test_a_folder_that_was_there_keeps_its_rights(tmp_path: Path, results: Results) -> None:
    """Only what the delivery makes is given away."""
    (tmp_path / "run").mkdir(mode=0o700)
    await bring(delivery_to(tmp_path, Rights(folder_mode="0755")), results)
    assert (mode(tmp_path / "run"), mode(tmp_path / "run" / "table")) == ("700", "755")


async def test_own_group_by_name_and_number(tmp_path: Path, results: Results) -> None:
    """A group of the watcher's own user is set, whichever way it is written."""
    group = os.getegid()
    for place, written in (("name", grp.getgrgid(group).gr_name), ("number", str(group))):
        (tmp_path / place).mkdir()
        await bring(delivery_to(tmp_path / place, Rights(group=written)), results)
        assert (tmp_path / place / "run" / "table" / "S1.tabular").stat().st_gid == group


@pytest.mark.skipif(not IS_ROOT, reason="only root gives files to somebody else")
async def test_files_are_given_to_another_user(tmp_path: Path, results: Results) -> None:
    """As root, files and new folders belong to the owner and group that were named."""
    nobody = pwd.getpwnam("nobody")
    await bring(delivery_to(tmp_path, Rights("nobody", str(nobody.pw_gid), "0600", "0700")), results)
    for path in (tmp_path / "run", *(tmp_path / "run").rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid)


@pytest.mark.parametrize(
    ("rights", "told"),
    [(Rights(owner="no-such-user"), "no user `no-such-user`"), (Rights(group="no-such"), "no group `no-such`")],
)
async def test_unknown_names_deliver_nothing(tmp_path: Path, results: Results, rights: Rights, told: str) -> None:
    """A person is told, and no folder with other rights is left behind."""
    with pytest.raises(DeliveryBroken, match=told):
        await bring(delivery_to(tmp_path, rights), results)
    assert list(tmp_path.iterdir()) == []


async def test_the_marker_is_nobody_elses_name(tmp_path: Path, results: Results) -> None:
    """A result that is called like the marker gets another name, and the marker is empty and not in the manifest."""
    delivery = delivery_to(tmp_path, marker="READY")
    file = results.add("a", b"hello\n", "ready", ext="")
    ((path, _),) = delivery.places([file]).items()
    assert path.startswith("ready~")
    _, sha256 = await delivery.put(results, file, path)
    assert not (tmp_path / "run" / "READY").exists()
    await delivery.write_manifest([(path, sha256)])
    assert (tmp_path / "run" / "READY").read_bytes() == b""
    assert "READY" not in (tmp_path / "run" / "MANIFEST.sha256").read_text().split()


async def test_a_marker_goes_before_what_it_stands_for(tmp_path: Path, results: Results) -> None:
    """While a result of an earlier attempt is replaced, neither marker nor manifest says that all is there."""
    delivery = delivery_to(tmp_path, marker="READY")
    old, new = results.add("a", b"old\n", "x", ext=""), results.add("b", b"new\n", "x", ext="")
    ((path, _),) = delivery.places([old]).items()
    _, sha256 = await delivery.put(results, old, path)
    await delivery.write_manifest([(path, sha256)])
    await delivery.put(results, new, path, outdated=sha256)
    assert sorted(one.name for one in (tmp_path / "run").iterdir()) == ["x"]
