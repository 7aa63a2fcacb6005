"""BAM files: left as they are by the extension that the watcher chooses, and never believed where Galaxy sorts them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.contracts.room.small_files import PLACED, bam
from tests.world import Json, World

OF_THE_WATCHER = "unsorted.bam"
IN_ORDER, OUT_OF_ORDER = bam(PLACED, order="coordinate"), bam(PLACED[::-1], order="unsorted")


async def sent(world: World, content: bytes, ext: str, readback: str = "off") -> Json:
    """Drop one BAM file, let the rule ask for an extension, and return the batch as far as it went."""
    rule = {"workflow": None, "deliver": None, "kinds": "bam", "destination": {"collection": "none"}}
    asked = {} if ext == OF_THE_WATCHER else {"ext": {"*.bam": ext}}
    world.write_config(watch={"layout": "files"}, rule={**rule, **asked}, galaxy={"readback": readback})
    await world.once(wait_s=None)  # makes the state
    (world.watched / "reads.bam").write_bytes(content)
    (unit,) = (await world.once())["units"]
    (batch,) = (await world.show(unit["id"]))["batches"]
    return dict(batch)


@pytest.mark.parametrize("content", [IN_ORDER, OUT_OF_ORDER], ids=["in order", "out of order"])
async def test_the_watcher_s_choice_keeps_every_byte(world: World, content: bytes) -> None:
    """A BAM file, sorted or not, is in Galaxy as it was sent, verified by its SHA-256."""
    batch = await sent(world, content, OF_THE_WATCHER)
    assert (batch["status"], batch["checked"]) == ("done", "SHA-256"), batch
    assert world.uploads() == {"reads.bam": hashlib.sha256(content).hexdigest()}


async def test_a_sorted_dataset_is_held_at_once(world: World) -> None:
    """What Galaxy sorted is no copy of the file: held with the extension to ask for, and not sent a second time."""
    batch = await sent(world, OUT_OF_ORDER, "bam")
    assert (batch["stage"], batch["status"]) == ("upload", "held")
    assert "Galaxy sorted `reads.bam`" in batch["reason"]
    assert "unsorted.bam" in batch["hint"]
    assert len(world.fake.datasets()) == 1


@pytest.mark.parametrize(("readback", "checked"), [("off", "size"), ("sample", "size+sample"), ("full", "SHA-256")])
async def test_the_hash_of_what_may_be_sorted_proves_nothing(tmp_path: Path, readback: str, checked: str) -> None:
    """Galaxy lists the hash of what was sent, whatever it made of it: such a dataset is checked like on servers that
    verify nothing.
    """
    with World(tmp_path) as world:
        batch = await sent(world, IN_ORDER, "bam", readback)
        assert (batch["status"], batch["checked"]) == ("done", checked), batch
