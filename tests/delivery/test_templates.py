"""Templates call results by output and element, whatever these are called: inside, different, stable, never twice."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.delivery.results import AtOnce, Results, run_command
from tests.delivery.stores import S3
from watcher.clock import ManualClock, SystemClock
from watcher.delivery import FolderDelivery, ObjectStoreDelivery
from watcher.delivery.names import lay_out
from watcher.delivery.templates import Names
from watcher.model import DatasetId
from watcher.results import MANIFEST, ResultFile

MARKER = "DELIVERED"


def result(*parts: str, ext: str = "tabular", galaxy_id: str = "f1", name: str = "") -> ResultFile:
    """Describe a result that is never read."""
    return ResultFile(DatasetId(galaxy_id), parts, ext, 1, name=name)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{element}/{output}.{ext}", "S1_forward/counts.tabular"),
        ("{output}_{element}.{ext}", "counts_S1_forward.tabular"),
        ("{element.1}/{element.2}.{ext}", "S1/forward.tabular"),
        ("{element.1}/{element.3}/{element.2}.tsv", "S1/forward.tsv"),
        ("{run}/{unit}/{output}-{unit}-{element.1}", "R1/counts-S1"),
        ("{ext}/{name}.{ext}", "tabular/Count on data 3_ counts.tabular"),
        ("{output}.{element.2}.{ext}", "counts.forward.tabular"),
        ("{element.3}_{output}.{ext}", "counts.tabular"),
        ("{{{output}}}.{ext}", "{counts}.tabular"),
    ],
)
def test_a_template_calls_a_result(template: str, path: str) -> None:
    """Its fields are filled in, what is empty takes a separator along, and the extension is that of the datatype."""
    names = Names([("*", template)], {"run": "R1", "unit": ""})
    file = result("counts", "S1", "forward", name="Count on data 3: counts")
    assert list(lay_out([file], names=names)) == [path]


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{output}_{element}.{ext}", "counts.tsv"),
        ("{element}/{output}.{ext}", "counts.tsv"),
        ("{element}", "counts.tsv"),
    ],
)
def test_a_result_without_a_collection_has_no_element(template: str, path: str) -> None:
    """Nothing is left of the field; and an ending that says the same as the datatype is not said twice."""
    assert list(lay_out([result("counts.tsv")], names=Names([("*", template)]))) == [path]


def test_the_first_pattern_that_fits_counts() -> None:
    """By the label of the output or the extension of the datatype; what fits none is called as without templates."""
    names = Names([("count*", "c/{output}.{ext}"), ("ext:html", "pages/{output}.{ext}"), ("*s", "s/{output}.{ext}")])
    files = [
        result("counts", galaxy_id="a"),
        result("report", ext="html", galaxy_id="b"),
        result("reads", galaxy_id="c"),
        result("table", "S1", galaxy_id="d"),
    ]
    assert sorted(lay_out(files, names=names)) == [
        "c/counts.tabular", "pages/report.html", "s/reads.tabular", "table/S1.tabular",
    ]  # fmt: skip


def test_what_a_template_calls_alike_is_told_apart() -> None:
    """Both get a suffix, which depends on themselves alone."""
    names = Names([("*", "all.{ext}")])
    files = [result("counts", f"S{number}", galaxy_id=f"id{number}") for number in range(3)]
    paths = lay_out(files, names=names)
    assert len(paths) == 3
    assert all(path.startswith("all~") and path.endswith(".tabular") for path in paths)
    assert paths == lay_out(files[::-1], names=names)


def test_an_index_and_the_files_of_a_page_go_along() -> None:
    """An index keeps the name of its alignment; a page and its files keep a folder, which is called by the template."""
    names = Names([("*", "{element}/{output}.{ext}")])
    bam = result("aligned", "S1", ext="bam")
    page = ResultFile(DatasetId("f2"), ("report", "S1", "S1"), "html", 1, within=1)
    beside = ResultFile(DatasetId("f2"), ("report", "S1", "img", "a.png"), "", 1, member="extra:img/a.png", within=2)
    files = [bam, dataclasses.replace(bam, member="metadata:bam_index", suffix="bai"), page, beside]
    assert sorted(lay_out(files, names=names)) == [
        "S1/aligned.bam", "S1/aligned.bam.bai", "S1/report/img/a.png", "S1/report/report.html",
    ]  # fmt: skip


def test_a_folder_called_like_the_marker_gives_way() -> None:
    """Else the marker could not be made at the end."""
    names = Names([("*", "{element}/{output}.{ext}")])
    paths = lay_out(
        [result("counts", "delivered"), result("counts", MANIFEST, galaxy_id="b")], kept=[MARKER], names=names
    )
    assert sorted(paths) == [f"_{MANIFEST}/counts.tabular", "_delivered/counts.tabular"]


def test_what_another_file_has_the_name_of_has_others() -> None:
    """Always the same ones; an index moves with its alignment."""
    delivery = FolderDelivery(Path("/nowhere/x"), Path("/nowhere"), AtOnce(), ManualClock())
    bam = result("aligned", ext="bam")
    delivery.places([bam, dataclasses.replace(bam, member="metadata:bam_index", suffix="bai"), result("b", ext="bam")])
    (alike, single) = delivery.companions()
    assert list(alike) == ["aligned.bam", "aligned.bam.bai"]
    assert [f"{path}.bai" for path in alike["aligned.bam"]] == alike["aligned.bam.bai"]
    assert len(set(alike["aligned.bam"])) == 2
    assert all(path.startswith("b~") and path.endswith(".bam") for path in single["b.bam"])
    assert delivery.companions() == [alike, single]


EVIL = st.sampled_from(
    [
        "..", ".", "", "/", "a/b", "a\\b", "../../etc/passwd", "/etc/passwd", "A", "a", "ä", "a\u0308", "Å", "\u212b",
        "con", "NUL.txt", "x.txt", "X.TXT", MANIFEST, MANIFEST.lower(), MARKER, MARKER.lower(), "-rf", "~", "\n",
        "a\nb", "\x00", "\udcff", "\u202e", ".hidden", "x" * 300, "ä" * 200, "x" * 299 + "y", "{output}", "S1", "s1",
        "ſ1", " ", "a ", "a.", ".x.txt.aaaaaa.part", "%2e%2e%2f", "a//b", "*", "?", "ß", "ss", "ﬁ", "fi",
    ]
)  # fmt: skip
PART = EVIL | st.text(max_size=300)
FIELDS = ["output", "element", "element.1", "element.2", "name", "ext", "run", "project"]
PIECE = st.sampled_from([f"{{{field}}}" for field in FIELDS] + ["/", "_", ".", "-", "x", "CON", " "])
TEMPLATE = st.lists(PIECE, min_size=1, max_size=8).map("".join)
FILES = st.lists(
    st.tuples(st.lists(PART, min_size=1, max_size=4).map(tuple), st.sampled_from(["txt", "", "html", "tabular"]), PART),
    min_size=1,
    max_size=8,
)
NAMES = st.none() | st.tuples(TEMPLATE, st.booleans(), PART, PART)


def hostile(
    results: Results, files: list[tuple[tuple[str, ...], str, str]], template: tuple[str, bool, str, str] | None
) -> tuple[list[ResultFile], Names]:
    """Return results of these names, each of other bytes, and the template."""
    made = [
        dataclasses.replace(results.add(f"id{number}", f"content {number}".encode(), *parts, ext=ext), name=name)
        for number, (parts, ext, name) in enumerate(files)
    ]
    if template is None:
        return made, Names()
    text, ends, run, project = template
    return made, Names([("*", text + ".{ext}" * ends)], {"run": run, "project": project})


async def bring(delivery: FolderDelivery | ObjectStoreDelivery, results: Results, files: list[ResultFile]) -> list[str]:
    """Deliver as the stage does; return the paths."""
    listed = []
    for path, file in delivery.places(files).items():
        listed.append((path, (await delivery.put(results, file, path))[1]))
    await delivery.write_manifest(listed)
    return [path for path, _ in listed]


@settings(max_examples=30, deadline=None)
@given(FILES, NAMES)
def test_hostile_names_stay_in_the_folder_and_overwrite_nothing(
    files: list[tuple[tuple[str, ...], str, str]], template: tuple[str, bool, str, str] | None
) -> None:
    """On a real folder: every file has bytes of its own, nothing lies outside, and `sha256sum -c` accepts all of it."""
    results = Results()
    made, names = hostile(results, files, template)
    with tempfile.TemporaryDirectory() as above:
        base = Path(above, "base")
        base.mkdir()
        delivery = FolderDelivery(base / "run", base, AtOnce(), ManualClock(), marker=MARKER, names=names)
        paths = asyncio.run(bring(delivery, results, made))
        assert len({path.casefold() for path in paths}) == len(made)
        there = {str(path.relative_to(base / "run")): path.read_bytes() for path in base.rglob("*") if path.is_file()}
        assert there.keys() == {*paths, MANIFEST, MARKER}
        assert sorted(there[path] for path in paths) == sorted(results.contents.values())
        assert [path.name for path in Path(above).iterdir()] == ["base"]
        assert [path.name for path in base.iterdir()] == ["run"]
        checked = run_command("sha256sum", "--check", "--strict", MANIFEST, cwd=base / "run")
        assert checked.count(": OK") == len(made)


@pytest.mark.xdist_group("object stores")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, template=NAMES)
def test_hostile_names_are_keys_below_the_prefix_and_overwrite_nothing(
    s3: S3, files: list[tuple[tuple[str, ...], str, str]], template: tuple[str, bool, str, str] | None
) -> None:
    """In a real store: every object has bytes of its own, and every key lies below the prefix and is short enough."""
    results = Results()
    made, names = hostile(results, files, template)
    url = f"s3://{s3.bucket}/run/out"
    delivery = ObjectStoreDelivery(url, s3.options(), SystemClock(), marker=MARKER, names=names)
    paths = asyncio.run(bring(delivery, results, made))
    contents = s3.contents()
    assert contents.keys() == {f"run/out/{path}" for path in (*paths, MANIFEST, MARKER)}
    assert sorted(contents[f"run/out/{path}"] for path in paths) == sorted(results.contents.values())
    assert all(len(key.encode()) <= 1024 for key in contents)
    for key in contents:
        s3.client.delete_object(Bucket=s3.bucket, Key=key)
