"""What the instrument of a run is called: as its own files tell it, else as its id or the folder's name does."""

from __future__ import annotations

import pytest

from tests.runs.instruments import INSTRUMENTS
from tests.runs.run_folders import Tree, bclconvert
from watcher.runs.layout import load_layouts

LAYOUTS = load_layouts()
TOLD = {
    "MiSeq MSR": "M02439",
    "MiniSeq": "MN00218",
    "iSeq 100": "FS10000507",
    "HiSeq X": "ST-E00266",
    "NextSeq 2000": "VH01314",
    "NovaSeq X": "LH00188",
    "BCL Convert": "A00187",
    "bcl2fastq": "NB551051",
    "FASTQs of a converter, copied alone": "",
    "ONT with barcodes": "PC24B123",
    "ONT pooled": "PC24B123",
    "PacBio Revio": "84028",
    "PacBio Sequel IIe": "64123e",
    "Element AVITI": "AV240405",
    "MGI": "",
    "Singular G4": "SG123456",
    "folder with marker": "",
}
RUN_INFO = b'<?xml version="1.0"?><RunInfo><Run Id="site_name_1"><Instrument>M00042</Instrument></Run></RunInfo>'


def instruments_of(tree: Tree, layout: str) -> set[str]:
    """Return what the instruments of the units are called."""
    return {view.instrument for view in tree.seen_by(LAYOUTS[layout]).views(layout, {})}


@pytest.mark.parametrize("name", TOLD)
def test_runs_tell_their_instrument(name: str) -> None:
    """By their id or their files; of a run that tells none it is the empty name."""
    assert instruments_of(INSTRUMENTS[name].make(), INSTRUMENTS[name].layout) == {TOLD[name]}


def test_what_the_run_says_wins_over_its_name() -> None:
    """A site may call the folder whatever it likes; where its file is half written, the folder's name is left."""
    tree = bclconvert()
    assert instruments_of(tree.add("Reports/RunInfo.xml", RUN_INFO), "bclconvert") == {"M00042"}
    half = Tree("240101_M00777_0001_x").add("a_S1_R1_001.fastq.gz").add("Logs/FastqComplete.txt", b"")
    assert instruments_of(half.add("Reports/RunInfo.xml", RUN_INFO[:60]), "bclconvert") == {"M00777"}


def test_parameters_of_an_aviti_tell_it() -> None:
    """The file that Bases2Fastq and the instrument leave names it, whatever the folder is called."""
    tree = INSTRUMENTS["Bases2Fastq"].make().add("RunParameters.json", b'{"InstrumentName":"AV240406"}')
    assert instruments_of(tree, "bases2fastq") == {"AV240406"}
