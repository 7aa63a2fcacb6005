"""A real PostgreSQL server for tests: found on this machine, started in a temporary folder, reachable by a socket only.

PostgreSQL refuses to run as root; then it runs as the user `postgres`, or else `nobody`, who owns the folder. It is
started and stopped by `pg_ctl`, which knows it by the process id in its own folder.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg


def find_programs() -> Path | None:
    """Return the folder with initdb and pg_ctl, the newest installed, or None."""
    on_path = shutil.which("initdb")
    # Distributions put the server's programs beside the PATH.
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *Path("/usr").glob("pgsql-*/bin")]
    candidates = [Path(on_path).resolve().parent, *places] if on_path else places
    return next(
        (folder for folder in candidates if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None
    )


class PostgresqlServer:
    """A running server; every test takes a schema of its own in its one database."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
        self._user = _server_user()
        self._numbers = itertools.count(1)
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)

    def start(self) -> None:
        """Make the data folder and start the server; returns when it takes connections."""
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        # Nothing here must survive a power cut, and many tests write.
        options = f"-c listen_addresses='' -c fsync=off -c max_connections=60 -k {self._folder}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={options}")

    def stop(self) -> None:
        """Stop the server and remove all it wrote."""
        try:
            self._run("pg_ctl", "stop", "--wait", "--mode=immediate")
        finally:
            shutil.rmtree(self._folder)

    def restart(self) -> None:
        """Cut all connections, as an upgrade of the server does."""
        self._run("pg_ctl", "restart", "--wait", "--mode=fast", f"--log={self._folder}/log")

    def new_state(self) -> str:
        """Make an empty schema and return a URL whose connections see nothing else."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(f"host={self._folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"postgresql://postgres@/postgres?host={self._folder}&options=-csearch_path%3D{name}"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, f"--pgdata={self._folder}/data", *arguments],
            check=True,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
        )


def _server_user() -> pwd.struct_passwd | None:
    """Return whom to run the server as, None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
