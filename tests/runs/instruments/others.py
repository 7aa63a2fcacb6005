"""Run folders of Element, MGI, Ultima, Ion Torrent and Singular: each with its own idea of what says that it is over.

Two of them have no marker at all; there only quiet tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tests.runs.instruments.content import bam, cram, fastq_gz
from tests.runs.instruments.illumina import TWO
from tests.runs.instruments.instrument import (
    Failure,
    Instrument,
    base_calls_only,
    both,
    crashed_before,
    one_unit,
    with_file,
    without,
)
from tests.runs.run_folders import Tree

AVITI = "20260228_AV240405_Reef12"
CHIP = "V350012345"
ULTIMA = "424090-20260228_0117"
TORRENT = "Auto_user_S5-00123-42-Reef_run_7_123"
SINGULAR = "260228_SG123456_0042_1_ABCD1234"


def element_raw(outcome: str = "OutcomeCompleted") -> Tree:
    """Return what an AVITI uploads: base calls in ZIP, and RunUploaded.json as the last file."""
    tree = Tree(AVITI)
    parameters = {
        "FileVersion": "5.0.0",
        "RunName": "Reef12",
        "RunType": "Sequencing",
        "Cycles": {"R1": 151, "R2": 151},
    }
    tree.add("RunParameters.json", json.dumps(parameters).encode())
    tree.add("RunManifest.csv", run_manifest(TWO)).add("RunManifest.json", b'{"Samples":[]}')
    for cycle in ("R1_C001", "R1_C002", "I1_C001", "R2_C001"):
        tree.add(f"BaseCalls/{cycle}.zip", b"PK\x05\x06" + bytes(18))
    tree.add("Filter/L1.zip", b"PK\x05\x06" + bytes(18)).add("Location/L1.loc", b"\x01\x02")
    tree.add("AvitiRunStats.json", b'{"RunStats":{}}')
    return tree.add("RunUploaded.json", uploaded(outcome))


def uploaded(outcome: str) -> bytes:
    """Return RunUploaded.json, which is written however the run ended."""
    return json.dumps(
        {
            "version": "1.0.0",
            "instrument": "AV240405",
            "runID": "Reef12",
            "recipeExecutionID": "A1B2",
            "outcome": outcome,
        }
    ).encode()


def run_manifest(samples: Sequence[str], projects: Sequence[str] = ("",)) -> bytes:
    """Return Element's sample sheet."""
    text = "[RUNVALUES],,,,\nKeyName,Value,,,\n,,,,\n[SETTINGS],,,,\nSettingName,Value,,,\n,,,,\n[SAMPLES],,,,\n"
    text += "SampleName,Index1,Index2,Lane,Project\n"
    for at, sample in enumerate(samples):
        text += f"{sample},ACGTACGT,TTGGCCAA,1+2,{projects[at % len(projects)]}\n"
    return text.encode()


def bases2fastq(samples: Sequence[str] = TWO, projects: Sequence[str] = ("Corals", "Squids")) -> Tree:
    """Return the output of Bases2Fastq."""
    tree = Tree("reef12_fastq").add("info/Bases2Fastq.log", b"started\n")
    tree.add("RunParameters.json", b'{"RunName":"Reef12"}').add("RunManifest.csv", run_manifest(samples, projects))
    for at, sample in enumerate(samples):
        folder = "/".join(step for step in ("Samples", projects[at % len(projects)], sample) if step)
        for read in ("R1", "R2"):
            tree.add(f"{folder}/{sample}_{read}.fastq.gz", fastq_gz(sample, read))
        tree.add(f"{folder}/{sample}_stats.json", b"{}")
    for read in ("R1", "R2"):
        tree.add(f"Samples/Unassigned/Unassigned_{read}.fastq.gz", fastq_gz("Unassigned", read))
    for name in ("Metrics.csv", "IndexAssignment.csv", "UnassignedSequences.csv"):
        tree.add(name, b"Lane\n")
    tree.add("RunManifest.json", b"{}")
    return tree.add("RunStats.json", b'{"RunName":"Reef12","NumPolonies":4}')


