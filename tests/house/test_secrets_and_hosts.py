"""What must not be in the project: hosts of package registries, paths of one machine, keys.

The forbidden texts are put together from pieces, so that this file does not find itself.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT, project_files

HOSTS = (
    ("pyp", "i.org"),
    ("python", "hosted"),
    ("registry.np", "mjs"),
    ("deb.deb", "ian"),
    ("archive.ubu", "ntu"),
    ("anaco", "nda.org"),
    ("crat", "es.io"),
    ("proxy.gol", "ang"),
    ("wheels.galaxy", "project"),
)
PLACES = (
    ("/wo", "rk/"),
    ("/fa", "rm/"),
    ("../sha", "red"),
    ("/opt/py", "pi"),
    ("/opt/whe", "els"),
    ("/root/.py", "env"),
)
KEYS = (r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----", r"\bAKIA" + r"[0-9A-Z]{16}\b", r"\bghp_" + r"[0-9A-Za-z]{36}\b")
FORBIDDEN = re.compile("|".join([*(re.escape("".join(pieces)) for pieces in (*HOSTS, *PLACES)), *KEYS]))


def forbidden_lines(path: Path) -> list[str]:
    """List `line: text found` of a file, whatever its bytes are."""
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
    return [f"{number}: {found[0]}" for number, line in enumerate(lines, 1) if (found := FORBIDDEN.search(line))]


def test_no_file_names_a_registry_a_machine_or_a_key() -> None:
    """No file of the project holds one of the forbidden texts."""
    files = project_files()
    assert Path(__file__) in files
    wrong = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in forbidden_lines(path)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("pieces", [*HOSTS, *PLACES], ids="_".join)
def test_a_forbidden_text_is_found(tmp_path: Path, pieces: tuple[str, str]) -> None:
    """Each forbidden text is found in the middle of a line, also beside bytes that are no text."""
    path = tmp_path / "page.md"
    path.write_bytes(b"first\n\xff see https://" + "".join(pieces).encode() + b"/simple\n")
    assert forbidden_lines(path) == ["2: " + "".join(pieces)]


def test_no_lock_file_with_urls_belongs_to_the_project() -> None:
    """The resolver's own lock file names index hosts, so it is ignored and the hashed requirements stand for it."""
    assert [path.name for path in project_files() if path.name == "uv.lock"] == []
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()


def test_files_are_found_without_git(tmp_path: Path) -> None:
    """In an unpacked archive every file counts but what tools leave behind."""
    for name in ("watcher/model.py", ".ci/run", ".venv/lib/x.py", "watcher/__pycache__/model.pyc", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in project_files(tmp_path)]
    assert found == [".ci/run", "README.md", "watcher/model.py"]


def test_new_files_count_before_they_are_committed(tmp_path: Path) -> None:
    """A file that nobody added yet is looked at, an ignored one is not."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").touch()
    (tmp_path / "new").touch()
    assert [path.name for path in project_files(tmp_path)] == [".gitignore", "new"]
