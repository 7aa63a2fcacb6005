"""Layouts as files: own ones, inheritance, and every mistake with its file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.run_folders import Tree
from watcher.errors import ConfigError
from watcher.runs.layout import load_layouts, recognise


def test_own_layouts_are_added_and_win(tmp_path: Path) -> None:
    """An own file adds a platform, or changes one of ours by extending it under its own name."""
    (tmp_path / "mgi.toml").write_text(
        'extends = "base"\nrank = 45\nunit = "L0[1-8]"\n[run]\nhas_any = ["L0[1-8]/BarcodeStat.txt"]\n'
        '[complete]\nall = [{ file = "BarcodeStat.txt" }, { pairs = true }, { quiet = "30m" }]\n'
        '[files]\ninclude = ["*_[12].fq.gz"]\nexclude = ["*undecoded*"]\n'
        "[sample]\nregex = '(?P<chip>[^_]+)_(?P<lane>L\\d\\d)_(?P<sample>.+)_(?P<read>[12])\\.fq\\.gz'\n"
    )
    (tmp_path / "bclconvert.toml").write_text('extends = "bclconvert"\nsettle = "1h"\n')
    layouts = load_layouts(tmp_path)
    assert layouts["bclconvert"].settle.total_seconds() == 3600
    assert layouts["bclconvert"].include == load_layouts()["bclconvert"].include
    tree = Tree("V350").add("L01/BarcodeStat.txt", b"")
    for name in ("V350_L01_1_1.fq.gz", "V350_L01_1_2.fq.gz", "V350_L01_undecoded_1.fq.gz"):
        tree.add(f"L01/{name}")
    found = recognise(layouts, tree.listing(), "V350")
    assert found is not None and found.name == "mgi"
    judgement = tree.judged(found, "L01")
    assert judgement.complete
    assert judgement.selected == ("L01/V350_L01_1_1.fq.gz", "L01/V350_L01_1_2.fq.gz")
    assert judgement.left_out[0].reason == "excluded by *undecoded*"


def test_conditions_are_added_to_inherited_ones(tmp_path: Path) -> None:
    """`also` adds, through any number of layouts; `any` replaces all that was inherited."""
    (tmp_path / "a.toml").write_text('extends = "base"\n[failed]\nany = [{ file = "1" }]\nalso = [{ file = "2" }]\n')
    (tmp_path / "b.toml").write_text('extends = "a"\n[failed]\nalso = [{ file = "3" }]\n')
    (tmp_path / "c.toml").write_text('extends = "b"\n[failed]\nany = [{ file = "4" }]\n')
    layouts = load_layouts(tmp_path)
    globs = {name: [glob for one in layouts[name].failed for glob in one.globs] for name in "abc"}
    assert globs == {"a": ["1", "2"], "b": ["1", "2", "3"], "c": ["4"]}


@pytest.mark.parametrize(
    ("text", "line", "key", "word"),
    [
        ("settle = ", 1, "x", "no valid TOML"),
        ('extends = "bsae"', 1, "extends", "did you mean base?"),
        ('extends = "x"', 1, "extends", "extends itself"),
        ('extends = "base"\nsetle = "2m"', 2, "setle", "did you mean settle?"),
        ('settle = "2 weeks"', 1, "settle", "no duration"),
        ('[complete]\nall = [{ fiel = "x" }]', 2, "complete.all", "did you mean file?"),
        ('[complete]\nall = [{ xml = { file = "x" } }]', 2, "complete.all.xml", "needs 'at'"),
        ('[complete]\nall = [{ file = "x", cii = true }]', 2, "complete.all.file.cii", "did you mean ci?"),
        ('[complete]\nany = [{ quiet = "soon" }]', 2, "complete.any.quiet.min", "does not fit"),
        ('[complete]\nall = [{ text = { file = "x", regex = "(" } }]', 2, "complete.all.text.regex", "does not fit"),
        ('unit = "A/*"\n[complete]\nall = [{ file = "../../../x" }]', 3, "complete.all", "leaves the run folder"),
        ('[sheet]\nkind = "excel"', 2, "sheet.kind", "one of illumina, ont"),
        ('[files]\ninclude = "x"', 2, "files.include", "list of texts"),
        ("[sample]\nregex = 'x'", 2, "sample.regex", "(?P<sample>"),
        ('rank = "high"', 1, "rank", "expected a number"),
        ('id = ["RunInfo"]', 1, "id", "xml:FILE"),
        ("run = 3", 1, "run", "expected a table"),
        ('[files]\ninclude = ["[z-a].gz"]', 2, "files.include", "no glob: bad character range z-a"),
        ('[files]\nexclude = ["[z-a]"]', 2, "files.exclude", "no glob"),
        ('[files.more]\nbam = ["[z-a].bam"]', 2, "files.more.bam", "no glob"),
        ('[files]\ninclude = ["../*.gz"]', 2, "files.include", "not relative"),
        ('unit = "/Analysis/*"', 1, "unit", "not relative"),
        ('[run]\nhas_any = ["[z-a]"]', 2, "run.has_any", "no glob"),
        ('[complete]\nall = [{ file = "[z-a].txt" }]', 2, "complete.all", "no glob"),
        ('[complete]\nall = [{ newer = { file = "x", than = "[z-a]" } }]', 2, "complete.all", "no glob"),
        ('[sheet]\npath = ["../SampleSheet.csv"]', 2, "sheet.path", "leaves the run folder"),
        ('[sheet]\nzero = ["csv:../a.csv:b:c"]', 2, "sheet.zero", "leaves the run folder"),
        ('id = ["xml:[z-a]:Run@Id"]', 1, "id", "no glob"),
        ('[verify]\nmanifests = [{ file = "../a.md5", kind = "md5" }]', 2, "verify.manifests", "leaves the run folder"),
        ('[complete]\nall = [{ count = { glob = "*", equals = "kv:a" } }]', 2, "complete.all.count.equals", "not fit"),
        (
            '[complete]\nall = [{ each = { glob = "x", for = "runinfo.reads" } }]',
            2,
            "complete.all.each.glob",
            "not fit",
        ),
        ('[failed]\nany = [{ json = { file = "x", at = "y" } }]', 2, "failed.any.json", "needs one of in, not_in"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, line: int, key: str, word: str) -> None:
    """File, line, key and what is wrong."""
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_layouts(tmp_path)
    problem = refused.value.problems[0]
    assert (problem.file, problem.line, problem.key) == (str(tmp_path / "x.toml"), line, key)
    assert word in problem.message


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """Two broken files are two problems."""
    (tmp_path / "a.toml").write_text("rank = true")
    (tmp_path / "b.toml").write_text("flat = 1")
    with pytest.raises(ConfigError) as refused:
        load_layouts(tmp_path)
    assert [problem.key for problem in refused.value.problems] == ["rank", "flat"]


def test_a_folder_without_layouts_is_a_mistake(tmp_path: Path) -> None:
    """A layouts_dir that holds none, or does not exist, is told."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="layouts_dir"):
            load_layouts(folder)
