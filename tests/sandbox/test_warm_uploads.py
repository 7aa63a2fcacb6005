"""Upload jobs that start from a warm process are the same jobs: as they end, where they work, when they are ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.world import until
from watcher.sandbox import warm_uploads
from watcher.sandbox.settings import START_CODE

PROGRAM = """\
import json, os, signal, sys
import heavy

class Registry:
    def load_datatypes(self, root_dir, config):
        pass

if __name__ == "__main__":
    print(json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:], "folder": os.getcwd(), "own": os.environ["OWN"]}))
    print("said", file=sys.stderr)
    sys.stdout.flush()
    if sys.argv[3] == "for ever":
        signal.alarm(60)
        signal.pause()
    sys.exit(int(sys.argv[3]))
"""


class Jobs:
    """A folder as Galaxy's jobs have it, with a program that is slow to load."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loads = folder / "loads"
        self.socket = folder / "uploads"
        self.program = folder / warm_uploads.PROGRAM
        self.program.parent.mkdir()
        self.program.write_text(PROGRAM)
        (folder / "heavy.py").write_text(f"open({str(self.loads)!r}, 'a').write('x')\n")
        (folder / "sitecustomize.py").write_text(START_CODE)
        (folder / "warm_uploads.py").write_text(Path(warm_uploads.__file__).read_text())

    @property
    def environment(self) -> dict[str, str]:
        """What all of Galaxy's processes have."""
        return {"PYTHONPATH": str(self.folder), warm_uploads.PLACE: str(self.socket), "PATH": os.environ["PATH"]}

    @contextmanager
    def served(self) -> Iterator[None]:
        """Have the warm process run."""
        process = subprocess.Popen([sys.executable, "-m", "warm_uploads"], env=self.environment)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def start(self, ending: str) -> subprocess.Popen[str]:
        """Start a job as Galaxy does, which ends with that exit code."""
        return subprocess.Popen(
            [sys.executable, str(self.program), "root", "datatypes.xml", ending],
            cwd=self.program.parent, env={**self.environment, "OWN": ending},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """Return such a folder."""
    return Jobs(tmp_path)


async def listening(jobs: Jobs) -> bool:
    """Tell whether somebody serves."""
    return jobs.socket.exists()


async def test_jobs_of_the_warm_process_load_nothing(jobs: Jobs) -> None:
    """Two jobs load once; arguments, folder, environment, streams and exit code are those that each was given."""
    with jobs.served():
        await until(lambda: listening(jobs), what="the socket")
        for ending in ("3", "0"):
            job = jobs.start(ending)
            said, complained = job.communicate(timeout=60)
            told = json.loads(said)
            assert told.pop("pid") != job.pid
            assert told == {
                "arguments": ["root", "datatypes.xml", ending], "folder": str(jobs.program.parent), "own": ending,
            }  # fmt: skip
            assert (job.returncode, complained) == (int(ending), "said\n")
    assert jobs.loads.read_text() == "x"


async def test_a_job_that_is_ended_works_no_more(jobs: Jobs) -> None:
    """SIGKILL of what Galaxy knows as the job ends what the warm process does for it."""
    with jobs.served():
        await until(lambda: listening(jobs), what="the socket")
        job = jobs.start("for ever")
        assert job.stdout is not None
        pid = json.loads(job.stdout.readline())["pid"]
        job.send_signal(signal.SIGKILL)
        job.communicate(timeout=60)

        async def is_gone() -> bool:
            return not Path(f"/proc/{pid}").exists()

        await until(is_gone, 20, what="the end of the job")


@pytest.mark.parametrize("was_there", [False, True])
def test_without_the_warm_process_a_job_does_its_work(jobs: Jobs, was_there: bool) -> None:
    """Where nobody serves, or does no more, nothing is missing but the speed."""
    if was_there:
        jobs.socket.touch()
    job = jobs.start("3")
    said, _ = job.communicate(timeout=60)
    assert (job.returncode, json.loads(said)["pid"]) == (3, job.pid)
