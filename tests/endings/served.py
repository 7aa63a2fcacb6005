"""A world whose Galaxy is the fake or a real one, for scenarios that run the same on both.

    with ServedWorld(folder, version="24.1.4") as world: ...        # the fake
    with ServedWorld(folder, real=real_galaxy()) as world: ...      # a real one

`rule` names the workflows; results go to a folder for each ending (`ok`, `failed`, `always`), and `delivered` tells
what came. What people do in Galaxy meanwhile is done by `ask`, over HTTP, on both. `living` runs the daemon: in this
process, or, with a `runner`, in one that dies by SIGKILL at every point it comes to (`dying.py`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from unittest import mock

import httpx

from tests.crash.runner import Runner
from tests.delivered import assert_whole, results_in
from tests.endings.dying import dying
from tests.live.real_galaxy import RealGalaxy
from tests.servers import GalaxyServer
from tests.world import RUN, World, until
from watcher.config.written import dump_yaml
from watcher.errors import StateError
from watcher.stages import dataset_checks, rounds
from watcher.stages.effects import Points, pass_by

Json = dict[str, Any]
ENDINGS = ("ok", "failed", "always")
LIVE = Path(__file__).parent.parent / "live"
REAL_PAUSE_S = 0.3
"""How soon a real Galaxy is asked again: it needs the processor for its own work."""

FAKE_PAUSE_S = 0.05
DYING_UNCERTAIN_FOR = "2s"
"""Nothing but a death loses an answer, and a request that was not sent by then never comes."""

PATIENCE_S = 90.0


@dataclass
class ServedWorld(World):
    """A world with one account of a server; `ordinary` takes one that is no administrator's."""

    real: RealGalaxy | None = None
    ordinary: bool = False
    runner: Runner | None = None
    account_key: str = field(init=False, default="")

    def __enter__(self) -> Self:
        self.admin = True
        super().__enter__()
        for on in ENDINGS:
            (self.results / on).mkdir()
        server = self.server
        if self.ordinary and self.real:  # an account of its own: what one test leaves counts for the quota of the next
            server = replace(self.real)
        self.account_key = server.second_key if self.ordinary else server.key
        self.write_key(self.account_key)
        if self.real:
            self._quick.enter_context(mock.patch.object(rounds, "SHORTEST", timedelta(seconds=REAL_PAUSE_S)))
            self._quick.enter_context(mock.patch.object(dataset_checks, "SHORTEST_S", REAL_PAUSE_S))
        return self

    @property
    def server(self) -> GalaxyServer:
        """Return the server that the watcher talks to."""
        return self.real or self.fake

    def rule(self, *workflows: Json, **rule: Any) -> None:
        """Let the only rule run these workflows; each ending has a delivery of its own."""
        deliver = [{"folder": f"{self.results}/{on}/{{run}}", "on": on} for on in ENDINGS]
        self.write_config(
            galaxy={"url": self.server.url, "timeouts": {"read": "60s"}},
            limits={"uncertain_for": DYING_UNCERTAIN_FOR if self.runner else "30s"},
            rule={"workflow": list(workflows), "deliver": deliver, **rule},
        )

    def saved(self, document: Mapping[str, Any] | str) -> str:
        """Return the path of a workflow file: one of `tests/live` by name, else one that is written here."""
        if isinstance(document, str):
            return str(LIVE / document)
        path = self.folder / f"{document['label']}.gxwf.yml"
        path.write_text(dump_yaml(dict(document)))
        return str(path)

    @contextlib.asynccontextmanager
    async def living(self, *, points: Points = pass_by) -> AsyncIterator[None]:
        """Run the daemon for the time of the block; `points` is called where it is, or where it has just died."""
        if self.runner is None:
            async with self.daemon(points=points):
                yield
        else:
            async with dying(self, self.runner, points, shortest_s=REAL_PAUSE_S if self.real else FAKE_PAUSE_S):
                yield

    def ask(self, method: str, path: str, json: Any = None, *, as_admin: bool = False) -> Any:
        """Do something in Galaxy as its user does, or its administrator."""
        headers = {"x-api-key": self.server.key if as_admin else self.account_key, "connection": "close"}
        with httpx.Client(base_url=self.server.url, headers=headers, timeout=60) as client:
            answer = client.request(method, path, json=json).raise_for_status()
            return answer.json() if answer.content else None

    def unless_it_died(self, code: str) -> str:
        """Return the code, or "" for any: who starts anew looks first at what was made, and sees it there already."""
        return "" if self.runner else code

    # --- what came of it ---------------------------------------------------------------------------------------------

    async def ended(self, wanted: str, code: str = "", *, behind: str = "") -> Json:
        """Wait until the only batch stands so (behind an obstacle of this kind), and return it as `show --json` tells
        it, with its `code`.
        """

        async def stands() -> Json | None:
            try:
                async with self.store() as store:
                    rows = await store.batches()
            except StateError:  # the daemon has not made it yet
                return None
            for row in rows:
                if row.status == wanted and code in ("", row.code) and row.obstacle.startswith(behind):
                    shown: Json = (await self.show(row.unit_id))["batches"][0]
                    return {**shown, "code": row.code}
            return None

        try:
            batch: Json = await until(stands, PATIENCE_S, what=f"a batch that is {wanted} {code}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n" + "\n".join(await self.journal_tail())) from None
        return batch

    async def journal_tail(self) -> list[str]:
        """Return the last lines of the journal."""
        async with self.store() as store:
            return [line.text for line in (await store.journal_of(limit=10_000))[-20:]]

    async def until_runs(self) -> Json:
        """Wait until Galaxy has an invocation of the only batch, some of whose jobs run, and return that."""

        async def runs() -> Json | None:
            try:
                units = (await self.status())["units"]
            except StateError:  # the daemon has not made it yet
                return None
            for unit in units:
                for batch in unit["batches"]:
                    for row in batch["invocations"]:
                        if row["jobs"].get("running"):
                            found: Json = row
                            return found
            return None

        row: Json = await until(runs, PATIENCE_S, what="a running job")
        return row

    def delivered(self, ending: str) -> list[str]:
        """Return the results that lie in the folder for this ending; [] when nothing came."""
        folder = self.results / ending / RUN
        files = results_in(folder)
        if files:
            assert_whole(folder, len(files))
        else:
            assert not (folder / "MANIFEST.sha256").exists()
        return files

    def invocations(self, batch: Json) -> list[Json]:
        """Return all invocations that Galaxy has in the history of the batch."""
        rows: list[Json] = self.ask("GET", f"/api/invocations?history_id={history_of(batch)}")
        return rows

    def history(self) -> str:
        """Return the id of the history that the watcher made; also for who is called while it works."""
        with contextlib.closing(sqlite3.connect(self.state_file)) as state:
            (found,) = state.execute("SELECT galaxy_id FROM galaxy_object WHERE key = 'history'").fetchall()
        return str(found[0])

    async def assert_nothing_doubled(self) -> None:
        """Hold Galaxy against the report: its invocations are our attempts, and each file was uploaded once."""
        (unit,) = (await self.status())["units"]
        (batch,) = (await self.show(unit["id"]))["batches"]
        path = f"/api/invocations?history_id={history_of(batch)}&include_nested_invocations=false"
        there = [row["id"] for row in self.ask("GET", path)]
        assert sorted(there) == sorted(row["id"] for row in batch["attempts"])
        jobs = self.ask("GET", f"/api/jobs?history_id={history_of(batch)}&tool_id=__DATA_FETCH__")
        assert len(jobs) == 1
        names = [row["name"] for row in batch["datasets"]]
        assert sorted(names) == sorted(self.fastqs())

    async def remove(self) -> None:
        """Take away from a real Galaxy what the watcher made there."""
        if not self.real or not self.state_file.exists():
            return
        for unit in (await self.status())["units"]:
            for batch in unit["batches"]:
                if batch["history_url"]:
                    self.ask("DELETE", f"/api/histories/{history_of(batch)}?purge=true")


def history_of(batch: Json) -> str:
    """Return the id of the history of a batch."""
    return str(batch["history_url"]).rpartition("=")[2]
