"""Lists of files: every line form that tools and vendors write, broken lists, and which file a name means."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.errors import StructureBroken
from watcher.runs.checksums import BY_LENGTH, find_listed, read_manifest

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (f"{MD5}  a.gz", "a.gz"),
        (f"{MD5} *a.gz", "a.gz"),
        (f"{MD5}  ./sub/a.gz", "sub/a.gz"),
        (f"{MD5}\ta.gz", "a.gz"),
        (f"{MD5} a b.gz", "a b.gz"),
        (f"{MD5.upper()}  a.gz", "a.gz"),
        (f"{MD5}  a.gz\r", "a.gz"),
        (f"\ufeff{MD5}  a.gz", "a.gz"),
        (f"{MD5}  sub\\deep\\a.gz", "sub/deep/a.gz"),
        (f"{MD5}  C:\\out\\a.gz", "C:/out/a.gz"),
        (f"{MD5}  /data/site/a.gz", "/data/site/a.gz"),
        (f"\\{MD5}  new\\nline\\\\slash", "new\nline\\slash"),
        (f"MD5 (a (1).gz) = {MD5}", "a (1).gz"),
        (f"MD5(a.gz)= {MD5}", "a.gz"),
        (f"a.gz: {MD5}", "a.gz"),
        (f"a.gz\t{MD5}", "a.gz"),
        (f"# made by hand\n\n{MD5}  a.gz\n", "a.gz"),
    ],
)
def test_every_form_of_line_is_read(line: str, path: str) -> None:
    """GNU text and binary, escaped, BSD, OpenSSL, name first, tabs, capitals, CRLF, byte order mark, comments."""
    assert read_manifest(line.encode(), "md5", "MD5.txt") == {path: ("md5", MD5)}


@pytest.mark.parametrize("length", BY_LENGTH)
def test_the_length_says_which_checksum(length: int) -> None:
    """Hex digits of every length that sums have are told apart, in plain and in BSD form."""
    digits, algorithm = "0123456789abcdef" * 8, BY_LENGTH[length]
    assert read_manifest(f"{digits[:length]}  a".encode(), "sha", "x") == {"a": (algorithm, digits[:length])}
    assert read_manifest(f"{algorithm.upper()} (a) = {digits[:length]}".encode(), "sha", "x")["a"] == (
        algorithm,
        digits[:length],
    )


def test_openssl_writes_sha2_its_own_way() -> None:
    """Newer OpenSSL says SHA2-256."""
    assert read_manifest(f"SHA2-256(a)= {SHA256}".encode(), "sha", "x") == {"a": ("sha256", SHA256)}


@pytest.mark.parametrize("name", ["a.fastq.gz.md5", "sub/a.fastq.gz.md5sum", "a.fastq.gz.MD5"])
def test_a_lone_hash_is_about_the_file_it_is_named_after(name: str) -> None:
    """`name.md5` that holds nothing but a hash lists `name`."""
    assert read_manifest(f"{MD5}\n".encode(), "md5", name) == {"a.fastq.gz": ("md5", MD5)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{MD5}  a\n{MD5[:20]}", ":2: not understood"),
        (f"{MD5}  a\nhello\n", ":2: not understood"),
        (f"{MD5}\n{MD5}\n", ":1: a checksum without a file name"),
        (f"{MD5}  a\n{MD5[::-1]}  a\n", ":2: `a` is listed twice"),
        (f"{MD5}0  a\n", ":1: a checksum of 33 hex digits"),
        (f"SHA256 (a) = {MD5}\n", ":1: 32 hex digits are no SHA256"),
    ],
    ids=["cut off", "text", "no names", "twice", "odd length", "wrong name"],
)
def test_a_list_that_makes_no_sense_is_named(content: str, told: str) -> None:
    """Nothing is skipped: a line that is not understood is an error with file and line."""
    with pytest.raises(StructureBroken, match="MD5.txt" + told) as caught:
        read_manifest(content.encode(), "md5", "MD5.txt")
    assert caught.value.files == ("MD5.txt",)


def test_the_same_line_twice_is_no_harm() -> None:
    """A file that is listed twice with one checksum is listed once."""
    assert len(read_manifest(f"{MD5}  a\n{MD5}  ./a\n".encode(), "md5", "x")) == 1


@pytest.mark.parametrize("options", [[], ["--binary"], ["--tag"]], ids=["text", "binary", "tag"])
def test_what_sha256sum_writes_is_read(tmp_path: Path, options: list[str]) -> None:
    """The lines of the real `sha256sum`, with odd names, give every name and hash back."""
    names = ["plain", "with space", " leading", "trailing ", "a*b", "(x) = y", "new\nline", "ü", "#hash"]
    for name in names:
        (tmp_path / name).write_text(name)
    written = subprocess.run(["sha256sum", *options, *names], cwd=tmp_path, check=True, capture_output=True).stdout
    wanted = {name: ("sha256", hashlib.sha256(name.encode()).hexdigest()) for name in names}
    assert read_manifest(written, "sha", "x") == wanted


@given(st.binary(max_size=300), st.sampled_from(["md5", "sha", "crc32-tsv", "ont-hash", "pacbio", "fastq_list"]))
def test_any_bytes_are_read_or_refused(content: bytes, kind: str) -> None:
    """No content makes anything but a list or a clear refusal."""
    try:
        listed = read_manifest(content, kind, "x")
    except StructureBroken:
        return
    assert all(path for path in listed)


def test_dragen_lists_crc32() -> None:
    """Manifest.tsv: path, tab, CRC-32, with or without leading zeros."""
    content = b"Data/a.fastq.gz\t0012ABCD\nReports/x y.csv\t12abcd\n"
    assert read_manifest(content, "crc32-tsv", "Manifest.tsv") == {
        "Data/a.fastq.gz": ("crc32", "0012abcd"),
        "Reports/x y.csv": ("crc32", "0012abcd"),
    }
    with pytest.raises(StructureBroken, match=r"Manifest\.tsv:2: not a path and a CRC-32"):
        read_manifest(b"a\t00000000\nb\t", "crc32-tsv", "Manifest.tsv")


def test_minknow_lists_sha256() -> None:
    """output_hash: a path and a SHA-256 among other columns; rows without hash count as listed."""
    content = f"filename,sha256,barcode,alias\nfastq_pass/barcode01/a.fastq.gz,{SHA256},barcode01,S1\npod5/a.pod5,,,\n"
    assert read_manifest(content.encode(), "ont-hash", "output_hash_1.csv") == {
        "fastq_pass/barcode01/a.fastq.gz": ("sha256", SHA256),
        "pod5/a.pod5": None,
    }


def test_a_sample_of_minknow_may_be_called_like_a_file() -> None:
    """The column file_path holds the path, whatever the ids beside it look like."""
    head = "runid,protocol_group_id,flow_cell_id,sample_id,file_hash,file_path,barcode,barcode_alias"
    content = f"{head}\ne0-1,reef.2026,PAA1,library.7,{SHA256},fastq_pass/coral.1/a.fastq.gz,barcode01,coral.1\n"
    assert read_manifest(content.encode(), "ont-hash", "output_hash_1.csv") == {
        "fastq_pass/coral.1/a.fastq.gz": ("sha256", SHA256)
    }
    with pytest.raises(StructureBroken, match=r"output_hash_1\.csv:2: not a path and a SHA-256"):
        read_manifest(f"{head}\ne0-1,reef.2026,PAA1,library.7,{SHA256}".encode(), "ont-hash", "output_hash_1.csv")


def test_pacbio_lists_paths_of_the_instrument() -> None:
    """transferdone: as many paths as the first line says, given from below the movie's folder."""
    content = "Transfer Manifest nfiles: 2\nAcqId: x list size 2\n"
    content += "/data/icc/m84/hifi_reads/m84.bam\n/data/icc/m84/metadata/m84.xml\n"
    assert list(read_manifest(content.encode(), "pacbio", "m84.transferdone")) == [
        "hifi_reads/m84.bam",
        "metadata/m84.xml",
    ]
    with pytest.raises(StructureBroken, match="says 3 files and lists 2"):
        read_manifest(content.replace("nfiles: 2", "nfiles: 3").encode(), "pacbio", "m84.transferdone")


