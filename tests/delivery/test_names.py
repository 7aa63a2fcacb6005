"""Names from Galaxy become safe file names: inside, visible, short, different, and the same in any order."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.delivery.names import LONGEST_NAME_BYTES, clean_part, lay_out, manifest_entries, manifest_line
from watcher.model import DatasetId
from watcher.results import MANIFEST, ResultFile

PARTS = st.lists(st.text(min_size=0, max_size=120), min_size=1, max_size=3).map(tuple)
ODD = st.sampled_from(
    ["..", ".", "", "a/b", "A", "a", "ä", "a\u0308", "con", "x.txt", "X.TXT", "MANIFEST.sha256", "-rf", "\n", "\x00"]
)
ODD_PARTS = st.lists(ODD, min_size=1, max_size=3).map(tuple)


def result(*parts: str, ext: str = "txt", galaxy_id: str = "f1") -> ResultFile:
    """Describe a result that is never read."""
    return ResultFile(DatasetId(galaxy_id), parts, ext, 1)


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("report", "report"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "_"),
        ("", "_"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("a\nb\tc\x00d\x7fe", "a_b_c_d_e"),
        ("C:\\temp\\x", "C__temp_x"),
        ("FastQC on data 3: Webpage", "FastQC on data 3_ Webpage"),
        ("what?*<>|\"'", "what______'"),
        ("nul", "_nul"),
        ("COM1.log", "_COM1.log"),
        ("console", "console"),
        ("ends with dots. . .", "ends with dots"),
        ("a\u0308", "ä"),
        ("right\u202eto\u200bleft", "right_to_left"),
        ("line\u2028break", "line_break"),
        ("\udcff", "_"),
        ("Ångström 100 %", "Ångström 100 %"),
    ],
)
def test_one_part_is_made_safe(given_name: str, safe: str) -> None:
    """Separators, control characters, leading dots, device names and odd Unicode are replaced; the rest stays."""
    assert clean_part(given_name) == safe


@pytest.mark.parametrize(
    ("name", "ext", "path"),
    [
        ("report", "html", "report.html"),
        ("report.html", "html", "report.html"),
        ("report.HTM", "html", "report.HTM"),
        ("S1_R1.fastq.gz", "fastqsanger.gz", "S1_R1.fastq.gz"),
        ("S1", "fastqsanger.gz", "S1.fastqsanger.gz"),
        ("counts.tsv", "tabular", "counts.tsv"),
        ("counts", "tabular", "counts.tabular"),
        ("v1.2", "txt", "v1.2.txt"),
        ("html", "html", "html.html"),
        ("archive", "data", "archive"),
        ("archive.tar", "", "archive.tar"),
    ],
)
def test_the_extension_comes_from_the_datatype(name: str, ext: str, path: str) -> None:
    """Galaxy's extension is appended, unless the name already says the same."""
    assert list(lay_out([result(name, ext=ext)])) == [path]


def test_a_collection_is_a_folder() -> None:
    """Path parts become folders, each made safe by itself."""
    assert list(lay_out([result("trimmed reads", "../S1", "forward", ext="fastqsanger")])) == [
        "trimmed reads/_S1/forward.fastqsanger"
    ]


def test_names_that_differ_in_case_alone_are_told_apart() -> None:
    """Both get a suffix of their own, so that neither depends on which came first."""
    files = [result("Report", galaxy_id="a"), result("report", galaxy_id="b"), result("other", galaxy_id="c")]
    paths = lay_out(files)
    assert len(paths) == 3
    assert "other.txt" in paths
    assert sorted(path.split("~")[0] for path in paths) == ["Report", "other.txt", "report"]
    assert paths == lay_out(files[::-1])


def test_the_manifest_keeps_its_name() -> None:
    """A result called like the manifest, or a folder called so, gets another name."""
    paths = lay_out([result(MANIFEST, ext="", galaxy_id="a"), result(MANIFEST.lower(), "x", galaxy_id="b")])
    assert all(path.split("/")[0].casefold() != MANIFEST.casefold() for path in paths)


def test_a_file_and_a_folder_of_one_name() -> None:
    """A file that is called like a folder of another result gives way."""
    paths = lay_out([result("S1", ext="", galaxy_id="a"), result("s1", "forward", ext="", galaxy_id="b")])
    assert "s1/forward" in paths
    assert len({path.split("/")[0].casefold() for path in paths}) == 2


