"""The script behind `make`: which Python it takes, how it makes an environment of it, and what it says when it cannot.

It runs for real, in a folder of its own, with stand-ins for Python, uv and the package managers on an otherwise small
PATH; what the stand-ins were asked is written down.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.tree import ROOT

COMMANDS = ("sh", "dirname", "mktemp", "rm", "tr", "cut", "head", "tail", "sort", "grep", "cat", "id", "mkdir", "cp")

# Answers like a Python that has some ways to make an environment; what it makes, answers like itself.
PYTHON = r"""#!/bin/sh
echo "${0##*/} $*" >> "LOG"
case "$*" in
    *version_info*) exit TOO_OLD ;;
    *ensurepip,*) exit NO_ENSUREPIP ;;
    *"virtualenv --version"*) exit NO_VIRTUALENV ;;
    *"pip --python"*"--version"*) exit NO_PIP ;;
    *"-m pip --version"*) exit 0 ;;
    *"-m venv"*|*"-m virtualenv"*)
        mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "VIRTUAL_ENV=$(pwd -P)/.venv" > .venv/bin/activate ;;
    *"pip install"*) exit 0 ;;
esac
"""


@dataclass
class Machine:
    """A folder with the script, and a PATH of its own."""

    folder: Path

    @property
    def log(self) -> list[str]:
        """Return what the stand-ins were asked."""
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []

    def has(self, name: str, text: str) -> None:
        """Put a stand-in on the PATH."""
        command = self.folder / "bin" / name
        command.write_text(text.replace("LOG", str(self.folder / "asked")))
        command.chmod(0o755)

    def has_python(self, name: str, **flags: bool) -> None:
        """Put a Python on the PATH: `too_old`, without `ensurepip`, `virtualenv` or `pip`."""
        text = PYTHON
        for flag in ("too_old", "no_ensurepip", "no_virtualenv", "no_pip"):
            text = text.replace(flag.upper(), str(int(flags.get(flag, False))))
        self.has(name, text)

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [str(self.folder / "project" / ".ci" / "venv"), "runtime"],
            env={"PATH": str(self.folder / "bin"), **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing but the usual commands."""
    (tmp_path / "bin").mkdir()
    for name in COMMANDS:
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    (tmp_path / "project" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "venv", tmp_path / "project" / ".ci" / "venv")
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("dnf", "dnf install -y python3"),
        ("apk", "apk add python3 py3-pip"),
        ("zypper", "zypper install -y python31"),
        ("pacman", "pacman -S --noconfirm python"),
        ("brew", "brew install python@3.14"),
        ("true", "(Python 3.11 or newer with its venv module, or uv)"),
    ],
)
def test_without_python_the_one_package_line_is_told(machine: Machine, manager: str, line: str) -> None:
    """It is the line of the system's own package manager, and it comes last."""
    machine.has(manager, "#!/bin/sh\n")
    ended = machine.run()
    assert ended.returncode == 1
    assert "No Python from 3.11 on can make an environment here." in ended.stderr
    assert line in ended.stderr.splitlines()[-1]


def test_an_old_python_is_none(machine: Machine) -> None:
    """It is asked for its version and never used."""
    machine.has_python("python3", too_old=True)
    assert machine.run().returncode == 1
    assert {line.split()[1] for line in machine.log} == {"-c"}


def test_the_newest_python_is_taken(machine: Machine) -> None:
    """A newer minor version goes before an older one, whatever `python3` is."""
    for name in ("python3", "python3.11", "python3.13"):
        machine.has_python(name)
    assert machine.run().returncode == 0
    assert [line.split()[0] for line in machine.log if "-m venv" in line] == ["python3.13"]


@pytest.mark.parametrize(
    ("flags", "way"),
    [
        ({}, "-m venv --clear .venv"),
        ({"no_ensurepip": True}, "-m virtualenv --quiet --clear .venv"),
        ({"no_ensurepip": True, "no_virtualenv": True}, "-m venv --clear --without-pip .venv"),
    ],
)
def test_a_python_makes_an_environment_in_the_way_it_can(machine: Machine, flags: dict[str, bool], way: str) -> None:
    """Distributions leave ensurepip out; virtualenv or the interpreter's own pip stand in."""
    machine.has_python("python3", **flags)
    ended = machine.run()
    assert ended.returncode == 0, ended.stderr
    assert f"python3 {way}" in machine.log
    assert sum("--require-hashes" in line for line in machine.log) == 2


def test_a_python_that_cannot_make_any_is_left_for_the_next(machine: Machine) -> None:
    """The next one on the PATH does it."""
    machine.has_python("python3.12", no_ensurepip=True, no_virtualenv=True, no_pip=True)
    machine.has_python("python3.11")
    assert machine.run().returncode == 0
    assert [line.split()[0] for line in machine.log if "-m venv" in line] == ["python3.11"]


def test_uv_is_used_where_it_works(machine: Machine) -> None:
    """With NO_UV, or where it fails, Python's own way is gone."""
    machine.has_python("python3")
    machine.has("uv", '#!/bin/sh\necho "uv $*" >> "LOG"\n')
    assert machine.run().returncode == 0
    assert any(line.startswith("uv venv") for line in machine.log)
    assert not any("-m venv" in line for line in machine.log)
    assert machine.run(NO_UV="1").returncode == 0
    assert any("-m venv" in line for line in machine.log)


def test_the_environment_of_another_place_is_made_anew(machine: Machine) -> None:
    """A checkout that was copied with its .venv would else run the program it was copied from."""
    machine.has_python("python3")
    assert machine.run().returncode == 0
    assert machine.run().returncode == 0
    assert sum("-m venv" in line for line in machine.log) == 1  # it is ours: kept
    (machine.folder / "project" / ".venv" / "bin" / "activate").write_text("VIRTUAL_ENV=/elsewhere/.venv\n")
    assert machine.run().returncode == 0
    assert sum("-m venv" in line for line in machine.log) == 2
