"""A server that appends whatever comes, wherever it was meant to go: late bytes never end up inside a file."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.fakes.galaxy import Fault
from tests.world import World


async def test_bytes_of_an_older_request_make_nobody_go_on_with_the_session(tmp_path: Path) -> None:
    """Galaxy up to 25.1 appends a late chunk: the session is given up and the file is sent afresh, whole."""
    with World(tmp_path, version="24.1.4") as world:
        world.write_config(limits={"chunk_bytes": 64 * 1024, "transfers": 1})
        run = world.add_run(samples=("S1",), reads=20_000, bases=60)

        def late_bytes() -> None:
            (session,) = list(world.fake.state.sessions)
            headers = {"tus-resumable": "1.0.0", "upload-offset": "0"}
            headers["content-type"] = "application/offset+octet-stream"
            url = f"{world.fake.url}/api/upload/resumable_upload/{session}"
            appended.append(httpx.patch(url, content=b"x" * 1000, headers=headers).status_code)

        appended: list[int] = []
        fault = Fault("act", method="PATCH", path="/api/upload/*", skip=2, times=1, action=late_bytes)
        world.fake.faults.add(fault)
        unit = (await world.once())["units"][0]
        assert (fault.hits, appended) == (1, [204])
        assert unit["status"] == "done", unit
        assert world.uploads() == world.fastqs(run)
        assert world.posts("/api/tools/fetch") == 1, "no dataset was ever made of such bytes"