def test_converters_list_their_reads() -> None:
    """fastq_list.csv: the two file columns by name, the second may be empty or missing."""
    content = "RGID,RGSM,RGLB,Lane,Read1File,Read2File\r\n1,S1,L,1,S1_R1.gz,S1_R2.gz\r\n2,S2,L,1,./S2_R1.gz,\r\n"
    assert list(read_manifest(content.encode(), "fastq_list", "fastq_list.csv")) == ["S1_R1.gz", "S1_R2.gz", "S2_R1.gz"]
    assert list(read_manifest(b"Read1File\na.gz\n", "fastq_list", "x")) == ["a.gz"]
    with pytest.raises(StructureBroken, match=":1: no column is called Read1File"):
        read_manifest(b"RGID,RGSM\n1,2\n", "fastq_list", "fastq_list.csv")
    with pytest.raises(StructureBroken, match=":3: a row without a file"):
        read_manifest(b"RGID,Read1File\n1,a\n1\n", "fastq_list", "fastq_list.csv")


@pytest.mark.parametrize(
    ("listed", "folder", "found"),
    [
        ("a.gz", "", "a.gz"),
        ("a.gz", "sub", "sub/a.gz"),
        ("b.gz", "", "sub/b.gz"),
        ("sub/a.gz", "", "sub/a.gz"),
        ("/data/site7/out/sub/a.gz", "", "sub/a.gz"),
        ("C:/out/deep/sub/a.gz", "", "deep/sub/a.gz"),
        ("/elsewhere/b.gz", "sub", "sub/b.gz"),
        ("missing.gz", "", None),
        ("other/b.gz", "", None),
        ("/data/other/b.gz", "", None),
        ("sub/b.gz", "run", "sub/b.gz"),
        ("xa.gz", "", None),
    ],
)
def test_a_listed_name_is_found(listed: str, folder: str, found: str | None) -> None:
    """Relative to the list, or by the longest common tail."""
    assert find_listed(listed, ["a.gz", "sub/a.gz", "sub/b.gz", "deep/sub/a.gz"], folder) == found


def test_a_name_that_may_mean_two_files_is_refused() -> None:
    """Two files with equally long tails: neither is guessed."""
    with pytest.raises(StructureBroken, match=r"`c\.gz` may be `one/c\.gz` or `two/c\.gz`") as caught:
        find_listed("c.gz", ["two/c.gz", "one/c.gz"])
    assert caught.value.files == ("one/c.gz", "two/c.gz")
