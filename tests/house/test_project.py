"""The project's own files agree with each other, and CI lets nothing be skipped."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import watcher
from tests.house.tree import ROOT, project_files

SKIPPING = """
import pytest

def test_left_out():
    pytest.skip("no server here")

@pytest.mark.xfail(reason="known defect")
def test_expected_to_fail():
    assert False
"""


REAL = """
import os
import pytest

@pytest.mark.real
@pytest.mark.parametrize("number", range(8))
def test_on_galaxy(number):
    with open("workers", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")

@pytest.mark.parametrize("number", range(8))
def test_elsewhere(number):
    pass
"""


def read_pyproject() -> dict[str, dict[str, str]]:
    """Return the parsed project file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run_pytest(folder: Path, ci: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder in a process of their own, under our conftest."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    real: as in the project\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, folder],
        env={**os.environ, "CI": ci},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_said_once() -> None:
    """The package and the project file name the same version."""
    assert read_pyproject()["project"]["version"] == watcher.__version__


@pytest.mark.parametrize("name", [f"requirements{part}.txt" for part in ("", "-dev", "-build", "-swift")])
def test_requirements_are_hashed_and_name_no_place(name: str) -> None:
    """Every requirement is pinned with hashes, and nothing says where to fetch it."""
    entries = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    pinned = [line for line in entries if line and not line.lstrip().startswith("#")]
    assert pinned
    assert [line for line in pinned if "==" not in line or "--hash=sha256:" not in line] == []
    assert [line for line in entries if "://" in line or line.startswith("--")] == []


def test_development_runs_on_what_is_shipped() -> None:
    """What the program runs on is pinned to the same version for its tests."""
    runtime, development = (
        {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime <= development


def test_the_wheel_holds_everything(tmp_path: Path) -> None:
    """What lies in the package is shipped: code, layouts, migrations, the sandbox's tool and workflow."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("watcher/")}
    package = ROOT / "watcher"
    assert packed == {path.relative_to(ROOT).as_posix() for path in project_files() if path.is_relative_to(package)}


def test_ci_fails_what_is_skipped(tmp_path: Path) -> None:
    """With CI=true a skipped and an expected failure both fail, with their reasons."""
    (tmp_path / "test_sample.py").write_text(SKIPPING)
    result = run_pytest(tmp_path, "true")
    assert result.returncode == 1
    assert "2 failed" in result.stdout
    assert "no server here" in result.stdout
    assert "known defect" in result.stdout


def test_ci_fails_a_module_that_skips_itself(tmp_path: Path) -> None:
    """With CI=true a module cannot leave itself out."""
    (tmp_path / "test_sample.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    result = run_pytest(tmp_path, "true")
    assert result.returncode != 0
    assert "CI skips nothing" in result.stdout


def test_a_person_may_skip(tmp_path: Path) -> None:
    """Outside CI a skip stays a skip."""
    (tmp_path / "test_sample.py").write_text(SKIPPING)
    result = run_pytest(tmp_path, "")
    assert result.returncode == 0
    assert "1 skipped, 1 xfailed" in result.stdout


@pytest.mark.slow
def test_the_real_galaxy_serves_one_process(tmp_path: Path) -> None:
    """With two workers, all tests on the real Galaxy run in one of them."""
    (tmp_path / "test_sample.py").write_text(REAL)
    result = run_pytest(tmp_path, "true", "-n", "2", "--dist", "loadgroup")
    assert "16 passed" in result.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1
