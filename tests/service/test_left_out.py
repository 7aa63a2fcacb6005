"""What lies in an inbox and is no unit is told: in the log once, in `status`, and by `plan`."""

from __future__ import annotations

import os

import pytest
from structlog.testing import capture_logs

from tests.world import World, fastq, packed, until
from watcher.stages import detect

FOLDER = "a folder: layout files takes single files"


@pytest.fixture
def strays(world: World) -> World:
    """Give an inbox that holds a FIFO, a name that is no UTF-8, a link that leaves it and a folder with reads."""
    world.write_config(watch={"layout": "files"}, rule={"workflow": None, "deliver": None})
    os.mkfifo(world.watched / "pipe.fastq.gz")
    os.close(os.open(os.fsencode(world.watched) + b"/S\xff.bam", os.O_CREAT | os.O_WRONLY, 0o600))
    (world.watched / "link.bam").symlink_to("/dev/zero")
    (world.watched / "sub").mkdir()
    (world.watched / "sub" / "x.fastq.gz").write_bytes(packed(fastq(3)))
    (world.watched / "y.bam.part").write_bytes(b"half")
    (world.watched / ".watcher-root").touch()
    return world


TOLD = {
    "pipe.fastq.gz": "it is a FIFO",
    "S\\xff.bam": "the name is not valid UTF-8",
    "link.bam": "it is a link that leaves the watched folder",
    "sub": FOLDER,
    "y.bam.part": "temporary file",
}


async def told(world: World) -> dict[str, str]:
    """Return what the only watch says it leaves out."""
    (watch,) = (await world.status())["watches"]
    return {left["path"]: left["reason"] for left in watch["left_out"]}


async def test_what_is_no_unit_is_listed_and_warned_of_once(strays: World) -> None:
    """Each is in `status` while it is there, and in the log once; a transfer is only listed."""
    with capture_logs() as lines:
        await strays.once(wait_s=0.1)
        await strays.once(wait_s=0.1)
    assert await told(strays) == TOLD
    warned = [line for line in lines if line["event"] == "file.left_out"]
    assert sorted(line["path"] for line in warned) == sorted({*TOLD} - {"y.bam.part"})
    assert {line["log_level"] for line in warned} == {"warning"}
    shown = strays.command("status").out
    assert "Watch miseq leaves out:" in shown
    for path, reason in TOLD.items():
        assert f"  {path}: {reason}" in shown


async def test_what_has_gone_is_told_no_more(strays: World) -> None:
    """The list is what lies there now."""
    async with strays.daemon():

        async def is_told() -> bool:
            return await told(strays) == TOLD

        await until(is_told, what="the list")
        (strays.watched / "pipe.fastq.gz").unlink()
        (strays.watched / "y.bam.part").unlink()

        async def is_shorter() -> bool:
            return set(await told(strays)) == {*TOLD} - {"pipe.fastq.gz", "y.bam.part"}

        await until(is_shorter, what="the shorter list")


async def test_a_long_list_is_cut_with_a_count(strays: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder full of such things does not fill the state."""
    monkeypatch.setattr(detect, "MOST_LEFT_OUT", 2)
    await strays.once(wait_s=0.1)
    (watch,) = (await strays.status())["watches"]
    assert (len(watch["left_out"]), watch["left_out_more"]) == (2, 3)
    assert "and 3 more" in strays.command("status").out


def test_plan_names_what_no_unit_takes(strays: World) -> None:
    """`plan` of an inbox with nothing but such files names each instead of finding nothing."""
    ended = strays.command("plan", str(strays.watched), "--json")
    assert ended.code == 0
    assert ended.report["units"] == []
    assert {left["path"]: left["reason"] for left in ended.report["left_out"]} == TOLD
    shown = strays.command("plan", str(strays.watched)).out
    assert "Nothing that looks like a run" not in shown
    assert f"sub: {FOLDER}" in shown
