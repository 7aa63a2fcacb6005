"""The generators are right by themselves: names, order, lists and contents agree, whatever layouts make of them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.gzips import BLOCK
from tests.runs.instruments import INSTRUMENTS, Failure, Instrument
from tests.runs.instruments.arrival import State
from tests.runs.instruments.base_calls import HISEQ_4000
from tests.runs.instruments.converters import bclconvert
from tests.runs.instruments.dragen import novaseqx
from tests.runs.instruments.faults import faults
from tests.runs.instruments.illumina import hiseq4000
from tests.runs.instruments.nanopore import ont
from tests.runs.instruments.pacbio import revio
from tests.runs.instruments.trouble import ODD, STORIES, why_not
from tests.runs.run_folders import LAYOUTS, Tree
from watcher.runs.checksums import find_listed, read_manifest
from watcher.runs.markup import key_values, parse_xml, planned_reads, xml_texts
from watcher.runs.sample_sheet import read_sample_sheet

ALL = {**INSTRUMENTS, **ODD}
WITH_READS = {name: one for name, one in ALL.items() if any(one.taken.values())}
FAILURES = [(name, why) for name, one in ALL.items() for why in one.failures]
LISTS = {"Manifest.tsv": "crc32-tsv", "output_hash_": "ont-hash", ".transferdone": "pacbio", "fastq_list": "fastq_list"}
every_instrument = pytest.mark.parametrize("instrument", ALL.values(), ids=ALL)
# One run in one folder, one with several units, one whose list is the marker, one without any marker.
TOLD = ("BCL Convert", "MGI", "NovaSeq X requeued", "folder with list of checksums", "Ion Torrent")
every_told_story = pytest.mark.parametrize(
    ("name", "story"), [(name, story) for name in TOLD for story in STORIES if not why_not(story, ALL[name])]
)


def lists_of(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield each list of files in a run with its kind."""
    for path in tree.files:
        kind = next((kind for part, kind in LISTS.items() if part in path.rsplit("/", 1)[-1]), "")
        if kind or path == "md5sum.txt":
            yield path, kind or "md5"


@every_instrument
def test_making_a_run_is_pure(instrument: Instrument) -> None:
    """The same run comes out each time, also after somebody has failed one of them."""
    first = instrument.make()
    for failure in instrument.failures.values():
        failure.change(first)
    again = instrument.make()
    assert list(first.files.items()) == list(again.files.items())
    assert (first.name, first.listing()) == (again.name, again.listing())


@every_instrument
def test_what_should_be_taken_is_there_and_whole(instrument: Instrument) -> None:
    """Every expected file is written, once, in one unit, and is what its name says."""
    tree = instrument.make()
    paths = [path for unit in instrument.units for path in instrument.taken[unit]]
    assert set(paths) <= set(tree.files) and len(paths) == len(set(paths))
    assert {path: wrong for path in paths if (wrong := faults(path, tree.files[path]))} == {}
    assert (instrument.outcome == "ready") is bool(paths) and not (instrument.nothing and paths)


@every_instrument
def test_units_and_samples_are_named_for_the_same(instrument: Instrument) -> None:
    """A unit has samples where it has files, and each name stands in one of its paths or small files."""
    tree = instrument.make()
    assert set(instrument.samples) == set(instrument.taken) and instrument.units
    for unit, samples in instrument.samples.items():
        assert len(samples) == len(set(samples)) and bool(samples) is bool(instrument.taken[unit])
        text = "\n".join(instrument.taken[unit]).encode()
        sheets = b"".join(content for path, content in tree.files.items() if re.search("sheet|metadata", path.lower()))
        assert [one for one in samples if one.encode() not in text + sheets] == []


@every_instrument
def test_the_marker_comes_after_everything_that_is_taken(instrument: Instrument) -> None:
    """In the order of writing, the proof of a unit is younger than its reads, and the last proof is nearly the last
    file.
    """
    tree = instrument.make()
    order = {path: at for at, path in enumerate(tree.files)}
    assert set(instrument.last) <= set(instrument.units)
    for unit, marker in instrument.last.items():
        assert all(order[path] < order[marker] for path in instrument.taken[unit])
    if instrument.last:
        assert max(order[marker] for marker in instrument.last.values()) >= len(order) - 2


@every_instrument
def test_all_compressed_files_inflate(instrument: Instrument) -> None:
    """Every gzip is whole, and what begins as BGZF ends as BGZF."""
    for path, content in instrument.make().files.items():
        if path.endswith((".gz", ".bam", ".pbi", ".crai")):
            gzip.decompress(content)
            assert (content[12:14] == b"BC") is content.endswith(BLOCK), path


