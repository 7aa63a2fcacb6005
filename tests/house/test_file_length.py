"""A file can be read in one sitting, and its name says what is in it."""

from pathlib import Path

from tests.house.tree import ROOT, python_files

LIMIT = 450
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc"}


def too_long(root: Path = ROOT) -> list[str]:
    """List the files above the limit, each with its length in lines."""
    files = python_files("watcher", "tests", "benchmarks", root=root)
    lengths = {source.name: source.text.count("\n") for source in files}
    return [f"{name}: {length} lines, at most {LIMIT}" for name, length in lengths.items() if length > LIMIT]


def test_no_file_is_too_long() -> None:
    """No Python file is longer than the limit."""
    assert not (wrong := too_long()), "\n" + "\n".join(wrong)


def test_a_long_file_is_found(tmp_path: Path) -> None:
    """A file of one line more than the limit is named with its length, one at the limit is not."""
    (tmp_path / "watcher").mkdir()
    (tmp_path / "watcher" / "long.py").write_text("\n" * (LIMIT + 1))
    (tmp_path / "watcher" / "fits.py").write_text("\n" * LIMIT)
    assert too_long(tmp_path) == [f"watcher/long.py: {LIMIT + 1} lines, at most {LIMIT}"]


def test_module_names_say_something() -> None:
    """No module has a name that would fit any content."""
    files = python_files("watcher", "tests", "benchmarks")
    assert [source.name for source in files if EMPTY_NAMES.intersection(Path(source.name).with_suffix("").parts)] == []
