"""`FakeGalaxy`: a running server in a thread of this process, with everything a test wants to see and to break.

    with FakeGalaxy(version="26.1.2") as fake:
        client = httpx.Client(base_url=fake.url, headers={"x-api-key": fake.key})
        fake.faults.add(Fault("lose_answer", method="POST", path="/api/tools/fetch"))

Kinds of faults are listed in `faults.py`. `stop()` and `start()` model a restart: same port, same state, uploads kept.
For a server in a process of its own see `__main__.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.fakes.galaxy import control, inspection
from tests.fakes.galaxy.account_state import User
from tests.fakes.galaxy.app import make_app
from tests.fakes.galaxy.engine import Engine
from tests.fakes.galaxy.fault_layer import Connections, FaultLayer, RequestLog
from tests.fakes.galaxy.faults import FaultBox
from tests.fakes.galaxy.fetch import FetchWork
from tests.fakes.galaxy.histories import delete_history, purge_dataset
from tests.fakes.galaxy.ids import decode, encode
from tests.fakes.galaxy.library_imports import LibraryWork
from tests.fakes.galaxy.schedule import Scheduler
from tests.fakes.galaxy.state import TERMINAL_JOB_STATES, World
from tests.fakes.galaxy.versions import RELEASES
from tests.fakes.galaxy.workflow_import import read_workflow

Json = dict[str, Any]
SAVED = "world.pickle"


class _Server(uvicorn.Server):
    """Says when it listens and is told when to end, so that nobody has to poll, and leaves no connection behind."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ending = asyncio.Event()
        self._connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        # uvicorn's own looks ten times a second whether it is to end: a tenth of a second for each of a thousand tests.
        second = 0
        while not await self.on_tick(second * 10):
            second += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn's own waits for clients to take their leave; here they are cut.
        loop = asyncio.get_running_loop()
        for listening in (one for server in self.servers for one in server.sockets):
            loop.remove_reader(listening.fileno())
        # What was accepted after the cut, or still has bytes to send, would outlive its loop: first it may say that
        # it is there, then it is reset, then it may say that it is lost. A closed server would not let it say so.
        for _ in range(4):
            await asyncio.sleep(0)
            self._connections.reset_all()
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()