def test_long_names_keep_their_extension() -> None:
    """A name that is too long is cut at a whole character, keeps its extension, and differs from its like."""
    first, second = "ä" * 300 + "1", "ä" * 300 + "2"
    paths = list(lay_out([result(first, ext="html", galaxy_id="a"), result(second, ext="html", galaxy_id="b")]))
    assert len(set(paths)) == 2
    for path in paths:
        assert path.endswith(".html")
        assert len(path.encode()) <= LONGEST_NAME_BYTES
        assert path.startswith("ää")


@settings(max_examples=60)
@given(st.lists(st.tuples(PARTS | ODD_PARTS, st.sampled_from(["txt", "", "html", "fastqsanger.gz"])), max_size=12))
def test_any_names_are_safe_and_stable(names: list[tuple[tuple[str, ...], str]]) -> None:
    """Whatever the names: as many paths as results, inside, different, none reserved or hidden, in any order."""
    files = [ResultFile(DatasetId(f"id{number}"), parts, ext, 1) for number, (parts, ext) in enumerate(names)]
    paths = lay_out(files)
    assert sorted(paths.values(), key=lambda file: file.galaxy_id) == sorted(files, key=lambda file: file.galaxy_id)
    assert len({path.casefold() for path in paths}) == len(files)
    folders = {path.rsplit("/", depth)[0].casefold() for path in paths for depth in range(1, path.count("/") + 1)}
    assert not folders & {path.casefold() for path in paths}
    for path in paths:
        assert path.split("/")[0].casefold() != MANIFEST.casefold()
        for part in path.split("/"):
            assert part not in ("", ".", "..")
            assert part[0] not in ".-"
            assert part.isprintable()
            assert len(part.encode()) <= 250
    assert lay_out(sorted(files, key=lambda file: hashlib.md5(file.galaxy_id.encode()).digest())) == paths


def test_odd_names_in_a_manifest_are_read_by_sha256sum(tmp_path: Path) -> None:
    """Lines with a backslash or a line break in the name are escaped the way `sha256sum -c` expects."""
    lines = ""
    for name in ("plain", "with space", "back\\slash", "new\nline", " leading", "ü"):
        (tmp_path / name).write_bytes(name.encode())
        lines += manifest_line(name, hashlib.sha256(name.encode()).hexdigest())
    (tmp_path / MANIFEST).write_text(lines)
    subprocess.run(["sha256sum", "--check", "--strict", MANIFEST], cwd=tmp_path, check=True, capture_output=True)


@given(st.lists(st.text(min_size=1).filter(lambda name: "\r" not in name), unique=True))
def test_a_manifest_is_read_as_it_was_written(names: list[str]) -> None:
    """Each path has its SHA-256 again, also with a backslash or a line break in it; other lines are left out."""
    written = {name: hashlib.sha256(name.encode("utf-8", "replace")).hexdigest() for name in names}
    text = "".join(manifest_line(name, sha256) for name, sha256 in written.items())
    assert manifest_entries(f"# no line of a manifest\n{text}") == written


def test_an_index_is_called_as_what_it_belongs_to() -> None:
    """Programs look for it there: also where names had to be told apart, and where they were cut."""
    for name in ("reads", "reads.bam", "r" * 300):
        files = [
            ResultFile(DatasetId(dataset), (name,), "bam", 1, member=member, suffix=suffix)
            for dataset in ("f1", "f2")
            for member, suffix in (("", ""), ("metadata:bam_index", "bai"))
        ]
        names = {(file.galaxy_id, file.member): path for path, file in lay_out(files).items()}
        assert len(names) == 4
        for dataset in ("f1", "f2"):
            assert names[DatasetId(dataset), "metadata:bam_index"] == f"{names[DatasetId(dataset), '']}.bai"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../../b", "", ".", "page", "PAGE.html"])
def test_files_beside_a_result_stay_in_its_folder(path: str) -> None:
    """Whatever a tool called them: inside the folder, never one with the page itself."""
    page = ResultFile(DatasetId("f1"), ("page", "page"), "html", 1)
    beside = [
        ResultFile(DatasetId("f1"), ("page", *one.split("/")), "", 1, member=f"extra:{one}")
        for one in (path, f"{path}/", "page.html")
    ]
    laid_out = lay_out([page, *beside])
    assert set(laid_out.values()) == {page, *beside}
    assert all(one.startswith("page/") and ".." not in one.split("/") for one in laid_out)
    assert len({one.casefold() for one in laid_out}) == 4