@every_instrument
def test_all_documents_can_be_read(instrument: Instrument) -> None:
    """XML and JSON parse, and sample sheets of Illumina name every sample that is not another application's."""
    for path, content in instrument.make().files.items():
        name = path.rsplit("/", 1)[-1]
        if name.endswith(".xml"):
            parse_xml(content)
        elif name.endswith(".json"):
            json.loads(content)
        elif name in ("SampleSheet.csv", "SampleSheetUsed.csv"):
            assert read_sample_sheet(content, name).rows


@every_instrument
def test_run_ids_agree_with_the_folder(instrument: Instrument) -> None:
    """RunInfo.xml at the top of a run folder names it, its instrument and its flow cell."""
    tree = instrument.make()
    for path in ("RunInfo.xml", "Reports/RunInfo.xml"):
        if (content := tree.files.get(path)) is None:
            continue
        root = parse_xml(content)
        (run,) = xml_texts(root, "Run@Id")
        assert tree.name.removesuffix("_fastq") == run
        assert xml_texts(root, "Run/Instrument")[0] in run and xml_texts(root, "Run/Flowcell")[0] in run
        reads = planned_reads(content)
        assert [one.number for one in reads] == list(range(1, len(reads) + 1))
        assert not reads[0].is_index and any(one.is_index for one in reads)


@every_instrument
def test_lists_name_what_is_there_with_its_checksum(instrument: Instrument) -> None:
    """Every listed file is found, every checksum is that of the file, and a list with checksums leaves no reads out."""
    tree = instrument.make()
    for path, kind in lists_of(tree):
        listed = read_manifest(tree.files[path], kind, path.rsplit("/", 1)[-1])
        folder = path.rpartition("/")[0]
        folder = folder.removesuffix("/Reports").removesuffix("Reports").removesuffix("/metadata")
        places = {name: find_listed(name, list(tree.files), folder) for name in listed}
        assert [name for name, place in places.items() if place is None] == [], path
        for name, checksum in listed.items():
            if checksum is not None:
                content = tree.files[places[name] or ""]
                own = f"{zlib.crc32(content):08x}" if kind == "crc32-tsv" else ""
                assert checksum[1] == (own or hashlib.new(checksum[0], content).hexdigest()), name
        units = [unit for unit in instrument.units if unit == "." or unit in path]
        assert units
        if kind != "fastq_list":
            assert {one for unit in units for one in instrument.taken[unit]} <= set(places.values())


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if one.layout == "bclconvert"])
def test_the_list_of_bcl_convert_pairs_all_reads(name: str) -> None:
    """fastq_list.csv names each file that is taken, but for the UMI, whose place is taken by the last read."""
    tree = ALL[name].make()
    rows = list(csv.DictReader(io.StringIO(tree.files["Reports/fastq_list.csv"].decode())))
    listed = {path.split("_fastq/")[-1] for row in rows for path in (row["Read1File"], row["Read2File"]) if path}
    umi = {path for path in ALL[name].taken["."] if "_R2_" in path and path.replace("_R2_", "_R3_") in tree.files}
    assert listed == set(ALL[name].taken["."]) - umi


@pytest.mark.parametrize(("name", "why"), FAILURES, ids=[f"{name}: {why}" for name, why in FAILURES])
def test_every_failure_differs_from_the_finished_run(name: str, why: str) -> None:
    """A failed run is another folder than the whole one, concerns units that may be there, and leaves the maker be."""
    instrument = ALL[name]
    failure: Failure = instrument.failures[why]
    tree = instrument.make()
    failed = failure.change(tree)
    assert failed.files != tree.files and list(tree.files.items()) == list(instrument.make().files.items())
    assert failed.name == tree.name and failure.outcome != "ready"
    assert not failure.unit or failure.unit in instrument.units or f"{failure.unit}/" in "".join(failed.files)


def test_illumina_names_are_numbered_in_the_order_of_the_sheet() -> None:
    """S numbers follow the first appearance of a sample, whatever lane or project it is in."""
    tree = bclconvert(("b", "a", "c"), ("P", "Q"), lanes=(1, 2))
    order = [row.sample_id for row in read_sample_sheet(tree.files["Reports/SampleSheet.csv"], "SampleSheet.csv").rows]
    numbers = {found[1]: int(found[2]) for path in tree.files if (found := re.search(r"([abc])_S(\d+)_L", path))}
    assert numbers == {sample: at for at, sample in enumerate(dict.fromkeys(order), 1)}


def test_there_is_a_marker_for_each_read_of_the_plan() -> None:
    """Index reads are counted like any other."""
    tree = hiseq4000(lanes=1)
    assert [path for path in tree.files if path.startswith("RTARead")] == [
        f"RTARead{number}Complete.txt" for number in range(1, len(HISEQ_4000.reads) + 1)
    ]


