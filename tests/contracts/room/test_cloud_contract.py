"""The cloud storage API that servers up to 24.1 have; without OpenID Connect, as all servers here are."""

from __future__ import annotations

import pytest

from tests.contracts.room.conftest import Prepared
from watcher.errors import GalaxyBroken, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.cloud import SEND_TOOL


async def test_the_way_into_clouds(galaxy: Galaxy, prepared: Prepared) -> None:
    """24.1 lists authorizations, takes the request and fails at it, and begins nothing; newer ones do not know it."""
    history, dataset = prepared.history, next(iter(prepared.datasets.values()))
    stored = (await galaxy.histories.contents(history, ids=[dataset]))[0].stored_id
    if not (await galaxy.features()).sends_to_clouds:
        with pytest.raises(GalaxyBroken):
            await galaxy.cloud.authorizations()
        with pytest.raises(GalaxyBroken):
            await galaxy.cloud.send(history, history, "core", [stored], overwrite=False)
        return
    assert await galaxy.cloud.authorizations() == []
    with pytest.raises(Refused):
        await galaxy.cloud.send(history, "", "core", [stored], overwrite=False)
    with pytest.raises(GalaxyBroken) as failed:
        await galaxy.cloud.send(history, history, "core", [stored], overwrite=False)
    assert failed.value.status == 500
    assert await galaxy.exports.jobs_of(history, SEND_TOOL) == []
    assert await galaxy.cloud.find(history, history, "core", [dataset], but=[]) == {}
    assert len(stored) == 16  # an id as the request takes it
