"""Installs one pinned Galaxy into the user's cache, once, and says beforehand what that takes.

Every package stands with version and hashes in `galaxy-26.1.2.txt`. A marker file, written last, tells a whole
installation from a broken one, which is made again. A file lock keeps two processes from installing at once. Knows no
server: `server.py` boots one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watcher.errors import SandboxError

VERSION = "26.1.2"
REQUIREMENTS = Path(__file__).with_name(f"galaxy-{VERSION}.txt")
MARKER = "complete"

MIB = 1 << 20
FETCH_BYTES = 310 * MIB
DISK_BYTES = 1300 * MIB  # the installation, and what one sandbox writes
MEMORY_BYTES = 2300 * MIB  # web server, Celery worker and its two processes, measured as proportional set size
NEWEST_TRIED = (3, 11)
"""The newest Python that this Galaxy was booted with; with newer ones its packages install, no more is known."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Room:
    """What this machine has left, in bytes; `memory_bytes` None = the system does not tell."""

    disk_bytes: int
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a pinned Galaxy is, or shall be: `folder` holds the environment, `marker` says that it is whole."""

    folder: Path
    requirements: Path = REQUIREMENTS
    version: str = VERSION

    @property
    def venv(self) -> Path:
        """The Python environment."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """The interpreter that runs Galaxy."""
        return self.venv / "bin" / "python"

    @property
    def marker(self) -> Path:
        """Written last, with the digest of the list of packages."""
        return self.folder / MARKER

    def digest(self) -> str:
        """Return what an installation of the present list is known by."""
        return hashlib.sha256(self.requirements.read_bytes()).hexdigest()

    def is_whole(self) -> bool:
        """Say whether everything of the present list is there and its Python still starts."""
        try:
            if self.marker.read_text().strip() != self.digest():
                return False
            return subprocess.run([self.python, "-c", ""], capture_output=True, timeout=60, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache folder for this program."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "galaxy-watcher"


def installation(
    cache: Path | None = None, *, version: str = VERSION, requirements: Path = REQUIREMENTS
) -> Installation:
    """Return where Galaxy is installed for this user, whether it is there yet or not; another version than the
    sandbox's own comes with its own list of packages.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    # Another list gets another folder, since a Galaxy of the older one may be running.
    return Installation((cache or cache_folder()) / f"galaxy-{version}-{digest[:8]}", requirements, version)


def room_here(folder: Path) -> Room:
    """Return the free disk space where `folder` is or shall be, and the memory that programs can still have."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    memory: int | None = None
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return Room(shutil.disk_usage(existing).free, memory)


def announcement(target: Installation, *, whole: bool) -> list[str]:
    """Return the lines that say what will be fetched, to where, and what it takes."""
    memory = f"It takes {_gb(MEMORY_BYTES)} of memory while it runs, and listens on this machine only."
    if whole:
        return [f"A throw-away Galaxy {target.version} starts from {target.folder}; nothing is fetched.", memory]
    return [
        f"A throw-away Galaxy {target.version} is needed. It is installed once and stays in {target.folder}.",
        f"This fetches about {FETCH_BYTES // MIB} MB from the Python package index (every package pinned by its hash)"
        f" and takes {_gb(DISK_BYTES)} of disk, and half a minute with uv, a few minutes with pip."
        " Later starts fetch nothing.",
        memory,
    ]


def refuse_if_short(target: Installation, room: Room, *, whole: bool) -> None:
    """Raise SandboxError with what is missing when disk or memory will not do."""
    disk_bytes = DISK_BYTES // 4 if whole else DISK_BYTES
    if room.disk_bytes < disk_bytes:
        raise SandboxError(
            f"Too little disk space for the sandbox Galaxy: {_gb(disk_bytes)} are needed in {target.folder},"
            f" {_gb(room.disk_bytes)} are free.",
            hint="Free some space, let XDG_CACHE_HOME name a larger disk, or use your own Galaxy: --galaxy-url.",
        )
    if room.memory_bytes is not None and room.memory_bytes < MEMORY_BYTES:
        raise SandboxError(
            f"Too little memory for the sandbox Galaxy: {_gb(MEMORY_BYTES)} are needed,"
            f" {_gb(room.memory_bytes)} are free.",
            hint="End other programs, or use your own Galaxy: --galaxy-url.",
        )


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def install(target: Installation, say: Say, room: Room | None = None) -> bool:
    """Have a whole installation at the end; return whether anything had to be fetched.

    Raises SandboxError when it cannot be done, with the last lines that the installer said.
    """
    with one_at_a_time(target.folder.with_name(target.folder.name + ".lock"), say):
        whole = target.is_whole()
        for line in announcement(target, whole=whole):
            say(line)
        refuse_if_short(target, room or room_here(target.folder), whole=whole)
        if whole:
            return False
        started = time.monotonic()
        if target.folder.exists():
            say("An unfinished or broken installation is there; it is made anew.")
            shutil.rmtree(target.folder)
        target.folder.mkdir(parents=True)
        log = target.folder / "install.log"
        environment = _make_environment(target, log)
        _fill_environment(target, environment, log)
        target.marker.write_text(target.digest() + "\n")
        say(f"Galaxy {target.version} is installed after {time.monotonic() - started:.0f} s.")
        return True


@contextlib.contextmanager
def one_at_a_time(lock: Path, say: Say) -> Iterator[None]:
    """Wait until no other process of this user holds `lock`, and hold it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process installs Galaxy just now; waiting for it.")
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def find_uv() -> str:
    """Return a uv that works, the one beside our own Python first, or nothing."""
    for found in (shutil.which("uv", path=str(Path(sys.executable).parent)), shutil.which("uv")):
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return ""