def test_the_summary_of_minknow_counts_its_files() -> None:
    """Passed and failed reads are counted together, each kind by itself."""
    tree = ont(forms=("fastq", "bam", "pod5"))
    (path,) = [path for path in tree.files if path.startswith("final_summary")]
    told = key_values(tree.files[path])
    for kind in ("fastq.gz", "bam", "pod5"):
        count = sum(path.endswith(f".{kind}") for path in tree.files)
        assert told[f"{kind.split('.')[0]}_files_in_final_dest"] == str(count) != "0"


def test_a_cell_of_pacbio_is_listed_as_it_lay_on_the_instrument() -> None:
    """The number at the top is that of the lines below, paths begin with the movie's folder, the metadata lies of its
    encoding, and empty cells have the test of the transfer alone.
    """
    tree = revio(without_data=("1_C01",))
    (path, _) = [path for path in tree.files if path.endswith(".transferdone")]
    lines = tree.files[path].decode().splitlines()
    movie = path.rsplit("/", 1)[-1].removesuffix(".transferdone")
    assert int(lines[0].split()[-1]) == len(lines) - 2
    assert all(line.startswith(f"/data/icc/{movie}/") for line in lines[2:])
    metadata = tree.files[f"1_A01/metadata/{movie}.metadata.xml"]
    assert b'encoding="utf-16"' in metadata and xml_texts(parse_xml(metadata), "WellSample@Name") == ["Well 1_A01"]
    assert [path for path in tree.files if path.startswith("1_C01/")] == ["1_C01/Transfer_Test_260228_134701.txt"]


def test_pruning_leaves_the_base_calls_out() -> None:
    """A look that does not enter them finds the folders and everything else."""
    tree = novaseqx()
    seen = tree.seen_by(LAYOUTS["novaseqx"])
    left_out = set(tree.files) - set(seen.files)
    assert left_out and all(path.endswith((".cbcl", ".filter", ".bin", ".log", ".xml", ".cfg")) for path in left_out)
    assert "Data/Intensities/BaseCalls/L001" in seen.pruned <= set(seen.listing().entries)


@every_told_story
def test_a_story_ends_with_the_whole_run_and_time_passes(name: str, story: str) -> None:
    """What is called whole is the run itself, bytes and names; each look is later than the one before."""
    instrument = ALL[name]
    told = STORIES[story](instrument)
    assert told.name == story and len(told.states) > 1
    times = [state.tree.listing().taken_at for state in told.states]
    assert times == sorted(times) and len(set(times)) == len(times) and all(one.after_s > 0 for one in told.states)
    whole = instrument.make()
    for state in (state for state in told.states if state.is_whole):
        assert state.tree.name == whole.name and state.tree.files.items() <= {**whole.files, **_beside(state)}.items()
    if told.states[-1].is_whole:
        assert set(whole.files) <= set(told.states[-1].tree.files)


def _beside(state: State) -> dict[str, bytes]:
    return {path: content for path, content in state.tree.files.items() if path.endswith(".aspx")}


@every_told_story
def test_damaged_files_are_damaged_and_no_others(name: str, story: str) -> None:
    """Files called damaged differ from their own bytes, all others under final names do not, unless they were written
    again.
    """
    instrument = ALL[name]
    whole = instrument.make()
    for state in STORIES[story](instrument).states:
        differing = {path for path, content in state.tree.files.items() if content != whole.files.get(path, content)}
        assert differing == set(state.damaged) or story == "data after marker"


@pytest.mark.parametrize("story", ["SMB", "a hole at the end", "truncated"])
@pytest.mark.parametrize("name", WITH_READS)
def test_what_no_listing_shows_is_found_by_reading(name: str, story: str) -> None:
    """Zeros, holes and cuts are faults of the file for all formats that are taken."""
    for state in STORIES[story](WITH_READS[name]).states:
        assert [path for path in state.damaged if not faults(path, state.tree.files[path])] == []


def test_quiet_is_counted_between_looks() -> None:
    """A file is quiet from its second look on, and not after it changed."""
    told = STORIES["slow writer"](ALL["BCL Convert"])
    first, second, third, *_ = told.looks()
    (growing,) = first[0].damaged
    assert set(first[1].values()) == {0.0} and first[0].after_s < second[0].after_s
    assert second[1][growing] == second[1]["Logs/Info.log"] == second[0].after_s
    assert third[1]["Logs/Info.log"] == second[0].after_s + third[0].after_s and third[1][growing] == 0.0


def test_times_and_sizes_are_on_the_disk_too(tmp_path: Path) -> None:
    """What a look is told of a file is what a real folder says of it."""
    state = STORIES["robocopy"](ALL["BCL Convert"]).states[0]
    written = state.tree.write(tmp_path)
    for facts in state.tree.listing().files():
        seen = (written / facts.path).stat()
        assert (seen.st_size, seen.st_mtime_ns) == (facts.size, facts.mtime_ns)
