"""What no server verified is read back, all of it or a sample, where the configuration wants it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import Json, World, fastq, packed
from watcher.stages.effects import pass_by
from watcher.stages.readback import SAMPLE_BYTES, SAMPLES, samples

SHOWN = "/display"
VERIFIES_NOTHING = "24.1.4"


def upload_only(world: World, readback: str, **rule: object) -> None:
    """Let the run end with its upload, so that nothing else is ever read from Galaxy."""
    world.write_config(galaxy={"readback": readback}, rule={"workflow": None, "deliver": None, **rule})


async def batch_of(world: World, **more: object) -> Json:
    """Take the only run as far as it goes, and return its batch with its datasets."""
    (unit,) = (await world.once(**more))["units"]  # type: ignore[arg-type]  # points alone
    (batch,) = (await world.show(unit["id"]))["batches"]
    return dict(batch)


@given(size=st.integers(0, 1 << 42), seed=st.text("0123456789abcdef", min_size=1, max_size=64))
def test_a_sample_has_both_ends_and_never_overlaps(size: int, seed: str) -> None:
    """Parts lie within the file, in order, apart from one another, the first and the last byte among them."""
    parts = samples(size, seed)
    assert len(parts) <= SAMPLES
    ends = [0, *(offset + length for offset, length in parts)]
    assert all(end <= offset for end, (offset, _) in zip(ends, parts, strict=False))
    if size:
        assert parts[0][0] == 0
        assert ends[-1] == size
    assert sum(length for _, length in parts) == min(size, SAMPLES * SAMPLE_BYTES)


def test_the_middle_of_a_sample_differs_from_file_to_file() -> None:
    """Two files of one size are not looked at in the same places, one file always is."""
    assert samples(1 << 30, "a") == samples(1 << 30, "a") != samples(1 << 30, "b")


@pytest.mark.parametrize(
    ("version", "readback", "checked", "asked"),
    [
        ("24.1.4", "off", "size", 0),
        ("24.1.4", "sample", "size+sample", 2),
        ("24.1.4", "full", "SHA-256", 2),
        ("26.1.2", "sample", "SHA-256", 0),
        ("26.1.2", "full", "SHA-256", 0),
    ],
)
async def test_the_level_that_was_reached_is_shown(
    tmp_path: Path, version: str, readback: str, checked: str, asked: int
) -> None:
    """Each dataset and the batch say how far they were compared; what the server verified is not read back."""
    with World(tmp_path, version=version) as world:
        upload_only(world, readback)
        world.add_run(samples=("S1",))
        batch = await batch_of(world)
        assert (batch["status"], batch["checked"]) == ("done", checked)
        assert {row["checked"] for row in batch["datasets"]} == {checked}
        assert len(world.fake.requests.all("GET", SHOWN)) == asked
        assert world.uploads() == world.fastqs()
        told = world.command("show", batch["id"]).out
        assert f"  {checked}  " in told


@pytest.mark.parametrize(
    ("readback", "told"), [("off", "else by size"), ("sample", "size+sample"), ("full", "read back")]
)
async def test_a_plan_says_how_its_datasets_will_be_checked(world: World, readback: str, told: str) -> None:
    """The plan shows it in words and in JSON, without asking Galaxy."""
    upload_only(world, readback)
    run = world.add_run(samples=("S1",))
    (unit,) = world.command("plan", str(run), "--json").report["units"]
    assert unit["batches"][0]["destination"]["readback"] == readback
    (line,) = [line for line in world.command("plan", str(run)).out.splitlines() if line.startswith("    checked ")]
    assert told in line


@pytest.mark.parametrize("readback", rarer(["sample", "full"], keep=1))
async def test_other_bytes_are_sent_again_once(tmp_path: Path, readback: str) -> None:
    """A dataset of the right size with a changed byte is thrown away and sent once more."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, readback)
        world.add_run(samples=("S1",))
        world.fake.faults.add(Fault("rot"))
        batch = await batch_of(world)
        assert batch["status"] == "done", batch
        assert world.uploads() == world.fastqs()
        assert len([row for row in world.fake.datasets() if row["uploaded"]]) == len(world.fastqs()) + 1


