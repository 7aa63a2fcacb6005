"""Run folders of PacBio: one folder for each SMRT Cell, all made at once, filled hours apart, each with its own end.

The list of what was transferred names the files as they lay on the instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.runs.instruments.content import bam, pbi
from tests.runs.instruments.instrument import Failure, Instrument, crashed_before, without
from tests.runs.run_folders import Tree

REVIO = "r84028_20260228_134701"
VEGA = "r21005_20260228_134701"
SEQUEL = "r64123e_20260228_120000"
BARCODED = ("bc2001", "bc2002")


def movie_of(run: str, cell: str, number: int) -> str:
    """Return what the movie of a cell is called: the date has six digits here, and the stage ends it."""
    instrument, date, _ = run.split("_")
    return f"m{instrument[1:]}_{date[2:]}_{13 + number:02d}4701_s{number}"


def revio(cells: Mapping[str, Sequence[str]] | None = None, run: str = REVIO, without_data: Iterable[str] = ()) -> Tree:
    """Return a run of Revio or Vega: cells with their barcodes, `default` for a cell without any.

    Cells `without_data` hold nothing but the test of the transfer, which every cell gets right at the start.
    """
    cells = cells if cells is not None else {"1_A01": (*BARCODED, "unassigned"), "1_B01": ("default",)}
    tree = Tree(run)
    for cell in (*cells, *without_data):
        tree.add(f"{cell}/Transfer_Test_260228_134701.txt", b"test of the transfer\n")
    for number, (cell, labels) in enumerate(cells.items(), 1):
        movie = movie_of(run, cell, number)
        before = set(tree.files)
        for label in labels:
            _reads(tree, cell, movie, "hifi", label)
        for label in labels:
            if label != "default":
                _reads(tree, cell, movie, "fail", label)
        tree.add(f"{cell}/statistics/{movie}.sts.xml", b"<PipeStats/>")
        tree.add(f"{cell}/statistics/{movie}.zmw_metrics.json.gz", pbi())
        tree.add(f"{cell}/metadata/{movie}.metadata.xml", metadata(movie, cell, labels))
        tree.add(f"{cell}/metadata/{movie}.run.metadata.xml", metadata(movie, cell, ()))
        listed = [path for path in tree.files if path not in before]
        tree.add(f"{cell}/metadata/{movie}.transferdone", transferdone(movie, cell, listed))
    return tree


def _reads(tree: Tree, cell: str, movie: str, kind: str, label: str) -> None:
    stem = f"{movie}.{kind}_reads.{label}"
    tree.add(f"{cell}/{kind}_reads/{stem}.bam", bam(stem)).add(f"{cell}/{kind}_reads/{stem}.bam.pbi", pbi())
    tree.add(
        f"{cell}/pb_formats/{stem}.consensusreadset.xml",
        f'<?xml version="1.0" encoding="utf-8"?>\n<pbds:ConsensusReadSet xmlns:pbds="http://pacificbiosciences.com/'
        f'PacBioDatasets.xsd" Name="{stem}" Version="4.0.1"/>\n'.encode(),
    )


def metadata(movie: str, cell: str, labels: Iterable[str]) -> bytes:
    """Return the metadata of a cell: it declares UTF-16 and is UTF-8."""
    barcodes = "".join(
        f'<BioSample Name="Sample of {label}"><DNABarcodes><DNABarcode Name="{label}--{label}"/>'
        "</DNABarcodes></BioSample>"
        for label in labels
        if label.startswith("bc")
    )
    return (
        '<?xml version="1.0" encoding="utf-16"?>\n<PacBioDataModel xmlns="http://pacificbiosciences.com/'
        'PacBioDataModel.xsd" Version="0.1">\n  <ExperimentContainer><Runs><Run Status="Complete"><Outputs>'
        f'<CollectionMetadata Context="{movie}"><WellSample Name="Well {cell}"><WellName>{cell[2:]}</WellName>'
        f"<BioSamples>{barcodes}</BioSamples></WellSample></CollectionMetadata></Outputs></Run></Runs>"
        "</ExperimentContainer>\n</PacBioDataModel>\n"
    ).encode()


def transferdone(movie: str, cell: str, listed: Iterable[str]) -> bytes:
    """Return the list of what was transferred: how many, then each path on the instrument."""
    inner = [path.removeprefix(f"{cell}/") for path in listed]
    lines = [f"Transfer Manifest nfiles: {len(inner)}", f"AcqId: 0f2b7c1e, FileList: {len(inner)}"]
    return "\n".join([*lines, *(f"/data/icc/{movie}/{path}" for path in inner), ""]).encode()


def sequel2e(cells: Sequence[str] = ("1_A01", "2_B01"), run: str = SEQUEL, *, all_reads: bool = False) -> Tree:
    """Return a run of Sequel IIe, flat in each cell; `all_reads` = it was told to keep the reads that are not HiFi."""
    tree = Tree(run)
    for number, cell in enumerate(cells, 1):
        movie = f"{run.split('_')[0].replace('r', 'm')}_260228_{12 + number}0000"
        before = set(tree.files)
        tree.add(f"{cell}/.{movie}.run.metadata.xml", metadata(movie, cell, ()))
        kind = "reads" if all_reads else "hifi_reads"
        tree.add(f"{cell}/{movie}.{kind}.bam", bam(movie)).add(f"{cell}/{movie}.{kind}.bam.pbi", pbi())
        tree.add(f"{cell}/{movie}.consensusreadset.xml", b'<?xml version="1.0"?><ConsensusReadSet/>')
        tree.add(f"{cell}/{movie}.sts.xml", b"<PipeStats/>").add(f"{cell}/{movie}.ccs_reports.txt", b"ZMWs input\n")
        tree.add(f"{cell}/.{movie}.metadata.xml", metadata(movie, cell, ()))
        listed = [path for path in tree.files if path not in before]
        tree.add(f"{cell}/{movie}.transferdone", transferdone(movie, cell, listed))
    return tree


def _hifi(run: str, cell: str, number: int, labels: Iterable[str]) -> tuple[str, ...]:
    movie = movie_of(run, cell, number)
    return tuple(f"{cell}/hifi_reads/{movie}.hifi_reads.{label}.bam" for label in labels)


def _done(run: str, cell: str, number: int) -> str:
    return f"{cell}/metadata/{movie_of(run, cell, number)}.transferdone"


def _longer_list(path: str) -> Callable[[Tree], Tree]:
    """List a file that was never transferred."""

    def change(tree: Tree) -> Tree:
        changed = tree.copied()
        lines = changed.files[path].decode().splitlines()
        count = len(lines) - 1
        lines[0] = f"Transfer Manifest nfiles: {count}"
        lines.append(lines[2].replace(".bam", ".more.bam"))
        changed.files[path] = "\n".join([*lines, ""]).encode()
        return changed

    return change


def _with_an_empty_cell(tree: Tree) -> Tree:
    """Add a cell that is planned, and of which nothing has arrived but the test of the transfer."""
    return tree.copied().add("1_C01/Transfer_Test_260228_134701.txt", b"test of the transfer\n")


def _vega() -> Tree:
    return revio({"1_A01": ("default",)}, VEGA)


_FIRST_DONE = _done(REVIO, "1_A01", 1)
_SEQUEL_MOVIES = {"1_A01": "m64123e_260228_130000", "2_B01": "m64123e_260228_140000"}
_FAILURES = {
    "the second cell is still sequenced": Failure(
        crashed_before(f"1_B01/hifi_reads/{movie_of(REVIO, '1_B01', 2)}.hifi_reads.default.bam"), "waiting", "1_B01"
    ),
    "transfer of a cell died": Failure(without(_FIRST_DONE), "waiting", "1_A01"),
    "the list is longer than what is there": Failure(_longer_list(_FIRST_DONE), "waiting", "1_A01"),
    "a listed BAM is not there": Failure(
        without(_hifi(REVIO, "1_A01", 1, BARCODED)[1]), "waiting", "1_A01"
    ),
    "a planned cell without data": Failure(_with_an_empty_cell, "waiting", "1_C01"),
}  # fmt: skip

TABLE: Mapping[str, Instrument] = {
    "PacBio Revio": Instrument(
        "pacbio", revio,
        {"1_A01": BARCODED, "1_B01": ("Well 1_B01",)},
        {"1_A01": _hifi(REVIO, "1_A01", 1, BARCODED), "1_B01": _hifi(REVIO, "1_B01", 2, ("default",))},
        {"1_A01": _FIRST_DONE, "1_B01": _done(REVIO, "1_B01", 2)},
        _FAILURES,
    ),
    "PacBio Vega": Instrument(
        "pacbio", _vega,
        {"1_A01": ("Well 1_A01",)},
        {"1_A01": _hifi(VEGA, "1_A01", 1, ("default",))},
        {"1_A01": _done(VEGA, "1_A01", 1)},
    ),
    "PacBio Sequel IIe": Instrument(
        "pacbio-sequel2", sequel2e,
        {cell: (f"Well {cell}",) for cell in _SEQUEL_MOVIES},
        {cell: (f"{cell}/{movie}.hifi_reads.bam",) for cell, movie in _SEQUEL_MOVIES.items()},
        {cell: f"{cell}/{movie}.transferdone" for cell, movie in _SEQUEL_MOVIES.items()},
        {
            "transfer of a cell died": Failure(
                without(f"2_B01/{_SEQUEL_MOVIES['2_B01']}.transferdone"), "waiting", "2_B01"
            )
        },
    ),
}  # fmt: skip
