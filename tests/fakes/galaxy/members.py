"""What a dataset has besides its own bytes: the index of an alignment, the files beside a page, the archive of all.

Measured on 24.1.4 and 26.1.2: what is asked for as a download is an archive for some extensions, whether there are
files beside it or not; `raw` gives the bytes themselves on all of them. The content of an index is nobody's business
here, only that there is one.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any

from starlette.responses import PlainTextResponse, Response

from tests.fakes.galaxy.bytes_on_disk import folder_beside
from tests.fakes.galaxy.data_answers import meta_files
from tests.fakes.galaxy.state import Dataset, StoredFile
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
PACKED = frozenset({"html", "velvet"})
BAI = b"BAI\x01" + bytes(12)
ENDINGS = {"bam_index": "bai", "cram_index": "crai"}
LONGEST_FOR_BAI = (1 << 29) - 1
"""A longer reference gets a CSI index, which is packed, under the same name."""


def extra_files(call: Call) -> list[Json]:
    """List the files and folders beside a dataset's own bytes, without their sizes."""
    file = call.dataset(call.path["dataset"]).file
    if file.path is None:
        return []
    top = folder_beside(file.path)
    found: list[Json] = []
    for root, folders, files in os.walk(top):
        for kind, names in (("Directory", folders), ("File", files)):
            found += [{"class": kind, "path": os.path.relpath(Path(root) / name, top)} for name in names]
    return found


def file_beside(file: StoredFile, name: str) -> Path:
    """Give the place of one of the files beside a dataset's own bytes."""
    assert file.path is not None
    top = folder_beside(file.path)
    path = Path(os.path.normpath(top / name.lstrip("/")))
    if not path.is_relative_to(top):
        raise Refusal(500, 500001, "Could not get display data for dataset: The requested object is invalid")
    if path.is_dir():
        raise Refusal(500, 500001, f"Could not get display data for dataset: [Errno 21] Is a directory: '{path}'")
    if not path.exists():
        raise Refusal(404, 404001, "No such object found.")
    return path


def archive(dataset: Dataset) -> Response:
    """Give the archive that a download of some extensions is."""
    path, packed = dataset.file.path, io.BytesIO()
    assert path is not None
    with zipfile.ZipFile(packed, "w") as content:
        content.write(path, f"{dataset.name}_{dataset.file.ext}.html")
        for one in sorted(folder_beside(path).rglob("*")):
            content.write(one, str(one.relative_to(folder_beside(path))))
    headers = {"content-disposition": f'attachment; filename="{dataset.hid}.zip"'}
    return Response(packed.getvalue(), 200, headers, media_type="text/html, application/x-zip-compressed")


def _index(file: StoredFile) -> bytes:
    if file.ext == "cram" or file.path is None:
        return gzip.compress(b"")
    lengths = [int(one) for one in re.findall(rb"LN:(\d+)", gzip.decompress(file.path.read_bytes()))]
    return gzip.compress(b"CSI\x01") if max(lengths, default=0) > LONGEST_FOR_BAI else BAI


def metadata_file(call: Call) -> Response:
    """Give a file that Galaxy made about a dataset; what is not there older versions stumble over."""
    dataset, asked = call.dataset(call.path["dataset"]), call.query("metadata_file")
    if asked not in [row["file_type"] for row in meta_files(dataset)]:
        if call.world.behaviour.major >= "26.1":
            raise Refusal(400, 400008, f"Unknown metadata file: {asked}")
        return PlainTextResponse("Internal Server Error", 500, headers={"connection": "close"})
    ending, content = ENDINGS[asked], _index(dataset.file)
    start = int((call.request.headers.get("range") or "bytes=0-")[len("bytes=") :].partition("-")[0])
    headers = {
        "content-disposition": f'attachment; filename="Galaxy{dataset.hid}-[{dataset.name}].{ending}"',
        "accept-ranges": "bytes",
    }
    if start:
        headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    if call.request.method == "HEAD":
        return Response(b"", 200, {**headers, "content-length": str(len(content))})
    return Response(content[start:], 206 if start else 200, headers, media_type="application/octet-stream")


ROUTES = [
    route("/api/datasets/{dataset}/extra_files", "GET", extra_files),
    route("/api/datasets/{dataset}/metadata_file", "GET", metadata_file),
]
