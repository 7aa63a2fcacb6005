"""Results that go to an object store, all the way from a run: to moto, which is S3 in a process of its own."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.delivered import assert_whole as assert_folder_whole
from tests.delivery.conftest import s3, s3_server
from tests.delivery.stores import S3, SECRET, line_to, moto
from tests.stages.test_sheet_columns import CANARY, write_sheet
from tests.world import RUN, World, until
from tests.world_files import counting_workflow, fastq
from watcher.delivery.object_store import PART_BYTES
from watcher.sandbox.server import free_port
from watcher.service.preflight import check_all

__all__ = ["s3", "s3_server"]

pytestmark = pytest.mark.timeout(180)  # a whole way each, also on a busy machine

Json = dict[str, Any]


def store_of(world: World, store: S3) -> Json:
    """Return how the store is reached, with keys in files; a part of the bucket, for nothing is asked for above it."""
    for name, content in {"id": "us", "secret": SECRET}.items():
        world.folder.joinpath(name).write_text(f"{content}\n")
        world.folder.joinpath(name).chmod(0o600)
    return {
        "prefix": f"s3://{store.bucket}/runs",
        "endpoint": f"http://127.0.0.1:{store.port}",
        "region": "eu-central-1",
        "access_key_id_file": str(world.folder / "id"),
        "secret_access_key_file": str(world.folder / "secret"),
        "allow_http": True,
    }


def to_store(world: World, store: S3, *, limits: Json | None = None, **delivery: Any) -> None:
    """Let the only rule deliver to the bucket."""
    deliver = {"url": f"s3://{store.bucket}/runs/{{run}}", **delivery}
    world.write_config(rule={"deliver": deliver}, object_stores=[store_of(world, store)], limits=limits or {})
    world.add_run(samples=("S1",))


async def only_batch(world: World) -> Json:
    """Return the only batch."""
    (unit,) = (await world.status())["units"]
    (batch,) = unit["batches"]
    found: Json = batch
    return found


async def obstacles(world: World) -> list[Json]:
    """Return what stands in the way."""
    found: list[Json] = (await world.status())["obstacles"]
    return found


def assert_whole(store: S3, folder: Path, *, more: tuple[str, ...] = ()) -> None:
    """Everything is there, as the manifest says by `sha256sum -c`, and nothing half sent."""
    for key, content in store.contents().items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    run = folder / "runs" / RUN
    for name in more:
        (run / name).unlink()
    assert_folder_whole(run, 4)
    assert store.unfinished() == []


async def test_results_go_to_a_bucket(world: World, s3: S3, tmp_path: Path) -> None:
    """The delivery is done, names the place, and leaves no secret in the log, the state or the report."""
    to_store(world, s3, marker="READY")
    assert [one for one in await check_all(world.settings()) if not one.well] == []
    ended = world.command("once", "--json")
    assert SECRET not in ended.out + ended.err
    batch = await only_batch(world)
    (delivery,) = batch["deliveries"]
    assert (batch["status"], delivery["status"]) == ("done", "done"), batch
    assert delivery["target"] == f"s3://{s3.bucket}/runs/{RUN}"
    assert delivery["reason"] == "4 files, checked by size"
    assert_whole(s3, tmp_path / "there", more=("READY",))
    assert SECRET.encode() not in world.state_file.read_bytes()


async def test_a_store_that_is_away_is_waited_for(world: World, tmp_path: Path) -> None:
    """The batch waits behind the bucket, and goes on by itself when the store answers."""
    away = S3(free_port())
    to_store(world, away)
    async with world.daemon(takes_existing=True):
        await world.until_status("waiting", stage="finish")
        (obstacle,) = await until(lambda: obstacles(world), what="an obstacle")
        assert (obstacle["kind"], obstacle["subject"]) == ("target", "s3://results")
        with moto(away.port) as store:
            await world.until_status("done")
            assert_whole(store, tmp_path / "there")


def to_store_in_parts(world: World, store: S3) -> None:
    """Let reads that do not get smaller when they are packed be results as well: they come in parts."""
    workflow = counting_workflow("Keep reads")
    workflow["steps"]["wait"]["in"] = {"infile": "Reads"}
    world.fake.import_workflow(workflow)
    world.workflow = {"name": "Keep reads", "inputs": {"Reads": "reads"}}
    to_store(world, store)
    for path in world.watched.rglob("*.fastq.gz"):
        read = 1 if "_R1_" in path.name else 2
        path.write_bytes(gzip.compress(fastq(80_000, read=read, bases=100), 0, mtime=0))


async def test_a_store_that_dies_in_mid_file_gets_the_rest(world: World, s3: S3, tmp_path: Path) -> None:
    """The state remembers the uploads: when the bucket is back, the parts it has are not sent twice, and nothing that
    is half sent is left.
    """
    async with line_to(s3.port) as line:
        to_store_in_parts(world, S3(line.port, s3.bucket))
        line.die_after = 3 * PART_BYTES
        async with world.daemon(takes_existing=True):
            await until(lambda: obstacles(world), what="an obstacle")
            kept = sum(len(parts) for parts in s3.unfinished_parts().values())
            assert kept
            before = line.passed
            line.mend()
            await world.until_status("done")
    whole = sum(map(len, s3.contents().values()))
    assert_whole(s3, tmp_path / "there")
    assert line.passed - before < whole - kept * PART_BYTES + 256 * 1024


async def test_a_cancelled_delivery_leaves_nothing_half_sent(world: World, s3: S3) -> None:
    """What waits for a bucket is given up, and its parts with it."""
    async with line_to(s3.port) as line:
        to_store_in_parts(world, S3(line.port, s3.bucket))
        line.die_after = 3 * PART_BYTES
        async with world.daemon(takes_existing=True):
            await until(lambda: obstacles(world), what="an obstacle")
            assert s3.unfinished()
            line.mend()
            line.die_after = 0  # whatever is sent of results now
        line.mend()
        await world.wish("cancel", (await only_batch(world))["id"])
        await world.once()
    assert (await only_batch(world))["status"] == "cancelled"
    assert s3.unfinished() == []


async def test_another_object_is_never_replaced(world: World, s3: S3, tmp_path: Path) -> None:
    """It holds the batch and stays as it is; taken away by a person, the result gets its place."""
    to_store(world, s3)
    key = f"runs/{RUN}/copy/S1/forward.tabular"
    s3.client.put_object(Bucket=s3.bucket, Key=key, Body=b"somebody else's\n")
    await world.once()
    batch = await only_batch(world)
    assert (batch["stage"], batch["status"]) == ("deliver", "held"), batch
    assert "is there already and is another object" in batch["reason"]
    assert s3.contents()[key] == b"somebody else's\n"
    s3.client.delete_object(Bucket=s3.bucket, Key=key)
    await world.wish("retry", batch["id"])
    await world.once()
    assert (await only_batch(world))["status"] == "done"
    assert_whole(s3, tmp_path / "there")


async def test_a_bucket_that_is_not_there_is_told_beforehand(world: World, s3: S3) -> None:
    """`check` names the rule and the bucket, before a byte is sent to Galaxy."""
    to_store(world, S3(s3.port, "nobodys-bucket"))  # whose settings are for a part of it alone
    (bad,) = [one for one in await check_all(world.settings()) if not one.well]
    assert bad.subject == "rule all, delivery"
    assert "s3://nobodys-bucket" in bad.message


async def test_a_persons_name_leaves_no_trace(world: World, s3: S3) -> None:
    """Of a sheet only the columns that the rule uses leave the host: nothing else is in any request to Galaxy, in any
    object, its name and what is kept with it, in any delivered file, or in what is printed and logged.
    """
    to_store(world, s3)
    url = {"url": f"s3://{s3.bucket}/runs/{{run}}", "beside": ["record", "report", "logs"]}
    folder = {"folder": f"{world.results}/{{sheet.Group}}/{{run}}", "beside": ["record", "report", "logs"]}
    world.write_config(rule={"deliver": [url, folder]}, object_stores=[store_of(world, s3)])
    write_sheet(world.watched / RUN, "S1,soil,Soil,12")
    world.fake.requests.sent = bytearray()
    ended = world.command("once", "--json")
    batch = await only_batch(world)
    assert batch["status"] == "done", batch
    kept = [s3.client.head_object(Bucket=s3.bucket, Key=key) for key in s3.contents()]
    places = [path.relative_to(world.results) for path in world.results.rglob("*")]
    files = [path.read_bytes() for path in world.results.rglob("*") if path.is_file()]
    shown = world.command("show", batch["id"])
    left = [bytes(world.fake.requests.sent), str([seen.path for seen in world.fake.requests.all("GET")]).encode()]
    left += [repr([*s3.contents().items(), kept, places]).encode(), *files]
    left += [(ended.out + ended.err + shown.out + shown.err).encode()]
    assert any(b"soil" in one for one in left)
    for name in (CANARY, "E-Mail", "n-S1"):
        assert not [one[:200] for one in left if name.encode() in one], name