@pytest.mark.parametrize("readback", rarer(["sample", "full"], keep=1))
async def test_other_bytes_twice_are_held(tmp_path: Path, readback: str) -> None:
    """A dataset that differs again holds the batch with its name; the command of the hint sends it once more."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, readback)
        world.add_run(samples=("S1",))
        world.fake.faults.add(Fault("rot", times=None))
        batch = await batch_of(world)
        assert (batch["stage"], batch["status"]) == ("upload", "held")
        assert "other bytes than the file's" in batch["reason"]
        world.fake.faults.clear()
        assert world.command("retry", batch["id"]).code == 0
        assert (await batch_of(world))["status"] == "done"
        assert world.uploads() == world.fastqs()


async def test_without_reading_back_nobody_notices(tmp_path: Path) -> None:
    """The fault of the tests above is one that size and state do not tell, and no more than size is claimed."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, "off")
        world.add_run(samples=("S1",))
        world.fake.faults.add(Fault("rot"))
        batch = await batch_of(world)
        assert (batch["status"], batch["checked"]) == ("done", "size")
        assert world.uploads() != world.fastqs()


async def test_a_large_file_costs_a_few_small_requests(tmp_path: Path) -> None:
    """Of a file that is larger than its sample only the sample travels."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, "sample")
        run = world.add_run(samples=("S1",))
        for path in run.glob("*.fastq.gz"):
            path.write_bytes(packed(fastq(12_000, bases=150, read=1 if "_R1_" in path.name else 2)))
            assert path.stat().st_size > SAMPLES * SAMPLE_BYTES
        batch = await batch_of(world)
        assert (batch["status"], batch["checked"]) == ("done", "size+sample")
        assert len(world.fake.requests.all("GET", SHOWN)) == 2 * SAMPLES


@pytest.mark.parametrize("harm", ["gone", "other"])
async def test_a_file_that_is_not_there_any_more_is_read_back_whole(tmp_path: Path, harm: str) -> None:
    """A file that went or changed after it was sent cannot be compared, its hash can."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, "sample")
        run = world.add_run(samples=("S1",))
        first = next(run.glob("*_R1_*"))
        sent = world.fastqs()

        def spoil(point: str) -> None:
            if point == "upload.check.intent":
                first.unlink(missing_ok=True)
                if harm == "other":
                    first.write_bytes(b"another file")

        batch = await batch_of(world, points=spoil)
        assert {row["name"]: row["checked"] for row in batch["datasets"]} == {
            name: "SHA-256" if name == first.name else "size+sample" for name in sent
        }
        assert world.uploads() == sent


async def test_lanes_put_end_to_end_are_compared_as_one(tmp_path: Path) -> None:
    """The sample of a dataset made of several files is taken from all of them."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, "sample", lanes="concat")
        run = world.add_run(samples=("S1",))
        for path in list(run.glob("*_L001_*.fastq.gz")):
            (run / path.name.replace("_L001_", "_L002_")).write_bytes(path.read_bytes())
        batch = await batch_of(world)
        assert (batch["status"], batch["checked"]) == ("done", "size+sample"), batch
        assert len(batch["datasets"]) == 2


async def test_a_broken_connection_goes_on_where_it_was(tmp_path: Path) -> None:
    """Reading back all of a file survives a cut, and does not begin anew."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, "full")
        world.add_run(samples=("S1",))
        cut = world.fake.faults.add(Fault("cut_answer", method="GET", path="*/display", size=50))
        batch = await batch_of(world)
        assert cut.used_up
        assert (batch["status"], batch["checked"]) == ("done", "SHA-256")
        assert len(world.fake.requests.all("GET", SHOWN)) == 3


@pytest.mark.parametrize("readback", rarer(["sample", "full"], keep=1))
async def test_a_galaxy_that_goes_away_meanwhile_is_waited_for(tmp_path: Path, readback: str) -> None:
    """Reading back is begun again when Galaxy is there again; nothing is sent twice."""
    with World(tmp_path, version=VERIFIES_NOTHING) as world:
        upload_only(world, readback)
        world.add_run(samples=("S1",))
        world.fake.faults.add(Fault("status", method="GET", path="*/display", times=8))
        batch = await batch_of(world, points=pass_by)
        assert batch["status"] == "done", batch
        assert len([row for row in world.fake.datasets() if row["uploaded"]]) == len(world.fastqs())