def mgi(barcodes: Sequence[str] = ("1", "2"), lanes: Sequence[str] = ("L01", "L02"), *, split: bool = True) -> Tree:
    """Return a chip of MGI: lanes that are written one after the other, split by barcode or not."""
    tree = Tree(CHIP)
    for lane in lanes:
        labels = (*barcodes, "undecoded", "ambiguous") if split else ("read",)
        for label in labels:
            for mate, read in (("1", "R1"), ("2", "R2")):
                name = f"{CHIP}_{lane}_{label}_{mate}"
                tree.add(f"{lane}/{name}.fq.gz", fastq_gz(f"{lane}{label}", read))
                tree.add(f"{lane}/{name}.fq.fqStat.txt", b"#Name\n")
        tree.add(f"{lane}/BasecallQC.txt", b"cycle\n").add(f"{lane}/{CHIP}_{lane}.summaryReport.html", b"<html></html>")
        tree.add(f"{lane}/SequenceStat.txt", b"#Sequence\tBarcode\n")
        tree.add(f"{lane}/BarcodeStat.txt", b"#SpeciesNO\tCorrect\tCorrected\tTotal\tPercentage(%)\n")
    return tree


def ultima(samples: Sequence[str] = TWO) -> Tree:
    """Return a run of UG100: a folder with a CRAM for each sample."""
    run = ULTIMA.split("-")[0]
    rows = "".join(f'<Sample Id="{one}" Index_Label="Z{at:04d}"/>' for at, one in enumerate(samples, 1))
    tree = Tree(ULTIMA)
    tree.add(
        f"{run}_LibraryInfo.xml", f'<?xml version="1.0"?><LibraryInfo><Samples>{rows}</Samples></LibraryInfo>'.encode()
    )
    tree.add(f"{run}_SequencingInfo.json", json.dumps({"RunId": run, "Platform": "UG100"}).encode())
    for at, sample in enumerate(samples, 1):
        stem = f"{run}-{sample}-Z{at:04d}-CAGCTCGAATGCGAT"
        tree.add(f"{stem}/{stem}.cram", cram(sample)).add(f"{stem}/{stem}.cram.crai", fastq_gz("index"))
        tree.add(f"{stem}/{stem}.json", b"{}").add(f"{stem}/{stem}.csv", b"metric,value\n")
    stem = f"{run}-unmatched"
    tree.add(f"{stem}/{stem}.cram", cram("unmatched")).add(f"{stem}/{stem}.json", b"{}")
    return tree.add("UploadCompleted.json", json.dumps({"runId": run, "files": 2}).encode())


def ion_torrent(barcodes: Sequence[int] = (1, 2)) -> Tree:
    """Return a report of Torrent Suite; the log of the instrument is over long before the bases are called."""
    tree = Tree(TORRENT).add("ion_params_00.json", b'{"resultsName":"Auto_user_S5-00123-42"}')
    tree.add("explog.txt", b"Experiment Name: Reef_run_7\n")
    tree.add("explog_final.txt", b"Experiment Name: Reef_run_7\nExperiment Complete\n")
    tree.add("sigproc_results/analysis.bfmask.bin", b"\x01").add("basecaller_results/BaseCaller.json", b"{}")
    for barcode in barcodes:
        tree.add(f"IonXpress_{barcode:03d}_rawlib.basecaller.bam", bam(f"IonXpress_{barcode:03d}"))
    tree.add("nomatch_rawlib.basecaller.bam", bam("nomatch"))
    return tree.add("serialized_R_2026_02_28.json", b"[]").add("status.txt", b"Analysis complete\n")


def singular(samples: Sequence[str] = TWO, project: str = "", lanes: Sequence[int] = (1, 2)) -> Tree:
    """Return a run of a G4, with reads before and after filtering."""
    tree = Tree(SINGULAR).add("run_config.json", b"{}").add("SampleSheet.csv", b"Sample_ID,Index1\nS1,ACGT\nS2,TTGG\n")
    tree.add("run_complete.txt", b"")
    for lane in lanes:
        for read in ("R1", "R2"):
            tree.add(f"unfiltered_fastqs/L{lane:03d}_{read}.fastq.gz", fastq_gz(f"all{lane}", read))
    for path in _singular_names((*samples, "Undetermined"), project, lanes):
        tree.add(path, fastq_gz(path.rsplit("/", 1)[-1].split("_S")[0], path[-11:-9]))
    tree.add("demux_filtered_fastqs/metrics.csv", b"sample\n")
    return tree.add("transfer_complete.txt", b"")


