"""A record of one batch as it would be told: what the tests of the delivery room write, and the example of the docs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.delivery.crate import record_files
from watcher.delivery.record import (
    BatchRecord,
    RecordedDataset,
    RecordedGalaxy,
    RecordedInvocation,
    RecordedJob,
    RecordedParameter,
    RecordedResult,
    RecordedSample,
    RecordedSheet,
    RecordedSource,
    RecordedStep,
)

URL = "https://galaxy.example.org"
RUN = "20260114_M02439_0088_000000000-KJ3V5"
FOLDER = "Analysis/1/Data/fastq"
START = datetime(2026, 1, 14, 18, 2, 11, tzinfo=UTC)
FASTP = "toolshed.g2.bx.psu.edu/repos/iuc/fastp/fastp/1.0.1+galaxy3"

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-record"

CONTENTS = {
    "report.html": b"<html><body>Amplicon QC of S1: passed</body></html>\n",
    "trimmed reads/S1/forward.fastqsanger.gz": b"the trimmed forward reads of S1\n",
}
"""What was delivered, by path."""


def example_record() -> BatchRecord:
    """Return the record of a batch that ended well: one pair of reads, one workflow of two steps, two results."""
    return BatchRecord(
        batch="k7m2x9-1",
        rule="amplicon",
        watch="miseq",
        run=RUN,
        unit="Analysis/1",
        unit_version=1,
        layout="bclconvert",
        ending="ok",
        planned_at=START,
        ended_at=START + timedelta(minutes=21, seconds=7),
        watcher_version="0.1.0",
        galaxy=RecordedGalaxy(
            url=URL,
            version="26.1.2",
            history=f"{RUN} Analysis/1 16S-June",
            history_id="f597429621d6eb2b",
            history_url=f"{URL}/histories/view?id=f597429621d6eb2b",
            collection=RUN,
            collection_type="list:paired",
            library="",
        ),
        sheet=RecordedSheet("Analysis/1/Reports/SampleSheet.csv", _sha256(b"the sample sheet"), ("Length",)),
        samples=(RecordedSample("S1", "16S-June", {"Length": ("50",)}),),
        datasets=tuple(_dataset(read) for read in (1, 2)),
        invocations=(_invocation(),),
        results=tuple(
            RecordedResult(
                path, len(content), _sha256(content), "SHA-256", f"a1b2c3d4e5f6000{number}",
                f"{URL}/datasets/a1b2c3d4e5f6000{number}",
            )
            for number, (path, content) in enumerate(CONTENTS.items())
        ),
    )  # fmt: skip


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _dataset(read: int) -> RecordedDataset:
    name = f"S1_S1_L001_R{read}_001.fastq.gz"
    sha256, size = _sha256(name.encode()), 41_327_904 + read
    return RecordedDataset(
        name=name, ext="fastqsanger.gz", sample="S1", read=f"R{read}", lane=1, size=size, sha256=sha256,
        records=412_605, checked="SHA-256", galaxy_id=f"0f1e2d3c4b5a690{read}",
        url=f"{URL}/datasets/0f1e2d3c4b5a690{read}", sources=(RecordedSource(f"{FOLDER}/{name}", size, sha256),),
    )  # fmt: skip


def _invocation() -> RecordedInvocation:
    return RecordedInvocation(
        key="1",
        attempt=1,
        id="df7a1f0c02a5b08e",
        url=f"{URL}/workflows/invocations/df7a1f0c02a5b08e",
        status="done",
        state="scheduled",
        code="",
        started_at=START + timedelta(minutes=4),
        ended_at=START + timedelta(minutes=20),
        workflow="Amplicon QC",
        workflow_id="ebfb8f50c6abde6d",
        uuid="0d8f3a0e-3c3a-4f0c-9a40-6a1c9a6f2b11",
        version=3,
        by="name",
        source="Amplicon QC",
        workflow_url=f"{URL}/api/workflows/ebfb8f50c6abde6d/download?version=3",
        inputs={"Reads": "reads", "minlen": "50"},
        parameters={"fastp": {"qualified_quality_phred": 20}},
        replacements={},
        samples_not_good=(),
        steps=(
            _step(2, "fastp", FASTP, "1.0.1+galaxy3", ("Minimum length", "50"), exit_code=0),
            _step(3, "", "Show beginning1", "1.0.2", ("Select first", "10"), exit_code=0),
        ),
    )


def _step(
    index: int, label: str, tool_id: str, version: str, parameter: tuple[str, str], *, exit_code: int
) -> RecordedStep:
    began = START + timedelta(minutes=4 * index)
    job = RecordedJob(f"b0b1b2b3b4b5b60{index}", "ok", exit_code, began, began + timedelta(seconds=95))
    return RecordedStep("df7a1f0c02a5b08e", index, label, tool_id, version, (RecordedParameter(1, *parameter),), (job,))


if __name__ == "__main__":
    for file_name, file_content in record_files(example_record()).items():
        (EXAMPLE / file_name).write_bytes(file_content)