def python_for_galaxy() -> str:
    """Return the interpreter for Galaxy: ours, or an older one that is here when ours is newer than what was tried."""
    if sys.version_info[:2] <= NEWEST_TRIED:
        return sys.executable
    for name in ("python3.11", "python3.12", "python3.13"):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return sys.executable


def _make_environment(target: Installation, log: Path) -> Sequence[str]:
    """Make the empty environment by the first way there is; return the command that installs into it."""
    python, venv = python_for_galaxy(), str(target.venv)
    uv = find_uv()
    if uv and _runs([uv, "venv", "--quiet", "--clear", "--python", python, venv], log):
        return [uv, "pip", "install", "--quiet", "--python", str(target.python)]
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-compile"]
    if _runs([python, "-c", "import ensurepip, venv"], log) and _runs([python, "-m", "venv", "--clear", venv], log):
        return [str(target.python), *pip]
    if _runs([python, "-m", "virtualenv", "--quiet", "--clear", venv], log):
        return [str(target.python), *pip]
    if _runs([python, "-m", "pip", "--version"], log) and _runs(
        [python, "-m", "venv", "--clear", "--without-pip", venv], log
    ):
        return [python, "-m", "pip", "--python", str(target.python), *pip[2:]]
    raise SandboxError(
        f"No Python environment can be made in {target.folder}: {_last_words(log)}",
        hint="Install uv, or your system's package for Python's venv module (python3-venv), and try again.",
    )


def _fill_environment(target: Installation, command: Sequence[str], log: Path) -> None:
    """Install the pinned list; once more with the system's certificates where the installer's own are refused."""
    # The list is complete. Older versions of pip refuse, in spite of it, what a package asks for by an extra.
    wanted = [*command, "--no-deps", "--require-hashes", "-r", str(target.requirements)]
    if _runs(wanted, log):
        return
    if "certificate" in _last_words(log, 40).lower() and _runs(wanted, log, _with_system_certificates()):
        return
    raise SandboxError(
        f"Galaxy {target.version} could not be installed: {_last_words(log)}",
        hint=f"It needs the network and the Python package index this once. Everything the installer said is in {log}.",
    )


def _with_system_certificates() -> dict[str, str]:
    found = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **({"PIP_CERT": found} if Path(found).exists() else {})}


def _runs(command: Sequence[str], log: Path, more: Mapping[str, str] | None = None) -> bool:
    """Run a command with its words going to the log; end it with us."""
    # Options of ours, such as an own index, stay; a foreign PYTHONPATH would leak our packages into Galaxy's.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with log.open("ab") as sink:
        sink.write(f"$ {' '.join(command)}\n".encode())
        sink.flush()
        try:
            ended = subprocess.run(
                command,
                env={**environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                check=False,
            )
        except OSError as error:
            sink.write(f"{error}\n".encode())
            return False
        return ended.returncode == 0


def _last_words(log: Path, lines: int = 4) -> str:
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(said[-lines:])[-1500:]