def _singular_names(samples: Sequence[str], project: str, lanes: Sequence[int]) -> list[str]:
    return [
        "/".join(
            step
            for step in (
                "demux_filtered_fastqs",
                project,
                f"{sample}_S{0 if sample == 'Undetermined' else at}_L{lane:03d}_{read}.fastq.gz",
            )
            if step
        )
        for at, sample in enumerate(samples, 1)
        for lane in lanes
        for read in ("R1", "R2")
    ]


def _mgi_reads(lane: str, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{lane}/{CHIP}_{lane}_{label}_{mate}.fq.gz" for label in labels for mate in (1, 2))


_LANES = ("L01", "L02")
_UG = [f"424090-{one}-Z{at:04d}-CAGCTCGAATGCGAT" for at, one in enumerate(TWO, 1)]
_ION = ("IonXpress_001", "IonXpress_002")
_B2F = [
    f"Samples/{project}/{one}/{one}_{read}.fastq.gz"
    for one, project in zip(TWO, ("Corals", "Squids"), strict=True)
    for read in ("R1", "R2")
]
_ABORTED = with_file("explog_final.txt", b"Experiment Name: Reef_run_7\nCritical: Aborted\n")

TABLE: Mapping[str, Instrument] = {
    "Element AVITI": base_calls_only(
        "element", element_raw, "RunUploaded.json",
        {
            "run failed": Failure(with_file("RunUploaded.json", uploaded("OutcomeFailed")), "failed"),
            "unknown outcome": Failure(with_file("RunUploaded.json", uploaded("OutcomePaused")), "held"),
            "an empty marker": Failure(with_file("RunUploaded.json", b""), "waiting"),
            "crashed": Failure(crashed_before("AvitiRunStats.json"), "waiting"),
        },
    ),
    "Bases2Fastq": Instrument(
        "bases2fastq", bases2fastq, *one_unit(TWO, _B2F), {".": "RunStats.json"},
        {"killed while it wrote": Failure(crashed_before("Metrics.csv"), "waiting")},
    ),
    "MGI": Instrument(
        "mgi", mgi,
        {lane: ("1", "2") for lane in _LANES},
        {lane: _mgi_reads(lane, ("1", "2")) for lane in _LANES},
        {lane: f"{lane}/SequenceStat.txt" for lane in _LANES},
        {
            "the second lane is still written": Failure(
                crashed_before(f"L02/{CHIP}_L02_2_2.fq.gz"), "waiting", "L02"
            ),
        },
    ),
    "MGI without barcodes": Instrument(
        "mgi", lambda: mgi(lanes=("L01",), split=False), {"L01": (CHIP,)}, {"L01": _mgi_reads("L01", ("read",))},
        {"L01": "L01/SequenceStat.txt"},
    ),
    "Ultima": Instrument(
        "ultima", ultima, *one_unit(TWO, (f"{stem}/{stem}.cram" for stem in _UG)), {".": "UploadCompleted.json"},
        {"upload died": Failure(without("UploadCompleted.json"), "waiting")},
    ),
    "Ion Torrent": Instrument(
        "iontorrent", ion_torrent, *one_unit(_ION, (f"{one}_rawlib.basecaller.bam" for one in _ION)),
        failures={
            "aborted on the instrument": Failure(_ABORTED, "failed"),
            "analysis aborted": Failure(with_file("aborted", b""), "failed"),
            "sequenced, but not called": Failure(
                both(without("status.txt"), crashed_before("basecaller_results/BaseCaller.json")),
                "waiting",
                quiet_s=30 * 60.0,
            ),
        },
    ),
    "Singular G4": Instrument(
        "singular", singular, *one_unit(TWO, _singular_names(TWO, "", (1, 2))), {".": "transfer_complete.txt"},
        {"sequenced, but not transferred": Failure(without("transfer_complete.txt"), "waiting")},
    ),
    "Singular G4 with a project": Instrument(
        "singular", lambda: singular(project="Reef", lanes=(0,)),
        *one_unit(TWO, _singular_names(TWO, "Reef", (0,))), {".": "transfer_complete.txt"},
    ),
}  # fmt: skip