def _protocol(connections: Connections) -> type[asyncio.Protocol]:
    class Watched(H11Protocol):
        """Tells which transport serves which client."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections.opened(self.client, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self.client)
            super().connection_lost(exc)

    return Watched


class FakeGalaxy:
    """One fake server.

    `job_seconds` is what a job takes, `second` what one second asked of a tool takes, `lock_wait_s` how long the server
    stands still when two PATCHes of one upload meet (30 s on a real one).
    """

    def __init__(
        self,
        version: str = "26.1.2",
        *,
        job_seconds: float = 0.05,
        second: float = 0.02,
        admin: bool = False,
        quota_bytes: int | None = None,
        key: str | None = None,
        port: int = 0,
        state_dir: Path | None = None,
        lock_wait_s: float = 30.0,
    ) -> None:
        self._own_folder = state_dir is None
        folder = Path(tempfile.mkdtemp(prefix="fake-galaxy-")) if state_dir is None else Path(state_dir)
        saved = folder / SAVED
        self._restored = saved.exists()
        self.state: World = pickle.loads(saved.read_bytes()) if self._restored else World(folder, RELEASES[version])
        if not self._restored:
            self.state.add_user("watcher", is_admin=admin, key=key).quota_bytes = quota_bytes
            self.state.add_user("bob", is_admin=False).password = secrets.token_hex(16)
        self.state.lock_wait_s = lock_wait_s
        self.user: User = self.state.users[1]
        self.second_user: User = self.state.users[2]
        self.key = self.user.key
        self.faults = FaultBox()
        self.requests = RequestLog()
        self.port = port
        self.engine = Engine(self.state, self.faults, job_seconds=job_seconds, second=second)
        self.scheduler = Scheduler(self.state, self.engine)
        self.engine.run_fetch = LibraryWork(self.state, FetchWork(self.state, self.engine, self.faults)).run
        self._connections = Connections()
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        routes = control.routes(self)
        app = make_app(self.state, self.engine, self.scheduler, routes)
        self._app = FaultLayer(
            app,
            world=self.state,
            faults=self.faults,
            connections=self._connections,
            log=self.requests,
            act=lambda name: control.act(self, name, {}),
        )

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def second_key(self) -> str:
        """The key of another account, which is no administrator."""
        return self.second_user.key

    @property
    def import_folder(self) -> Path:
        """Where administrators' imports are looked up; those of accounts are beside it, in `userimport`."""
        return self.state.import_folder

    @property
    def file_source(self) -> Path:
        """The folder behind `gxfiles://results`."""
        return self.state.folder / "results"

    @property
    def second_email(self) -> str:
        """The address of the other account."""
        return self.second_user.email

    @property
    def second_password(self) -> str:
        """The password of the other account."""
        return self.second_user.password

    @property
    def writers_met(self) -> int:
        """How often a part of a file came while another one was still written to the same session."""
        return self.state.writers_met

    @property
    def version(self) -> str:
        """The release this server plays."""
        return self.state.behaviour.version

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen; after a `stop()` on the same port."""
        # asyncio turns Nagle's delay off for sockets that say they are TCP; else each answer may wait 40 ms.
        bound = socket.socket(proto=socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", self.port))
        self.port = bound.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=_protocol(self._connections),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=60,
        )
        self._server = _Server(config, self._connections)
        server = self._server

        def serve() -> None:
            try:
                server.run(sockets=[bound])
            finally:
                bound.close()

        self._thread = threading.Thread(target=serve, name="fake-galaxy", daemon=True)
        self._thread.start()
        if not server.listening.wait(10):
            raise RuntimeError("the fake Galaxy does not listen")
        self.engine.start()
        if self._restored:
            self._restored = False
            self._take_up()

    def stop(self) -> None:
        """Go away as a killed server does: open connections are reset, jobs stand still, state and uploads stay."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        server.should_exit = server.force_exit = True
        if server.loop is not None:
            server.loop.call_soon_threadsafe(self._cut_everything)
        thread.join(timeout=10)
        self.engine.stop()
        self._server = self._thread = None
        for session in self.state.sessions.values():
            session.writing = False

    def _cut_everything(self) -> None:
        self._connections.reset_all()
        for late in list(self._app.later):
            late.cancel()
        if self._server is not None:
            self._server.ending.set()

    def close(self) -> None:
        """Stop for good; the temporary folder goes, a `state_dir` keeps the state for the next process."""
        self.faults.clear()
        self.stop()
        if self._own_folder:
            shutil.rmtree(self.state.folder, ignore_errors=True)
        else:
            self.save()

    def save(self) -> None:
        """Write the state to the `state_dir`."""
        with self.state.lock:
            (self.state.folder / SAVED).write_bytes(pickle.dumps(self.state))

    def _take_up(self) -> None:
        """Go on with jobs and invocations a former process left."""
        with self.state.lock:
            for job in self.state.jobs.values():
                if job.state in ("new", "queued", "running"):
                    self.engine.resume(job)
            for invocation in self.state.invocations.values():
                if invocation.state == "new":
                    self.scheduler.accept(invocation)

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    # What a test sees.

    def histories(self) -> list[Json]:
        """All histories, see `inspection.py`."""
        with self.state.lock:
            return inspection.histories(self.state)

    def datasets(self) -> list[Json]:
        """All datasets with size and SHA-256 of their bytes."""
        with self.state.lock:
            return inspection.datasets(self.state)

    def collections(self) -> list[Json]:
        """All collections."""
        with self.state.lock:
            return inspection.collections(self.state)

    def invocations(self) -> list[Json]:
        """All invocations with the counts of their own jobs."""
        with self.state.lock:
            return inspection.invocations(self.state)

    def workflows(self) -> list[Json]:
        """All workflows that are not deleted."""
        with self.state.lock:
            return inspection.workflows(self.state)

    def jobs(self) -> list[Json]:
        """All jobs."""
        with self.state.lock:
            return inspection.jobs(self.state)

    def snapshot(self) -> Json:
        """Everything at once, as `GET /_fake/state` gives it."""
        return inspection.everything(self.state, self.requests, self.faults)

    def wait_until(self, claim: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until something is so; TimeoutError when it does not come."""
        end = time.monotonic() + timeout_s
        pause = threading.Event()
        while not claim():
            if time.monotonic() > end:
                raise TimeoutError(f"not so within {timeout_s} s")
            pause.wait(0.01)

    def wait_idle(self, timeout_s: float = 60.0) -> None:
        """Wait until no job and no invocation moves any more."""
        final = ("completed" if self.state.behaviour.completed_state else "scheduled", "cancelled", "failed")

        def still() -> bool:
            with self.state.lock:
                jobs_done = all(job.state in TERMINAL_JOB_STATES for job in self.state.jobs.values())
                return jobs_done and all(row.state in final for row in self.state.invocations.values())

        self.wait_until(still, timeout_s)

    # What a test does behind the client's back.

    def import_workflow(self, document: Json) -> str:
        """Put a workflow (`.ga` as a dict, or gxformat2 as a dict) into the first account and give its id."""
        with self.state.lock:
            return encode(read_workflow(self.state, self.user, document).number)

    def set_password(self, password: str) -> None:
        """Set the password of the first account."""
        with self.state.lock:
            self.user.password = password

    def let_run_as(self) -> None:
        """Let the first account act for others, as `api_allow_run_as` does; it has to be an administrator's."""
        with self.state.lock:
            self.user.may_run_as = True

    def expire_key(self) -> None:
        """From now on the key is wrong (401)."""
        with self.state.lock:
            self.user.key = secrets.token_hex(16)

    def renew_key(self) -> str:
        """Give the account a new key, as a person would; also in `key`."""
        with self.state.lock:
            self.user.key = self.key = secrets.token_hex(16)
        return self.key

    def restore_key(self) -> None:
        """Make the key in `key` right again."""
        with self.state.lock:
            self.user.key = self.key

    def set_quota(self, quota_bytes: int | None) -> None:
        """Set the quota of the first account; None is unlimited."""
        with self.state.lock:
            self.user.quota_bytes = quota_bytes

    def delete_history(self, history_id: str, *, purge: bool = False) -> None:
        """Delete a history by hand."""
        with self.state.lock:
            delete_history(self.state, self.state.histories[decode(history_id) or 0], purge=purge)

    def add_history(self, name: str, *, tags: Sequence[str] = (), user: User | None = None) -> str:
        """Make a history by hand, in the first account or another one, and give its id."""
        with self.state.lock:
            history = self.state.add_history(user or self.user, name)
            history.tags = list(tags)
            return encode(history.number)

    def archive_history(self, history_id: str) -> None:
        """Put a history into the archive by hand."""
        with self.state.lock:
            self.state.histories[decode(history_id) or 0].archived = True

    def add_role(self, name: str, *users: User) -> str:
        """Make a role that these users have and give its id."""
        with self.state.lock:
            return encode(self.state.add_role(name, [user.number for user in users]).number)

    def forget_datatype(self, ext: str) -> None:
        """Be a server that does not know this extension."""
        with self.state.lock:
            self.state.unknown_datatypes.add(ext)

    def share_by_hand(self, history_id: str, user: User) -> None:
        """Share a history with a user as a person does, who opens nothing by it."""
        with self.state.lock:
            self.state.histories[decode(history_id) or 0].shared.append(user.number)

    def delete_dataset(self, dataset_id: str, *, purge: bool = False) -> None:
        """Delete a dataset by hand."""
        with self.state.lock:
            number = decode(dataset_id) or 0
            self.state.datasets[number].deleted = True
            if purge:
                purge_dataset(self.state, number)

    def undelete_dataset(self, dataset_id: str) -> None:
        """Take back the deleting of a dataset that was not purged."""
        with self.state.lock:
            self.state.datasets[decode(dataset_id) or 0].deleted = False

    def spoil_dataset(self, dataset_id: str, content: bytes) -> None:
        """Change the stored bytes of a dataset, as a broken disk would; the recorded size and hashes stay."""
        with self.state.lock:
            path = self.state.datasets[decode(dataset_id) or 0].file.path
        assert path is not None
        path.write_bytes(content)
