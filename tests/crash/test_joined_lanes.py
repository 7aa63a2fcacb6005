"""Promise 2 for a dataset made of several files: SIGKILL in a later one, a restart, and every byte is there once."""

from __future__ import annotations

import hashlib
import math

import pytest

from tests.crash.runner import Runner
from tests.world import World, fastq, packed
from watcher.stages.transfer import FEW_PARTS

pytestmark = pytest.mark.timeout(180)

CHUNK_BYTES = 256
"""Small, since a session with little in it is not gone on with."""
LANES = 3
READS = 120


def _written(world: World) -> dict[str, list[bytes]]:
    """Have the run lie in three lanes, which go as one dataset; return the lanes of each dataset."""
    world.write_config(rule={"lanes": "concat"}, limits={"uncertain_for": "10s", "chunk_bytes": CHUNK_BYTES})
    (run,) = world.watched.iterdir()
    lanes: dict[str, list[bytes]] = {}
    for read in (1, 2):
        for lane in range(1, LANES + 1):
            content = packed(fastq(READS + lane, read=read, bases=60))
            (run / f"S1_S1_L00{lane}_R{read}_001.fastq.gz").write_bytes(content)
            lanes.setdefault(f"S1_S1_R{read}_001.fastq.gz", []).append(content)
    return lanes


@pytest.mark.parametrize("time", [48, 80])
async def test_a_kill_in_a_later_file_goes_on_where_it_was(world: World, runner: Runner, time: int) -> None:
    """The next life reads the files before it once more for their checksums alone, and sends what is missing."""
    lanes = _written(world)
    runner.die(world, "upload.bytes.act", on=time)
    first_lanes = min(len(contents[0]) for contents in lanes.values())
    offsets = [session["offset"] for session in world.fake.snapshot()["sessions"]]
    assert max(offsets) > first_lanes, "it died in a later file"
    runner.finish(world)
    assert world.uploads() == {name: hashlib.sha256(b"".join(contents)).hexdigest() for name, contents in lanes.items()}
    chunks = sum(math.ceil(len(content) / CHUNK_BYTES) for contents in lanes.values() for content in contents)
    # One more for each file that was cut in two, one more for each whose answer nobody heard; and what a file that came
    # late had sent, of which a few parts are not worth going on with.
    assert len(world.fake.requests.all("PATCH")) <= chunks + 4 + FEW_PARTS
