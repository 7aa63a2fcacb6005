"""Which folders must be asked for their times so that no new run is missed, and that no others are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runs.instruments import INSTRUMENTS, Instrument
from tests.runs.run_folders import LAYOUTS, READS, Tree
from watcher.model import Kind
from watcher.runs.globs import alternatives
from watcher.runs.layout import FoundRun, find_runs, tells_of_runs

TELLS = tells_of_runs(LAYOUTS)
SIGNS = sorted(
    {
        "/".join(step.replace("*", "x").replace("?", "y") for step in plain.split("/")[count:])
        for layout in LAYOUTS.values()
        for glob in layout.recognises_by
        for plain in alternatives(glob)
        for count in range(plain.count("/") + 1)
        if "[" not in plain
    }
)
"""Names, and ends of paths, that make a folder a run of some layout when they come into the right place."""


def runs_of(tree: Tree) -> list[FoundRun]:
    """Return the runs found in a folder as detect looks for them."""
    run_infos = {path: tree.files[path] for path in ("RunInfo.xml",) if path in tree.files}
    return find_runs(LAYOUTS, tree.listing(), tree.name, run_infos)


def folders_of(tree: Tree) -> Iterator[str]:
    return (path for path, facts in tree.listing().entries.items() if facts.kind is Kind.FOLDER)


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=INSTRUMENTS)
@pytest.mark.parametrize("deep", [False, True], ids=["right below", "in a sample's folder"])
def test_what_comes_elsewhere_makes_no_run(instrument: Instrument, deep: bool) -> None:
    """Whatever sign of a layout appears in a folder that is not among those that tell, the runs are what they were."""
    tree = instrument.make()
    if deep:
        tree = Tree("group", {f"sample/{tree.name}/{path}": content for path, content in tree.files.items()})
    before = runs_of(tree)
    silent = [folder for folder in folders_of(tree) if not TELLS.fullmatch(folder)]
    for sign in SIGNS:
        more = {f"{folder}/{sign}": READS for folder in silent}
        assert runs_of(Tree(tree.name, {**tree.files, **more})) == before, sign


@pytest.mark.parametrize(
    ("folder", "tells"),
    [
        ("Logs", True),
        ("Reports", True),
        ("sample", True),
        ("sample/20260101_1200_X1_FBA00000_00000000", True),
        ("Analysis/2/Data", True),
        ("sample/20260101_1200_X1_FBA00000_00000000/fastq_pass/barcode01", False),
        ("Analysis/2/Data/BCLConvert/fastq", False),
        (".hidden", True),
    ],
)
def test_folders_in_which_a_run_could_show_are_asked(folder: str, tells: bool) -> None:
    """Folders of groups and samples, and those with markers, tell; the many barcodes of a run do not."""
    assert (TELLS.fullmatch(folder) is not None) is tells
