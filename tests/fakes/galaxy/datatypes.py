"""Routes of datatypes: a part of what Galaxy 26.1.2 knows, class by class and converter by converter as it tells them.

24.1.4 and 25.0.4 tell the same of these.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.galaxy.web import Call, route

Json = dict[str, Any]
PACKAGE = "galaxy.datatypes."
CLASS_OF = {
    "data": "data.Data",
    "txt": "data.Text",
    "tabular": "tabular.Tabular",
    "fastq": "sequence.Fastq",
    "fastqsanger": "sequence.FastqSanger",
    "fastqillumina": "sequence.FastqIllumina",
    "fastq.gz": "registry.FastqGz",
    "fastqsanger.gz": "registry.FastqSangerGz",
    "fastqillumina.gz": "registry.FastqIlluminaGz",
    "fastqsanger.bz2": "registry.FastqSangerBz2",
    "fasta": "sequence.Fasta",
    "fasta.gz": "registry.FastaGz",
    "bam": "binary.Bam",
    "unsorted.bam": "binary.BamNative",
    "vcf": "tabular.Vcf",
    "vcf_bgzip": "tabular.VcfGz",
    "html": "text.Html",
    "json": "text.Json",
    "source.h": "registry.Text",
    "source.c": "registry.Text",
}
_TEXT = "data.Data data.Text"
_FASTQ = "sequence.Sequence sequence.BaseFastq sequence.Fastq"
_ARCHIVE = "binary.Binary binary.CompressedArchive"
_GZIP = f"{_ARCHIVE} binary.DynamicCompressedArchive binary.GzDynamicCompressedArchive"
_BZIP2 = f"{_ARCHIVE} binary.DynamicCompressedArchive binary.Bz2DynamicCompressedArchive"
CLASSES = {
    "data.Data": "data.Data",
    "data.Text": f"{_TEXT}",
    "tabular.Tabular": f"{_TEXT} tabular.Tabular tabular.TabularData",
    "sequence.Fastq": f"{_TEXT} {_FASTQ}",
    "sequence.FastqSanger": f"{_TEXT} {_FASTQ} sequence.FastqSanger",
    "sequence.FastqIllumina": f"{_TEXT} {_FASTQ} sequence.FastqIllumina",
    "registry.FastqGz": f"{_GZIP} {_TEXT} {_FASTQ} registry.FastqGz",
    "registry.FastqSangerGz": f"{_GZIP} {_TEXT} {_FASTQ} registry.FastqSangerGz sequence.FastqSanger",
    "registry.FastqIlluminaGz": f"{_GZIP} {_TEXT} {_FASTQ} registry.FastqIlluminaGz sequence.FastqIllumina",
    "registry.FastqSangerBz2": f"{_BZIP2} {_TEXT} {_FASTQ} registry.FastqSangerBz2 sequence.FastqSanger",
    "sequence.Fasta": f"{_TEXT} sequence.Fasta sequence.Sequence",
    "registry.FastaGz": f"{_GZIP} {_TEXT} registry.FastaGz sequence.Fasta sequence.Sequence",
    "binary.Bam": f"{_ARCHIVE} binary.Bam binary.BamNative data.Data",
    "binary.BamNative": f"{_ARCHIVE} binary.BamNative data.Data",
    "tabular.Vcf": f"{_TEXT} tabular.BaseVcf tabular.Tabular tabular.TabularData tabular.Vcf",
    "tabular.VcfGz": f"{_TEXT} binary.Binary tabular.BaseVcf tabular.Tabular tabular.TabularData tabular.VcfGz",
    "text.Html": f"{_TEXT} text.Html",
    "text.Json": f"{_TEXT} text.Json",
    "registry.Text": f"{_TEXT} registry.Text",
}
CONVERTERS = (
    ("unsorted.bam", "bam", "CONVERTER_bam_to_coodinate_sorted_bam"),
    ("fasta", "tabular", "CONVERTER_fasta_to_tabular"),
    ("fasta", "fasta.gz", "CONVERTER_uncompressed_to_gz"),
    ("fasta.gz", "fasta", "CONVERTER_gz_to_uncompressed"),
    ("fastq", "fastq.gz", "CONVERTER_uncompressed_to_gz"),
    ("fastq.gz", "fastq", "CONVERTER_gz_to_uncompressed"),
    ("fastqsanger", "fastqsanger.gz", "CONVERTER_uncompressed_to_gz"),
    ("fastqsanger.gz", "fastqsanger", "CONVERTER_gz_to_uncompressed"),
    ("fastqsanger.bz2", "fastqsanger", "CONVERTER_bz2_to_uncompressed"),
    ("fastqillumina", "fastqillumina.gz", "CONVERTER_uncompressed_to_gz"),
    ("fastqillumina.gz", "fastqillumina", "CONVERTER_gz_to_uncompressed"),
    ("vcf", "vcf_bgzip", "CONVERTER_uncompressed_to_gz"),
    ("vcf_bgzip", "vcf", "CONVERTER_gz_to_uncompressed"),
)


def show_mapping(call: Call) -> Json:
    """Give the class of each extension and the classes each class is of."""
    return {
        "ext_to_class_name": {ext: PACKAGE + name for ext, name in CLASS_OF.items()},
        "class_to_classes": {
            PACKAGE + name: dict.fromkeys((PACKAGE + one for one in above.split()), True)
            for name, above in CLASSES.items()
        },
    }


def list_converters(call: Call) -> list[Json]:
    """Give what Galaxy converts unasked."""
    return [{"source": source, "target": target, "tool_id": tool} for source, target, tool in CONVERTERS]


ROUTES = [
    route("/api/datatypes/mapping", "GET", show_mapping),
    route("/api/datatypes/converters", "GET", list_converters),
]
