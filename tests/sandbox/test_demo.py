"""The demo as a person starts it, on a real Galaxy; and what it refuses before anything happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.real_galaxy import real_galaxy, say
from tests.rarer import rarer
from watcher.sandbox.install import install, installation


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `demo` in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WATCHER_")}
    return subprocess.run(
        [sys.executable, "-m", "watcher", "demo", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def key_file_of(folder: Path, key: str) -> Path:
    """Write a key file as it has to be: for its owner alone."""
    file = folder / "key"
    file.touch(mode=0o600)
    file.write_text(key)
    return file


@pytest.mark.real
@pytest.mark.timeout(900)  # it may be the one that Galaxy is installed and booted for
def test_the_demo_pulls_the_plug_twice_and_everything_is_there_once(tmp_path: Path) -> None:
    """Two kills, and Galaxy still holds every file, invocation and result exactly once; the exit status says so."""
    real = real_galaxy()
    key_file = key_file_of(tmp_path, real.second_key)
    ended = run_demo("--galaxy-url", real.url, "--api-key-file", str(key_file), "--folder", str(tmp_path / "demo"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "in mid-upload" in ended.stdout
    assert re.search(r"8 files written, 8 datasets in Galaxy, 8 equal byte for byte", ended.stdout)
    assert re.search(r"13 datasets in all: 0 doubled", ended.stdout) or "no workflow runs" in ended.stdout
    assert real.second_key not in ended.stdout + ended.stderr
    assert (tmp_path / "demo" / "galaxy-api-key").stat().st_mode & 0o077 == 0


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that name something in this folder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(folder) in line:
            lines.append(line)
    return lines


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """While everything runs, the throw-away Galaxy included, one SIGINT ends all of it and removes what was written."""
    install(installation(), say)
    demo = subprocess.Popen(
        [sys.executable, "-m", "watcher", "demo"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert demo.stdout
    with demo.stdout:
        assert any("files grow" in line for line in demo.stdout)
        assert processes_of(tmp_path)
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
    assert demo.wait(60) == 130
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_key_without_a_server_is_a_usage_error(tmp_path: Path) -> None:
    """--galaxy-url and --api-key-file belong together."""
    ended = run_demo("--api-key-file", str(tmp_path / "key"))
    assert ended.returncode == 2
    assert "belong together" in ended.stderr


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds something is refused and nothing in it touched."""
    (tmp_path / "mine").write_text("mine")
    ended = run_demo("--folder", str(tmp_path))
    assert ended.returncode == 2
    assert "not an empty folder" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_wrong_address_is_said_at_once(tmp_path: Path) -> None:
    """Where no Galaxy answers, the demo ends with the address, exit status 4, and leaves nothing behind."""
    ended = run_demo("--galaxy-url", "http://127.0.0.1:9", "--api-key-file", str(key_file_of(tmp_path, "wrong")))
    assert ended.returncode == 4
    assert "http://127.0.0.1:9" in ended.stderr


@pytest.mark.parametrize("mode", rarer([0o640, 0o644, 0o602], keep=1))
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The demo is as strict with a key as the configuration: it says what to run, and asks nobody with the key."""
    file = key_file_of(tmp_path, "f" * 32)
    file.chmod(mode)
    ended = run_demo("--galaxy-url", "http://127.0.0.1:9", "--api-key-file", str(file))
    assert ended.returncode == 2
    assert f"chmod 600 {file}" in " ".join(ended.stderr.split())
    assert "f" * 32 not in ended.stdout + ended.stderr


def test_a_key_file_that_is_missing_is_a_usage_error(tmp_path: Path) -> None:
    """A file that is not there is told by its name."""
    ended = run_demo("--galaxy-url", "http://127.0.0.1:9", "--api-key-file", str(tmp_path / "nowhere"))
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr
