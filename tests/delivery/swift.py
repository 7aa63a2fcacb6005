"""OpenStack Swift as S3: a store that keeps objects and unfinished uploads on disk, so that it may be killed and go on.

It runs as four processes, as the user who runs the tests, with one copy of everything in one folder, and listens on
this machine only. What it answered for is on disk when it answers. `.ci/swift` installs it; the folder must lie where
files can have extended attributes. Of S3 it knows SigV4 with the checksum of the content, parts, metadata and
`If-None-Match: *`; it verifies `x-amz-checksum-*` and keeps none of them, and it refuses a PUT with `If-Match`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.delivery.stores import S3, await_answer, without_proxies
from tests.house.tree import ROOT
from watcher.sandbox.server import free_port

# Account and user, as Swift names them: both are the access key.
ACCESS_KEY = "us:watcher"
SECRET = "swift-takes-this-secret-alone"
DISK = "disk"
STORING = ("account", "container", "object")
SERVERS = (*STORING, "proxy")

PLAIN_FILTERS = ("catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo", "versioned_writes", "symlink")
CHAIN = "catch_errors gatekeeper listing_formats s3api tempauth copy slo dlo versioned_writes symlink proxy-server"

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""

SERVER_CONF = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}
mount_check = false
user = {user}
workers = 0
fallocate_reserve = 0
conn_timeout = 10
node_timeout = 60
[pipeline:main]
pipeline = {chain}
[app:{name}-server]
use = egg:swift#{name}
conn_timeout = 10
node_timeout = 60
"""

# An answer waits until the listing knows of the object. Else Swift waits a second, and leaves the rest to a server that
# does not run here.
OBJECT_CONF = "container_update_timeout = 60\n"

PROXY_CONF = f"""\
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = eu-central-1
max_upload_part_num = 10000
[filter:tempauth]
use = egg:swift#tempauth
user_{ACCESS_KEY.replace(":", "_")} = {SECRET} .admin
"""

# Runs in Swift's own Python. A ring says where things are stored: here all of them in the one place.
MAKE_RINGS = """
import sys
from swift.common.ring import RingBuilder

folder, disk, *servers = sys.argv[1:]
for server in servers:
    name, port = server.split("=")
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": disk, "weight": 1}
    builder.add_dev(device)
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""


@dataclass(kw_only=True)
class Swift(S3):
    """A bucket of Swift's, and the server; `port` is the proxy's, the one that speaks S3."""

    programs: Path
    folder: Path
    ports: Mapping[str, int]
    access_key: str = ACCESS_KEY
    secret: str = SECRET
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start all four servers on what lies in the folder, and wait until they answer; they write `*.log` there."""
        assert not self.processes, "Swift runs already"
        for name in SERVERS:
            program, settings = self.programs / f"swift-{name}-server", self.folder / f"{name}.conf"
            command = [str(self.programs / "python"), str(program), str(settings), "-v"]
            with (self.folder / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=without_proxies())
            self.processes.append(process)
        for name, process in zip(SERVERS, self.processes, strict=True):
            await_answer(process, f"http://127.0.0.1:{self.ports[name]}/")

    def kill(self) -> None:
        """End all four servers by SIGKILL; twice is safe."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def write_settings(self) -> None:
        """Write what the servers read; what is stored in the folder stays."""
        (self.folder / DISK).mkdir(parents=True, exist_ok=True)
        (self.folder / "swift.conf").write_text(SWIFT_CONF)
        plain = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN_FILTERS)
        more = {"object": OBJECT_CONF, "proxy": PROXY_CONF + plain}
        for name, port in self.ports.items():
            chain = CHAIN if name == "proxy" else f"{name}-server"
            values = {
                "name": name,
                "port": port,
                "chain": chain,
                "folder": self.folder,
                "user": pwd.getpwuid(os.getuid()).pw_name,
            }
            (self.folder / f"{name}.conf").write_text(SERVER_CONF.format_map(values) + more.get(name, ""))
        servers = [f"{name}={self.ports[name]}" for name in STORING]
        subprocess.run([self.programs / "python", "-c", MAKE_RINGS, self.folder, DISK, *servers], check=True)


def find_swift() -> Path | None:
    """Return the folder of Swift's programs where `.ci/swift` installs them; None without any."""
    told = subprocess.run([ROOT / ".ci" / "swift", "where"], check=True, capture_output=True, text=True)
    programs = Path(told.stdout.strip())
    return programs if (programs / "swift-proxy-server").exists() else None


@contextmanager
def swift(programs: Path, folder: Path, ports: Mapping[str, int] | None = None) -> Iterator[Swift]:
    """Run Swift until the end of the block, with all it keeps in a folder.

    `ports` names one for each of SERVERS; free ones are taken if there are none, and kept over `kill` and `start`.
    A folder that held a Swift before is taken on, with what it holds.
    """
    ports = ports or {name: free_port() for name in SERVERS}
    server = Swift(port=ports["proxy"], programs=programs, folder=folder.resolve(), ports=ports)
    server.write_settings()
    try:
        server.start()
        with contextlib.suppress(server.client.exceptions.BucketAlreadyOwnedByYou):
            server.make_bucket()
        yield server
    finally:
        server.kill()
