"""Globs of layouts: folders, alternatives, hidden names, and units that climb."""

from __future__ import annotations

import pytest

from watcher.runs.globs import alternatives, anchored, compiled, depth_of


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.gz", "a.gz", True),
        ("*.gz", "b/a.gz", False),
        ("**/*.gz", "a.gz", True),
        ("**/*.gz", "b/c/a.gz", True),
        ("Data/**/fastq/**/*.gz", "Data/X/fastq/a.gz", True),
        ("Data/**/fastq/**/*.gz", "Data/fastq/p/a.gz", True),
        ("Data/**/fastq/**/*.gz", "Data/notfastq/a.gz", False),
        ("{,*/}*.{fastq,fq}{,.gz}", "p/a.fq", True),
        ("{,*/}*.{fastq,fq}{,.gz}", "a.fastq.gz", True),
        ("{,*/}*.{fastq,fq}{,.gz}", "p/q/a.fq", False),
        ("*", ".hidden", False),
        ("**/*.gz", ".tmp/a.gz", False),
        ("**/*.gz", "._a.gz", False),
        (".ready", ".ready", True),
        ("L[0-9][0-9]", "L01", True),
        ("L[!0-9]", "Lx", True),
        ("a+b(1).txt", "a+b(1).txt", True),
        ("x?z", "x/z", False),
        ("**", "a/b", True),
        ("b/*", "b/", False),
    ],
)
def test_globs_match_as_in_a_shell(glob: str, path: str, matches: bool) -> None:
    """Names stay names, folders are any number, leading dots are never met by chance."""
    assert bool(compiled([glob]).fullmatch(path)) is matches


def test_hidden_names_are_met_when_asked_for() -> None:
    """Patterns for droppings see dots."""
    assert compiled(["**/.*.??????"], hidden=True).fullmatch("p/.S1_R1.fastq.gz.Ab12Cd")
    assert not compiled([]).fullmatch("")


def test_braces_nest() -> None:
    """Alternatives may hold alternatives; a lone brace is itself."""
    assert alternatives("{a,b{c,d}}x") == ["ax", "bcx", "bdx"]
    assert alternatives("a{b") == ["a{b"]


@pytest.mark.parametrize(
    ("folder", "glob", "expected"),
    [
        ("Analysis/2", "../../CopyComplete.txt", ("", "CopyComplete.txt")),
        ("Analysis/2", "../x", ("Analysis", "x")),
        ("Analysis/2", "/RunInfo.xml", ("", "RunInfo.xml")),
        ("Analysis/2", "./Data/*", ("Analysis/2", "Data/*")),
        ("Analysis/2", "../../../etc/passwd", None),
        ("", "../x", None),
    ],
)
def test_a_unit_climbs_no_higher_than_its_run_folder(folder: str, glob: str, expected: object) -> None:
    """What would leave the run folder resolves to nothing."""
    assert anchored(folder, glob) == expected


@pytest.mark.parametrize(("glob", "depth"), [("x", 1), ("Analysis/*", 2), ("{,*/}x", 2), ("**/x", None)])
def test_depth_is_how_far_down_a_glob_looks(glob: str, depth: int | None) -> None:
    """Detection lists no deeper than needed."""
    assert depth_of(glob) == depth
