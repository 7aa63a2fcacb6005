"""What becomes of an upload to a store that was begun for a result that has changed since, or whose batch has ended."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.delivery.conftest import results, s3, s3_server
from tests.delivery.results import Results
from tests.delivery.stores import S3
from tests.delivery.test_object_store import LARGE, MIB
from watcher.clock import ManualClock, SystemClock
from watcher.errors import GalaxyAway
from watcher.rows import DeliveredFile
from watcher.stages import bring_home
from watcher.stages.effects import EffectRunner, pass_by

__all__ = ["results", "s3", "s3_server"]

pytestmark = pytest.mark.xdist_group("object stores")
KEY = "run 7/out/reads.txt"


class State:
    """As much of the state as a delivered file needs: one row."""

    def __init__(self) -> None:
        self.row: DeliveredFile | None = None

    async def put_delivered_file(self, batch: Any, delivery_key: str, path: str, **values: Any) -> None:
        """Make or change the row."""
        old = {name: getattr(self.row, name) for name in DeliveredFile.__slots__} if self.row else {}
        self.row = DeliveredFile(**{"batch_id": batch.id, "delivery_key": delivery_key, "path": path} | old | values)

    async def delivered_files(self, _: str, __: str) -> list[DeliveredFile]:
        """Return the row."""
        return [self.row] if self.row else []

    def rooms(self) -> Any:
        """Return the rooms around it."""
        effects = EffectRunner(ManualClock(), pass_by, timedelta(0))
        progress = SimpleNamespace(fetched=lambda *_: None)
        return SimpleNamespace(store=self, effects=effects, progress=progress, clock=SystemClock())


BATCH = cast(Any, SimpleNamespace(id="b1", plan=SimpleNamespace(deliveries=[SimpleNamespace(key="out")])))


async def deliver(state: State, store: S3, results: Results, file: Any) -> None:
    """Bring one result, as the stage does."""
    await bring_home._deliver_file(BATCH, state.rooms(), results, store.delivery(), "out", "reads.txt", file, state.row)


async def break_off(state: State, store: S3, results: Results, file: Any) -> None:
    """Bring half of a result."""
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await deliver(state, store, results, file)
    results.cut_at = None
    assert store.unfinished() == [KEY]
    assert state.row
    assert state.row.upload


async def test_a_small_result_of_a_new_attempt_leaves_no_parts_of_the_old_one(s3: S3, results: Results) -> None:
    """It is sent with one request, which knows no uploads."""
    state = State()
    await break_off(state, s3, results, results.add("a", LARGE, "reads"))
    await deliver(state, s3, results, results.add("b", b"small", "reads"))
    assert s3.contents() == {KEY: b"small"}
    assert s3.unfinished() == []


async def test_what_lies_beside_results_begins_anew_with_its_own_sha256(s3: S3, results: Results) -> None:
    """A record is written anew for each try: the SHA-256 of the one before is not kept with it."""
    state = State()
    await break_off(state, s3, results, results.add("", LARGE, "record"))
    other = LARGE[:-1] + b"!"
    await deliver(state, s3, results, results.add("", other, "record"))
    assert s3.contents() == {KEY: other}
    assert s3.head(KEY)["Metadata"] == {"sha256": hashlib.sha256(other).hexdigest()}
    assert s3.unfinished() == []


async def test_an_upload_is_given_up_once(s3: S3, results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later another delivery may send by that name: it is left in peace."""
    state = State()
    await break_off(state, s3, results, results.add("a", LARGE, "reads"))
    monkeypatch.setattr(bring_home, "open_target", lambda *_: s3.delivery())
    await bring_home.abandon(BATCH, state.rooms())
    assert s3.unfinished() == []
    assert state.row
    assert state.row.upload == ""
    s3.client.create_multipart_upload(Bucket=s3.bucket, Key=KEY)
    await bring_home.abandon(BATCH, state.rooms())
    assert s3.unfinished() == [KEY]


async def test_a_store_that_never_answers_keeps_nobody_from_cancelling(
    s3: S3, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cancels waits for seconds, not for minutes; the upload stays remembered."""
    state = State()
    await break_off(state, s3, results, results.add("a", LARGE, "reads"))
    silent: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(lambda _, writer: silent.add(writer), "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setattr(bring_home, "open_target", lambda *_: s3.delivery(endpoint=endpoint))
    monkeypatch.setattr(bring_home, "_ABANDON_S", 0.2)
    async with asyncio.timeout(5):
        await bring_home.abandon(BATCH, state.rooms())
    assert silent
    assert state.row
    assert state.row.upload
    for writer in silent:
        writer.transport.abort()
    server.close()
