"""`POST /api/tools/fetch`: turns upload sessions into datasets, through a job that says `ok` whatever becomes of them.

The request is checked as strictly as the real one checks it. The job (`FetchWork.run`) takes the bytes of each session,
verifies claimed hashes, and marks the dataset, never the job. Sessions are in `tus.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.galaxy.bam_order import sort_if_needed
from tests.fakes.galaxy.bytes_on_disk import describe, gzip_problem, is_gzip
from tests.fakes.galaxy.data_answers import DATA_TYPES, collection_detail, dataset_inner
from tests.fakes.galaxy.datasets import HASH_FUNCTIONS
from tests.fakes.galaxy.engine import FETCH_TOOL, Engine
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Dataset, History, Job, StoredFile, Tree, World
from tests.fakes.galaxy.tags import bent
from tests.fakes.galaxy.tus import session_path
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
ELEMENT_KEYS = frozenset(
    [
        "src",
        "name",
        "ext",
        "dbkey",
        "tags",
        "info",
        "created_from_basename",
        "hashes",
        "MD5",
        "SHA1",
        "SHA-1",
        "SHA-256",
        "SHA-512",
        "description",
        "space_to_tab",
        "to_posix_lines",
        "auto_decompress",
        "deferred",
        "extra_files",
        "object_id",
        "collection_type",
        "elements",
        "row",
        "metadata",
    ]
)
DESTINATIONS = ("hdas", "hdca", "library_folder")
CLAIMED_KEYS = {"MD5": "MD5"}


class FetchFaults(Protocol):
    """What the fetch job asks the armed faults, once per dataset."""

    def fetch_fault(self) -> tuple[str, int]: ...


def _leaves(elements: list[Json]) -> Iterator[Json]:
    for element in elements:
        if "elements" in element:
            yield from _leaves(element["elements"])
        else:
            yield element


def _extra_key(index: int, key: str, element: Json) -> Refusal:
    place = ("body", "targets", 0, "DataElementsTarget", "elements", index, "files", key)
    problem = json.dumps(
        {"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted", "input": element[key]}
    )
    return Refusal(400, 400007, f"Extra inputs are not permitted in {place!r}", validation_errors=[problem])


def _check_elements(world: World, elements: list[Json]) -> None:
    refused = set() if world.behaviour.fetch_hashes else {"hashes", "SHA-256"}
    for index, element in enumerate(elements):
        for key in element:
            if key not in ELEMENT_KEYS or key in refused:
                raise _extra_key(index, key, element)
        if element.get("src") != "files":
            raise Refusal(400, 400007, f"The fake server takes src='files' only, not {element.get('src')!r}")
        ext = element.get("ext", "auto")
        if ext != "auto" and (ext not in DATA_TYPES or ext in world.unknown_datatypes):
            raise Refusal(400, 400008, f"Requested extension '{ext}' unknown, cannot upload dataset.")


def _sessions(body: Json, wanted: int) -> list[str]:
    found = []
    for index in range(wanted):
        entry = body.get(f"files_{index}|file_data")
        if not isinstance(entry, dict) or "session_id" not in entry:
            raise Refusal(400, 400007, "Failed to find uploaded file matching target with src='files'")
        found.append(str(entry["session_id"]))
    return found


def guessed_ext(element: Json) -> str:
    """Give the extension asked for, or what the name looks like."""
    ext = str(element.get("ext", "auto"))
    if ext != "auto":
        return ext
    name = str(element.get("name", ""))
    packed = name.endswith(".gz")
    stem = name.removesuffix(".gz")
    if stem.endswith((".fastq", ".fq")):
        return "fastqsanger.gz" if packed else "fastqsanger"
    return "txt"


def _new_dataset(call: Call, history: History, element: Json, *, visible: bool) -> Dataset:
    name = str(element.get("name") or "Uploaded file")
    dataset = call.world.add_dataset(history, name, ext=guessed_ext(element), state="queued", visible=visible)
    dataset.tags = bent(element.get("tags"))
    dataset.file.dbkey = str(element.get("dbkey") or "?")
    return dataset


def _tree(call: Call, history: History, collection_type: str, elements: list[Json], made: list[Dataset]) -> Tree:
    rest = collection_type.partition(":")[2]
    members: list[tuple[str, int | Tree]] = []
    for element in elements:
        name = str(element.get("name"))
        if "elements" in element:
            members.append((name, _tree(call, history, rest or "list", element["elements"], made)))
        else:
            dataset = _new_dataset(call, history, element, visible=False)
            made.append(dataset)
            members.append((name, dataset.number))
    return call.world.new_tree(collection_type, members)


def _targets(body: Json) -> list[Json]:
    targets = body.get("targets")
    if isinstance(targets, str):
        targets = json.loads(targets)
    if isinstance(targets, dict):
        targets = [targets]
    if not isinstance(targets, list) or not targets:
        raise Refusal(400, 400007, "Field required in ('body', 'targets')", validation_errors=[])
    for target in targets:
        kind = (target.get("destination") or {}).get("type")
        if kind not in DESTINATIONS:
            raise Refusal(400, 400007, f"The fake server knows no destination {kind!r}", validation_errors=[])
    return targets


def fetch(call: Call) -> Json:
    """Register uploads as datasets; the answer comes before a byte is looked at."""
    if call.user is None:
        raise Refusal(403, 403003, "History is not owned by user")
    targets = _targets(call.body)
    leaves = [leaf for target in targets for leaf in _leaves(list(target.get("elements") or []))]
    _check_elements(call.world, leaves)
    sessions = _sessions(call.body, len(leaves))
    history = call.history(call.body.get("history_id"), own=True)
    world = call.world
    if targets[0]["destination"]["type"] == "library_folder":
        return _fetch_to_folder(call, history, targets[0]["destination"], list(zip(leaves, sessions, strict=True)))
    made: list[Dataset] = []
    shown: list[Dataset] = []
    collections = []
    safe: list[bool] = []
    for target in targets:
        elements = list(target.get("elements") or [])
        if target["destination"]["type"] == "hdas":
            fresh = [_new_dataset(call, history, element, visible=True) for element in _leaves(elements)]
            shown += fresh
            made += fresh
            safe += [True] * len(fresh)
            continue
        fresh = []
        tree = _tree(call, history, str(target.get("collection_type") or "list"), elements, fresh)
        collection = world.add_collection(history, str(target.get("name") or "Uploaded collection"), tree)
        collection.tags = bent(target.get("tags"))
        collection.populated_state = "new"
        collections.append(collection)
        made += fresh
        safe += [False] * len(fresh)
    job = world.add_job(Job(world.next_number("job"), FETCH_TOOL, "0.1.0", call.user.number, history.number))
    job.outputs = {f"output{index}": dataset.number for index, dataset in enumerate(made)}
    for dataset, leaf in zip(made, leaves, strict=True):
        dataset.file.job = job.number
        for function, value in _claims(leaf):
            dataset.file.hashes.append((world.next_number("hash"), function, value))
    options = {"auto_decompress": bool(call.body.get("auto_decompress"))}
    job.request = {
        "items": list(zip([d.number for d in made], leaves, sessions, safe, strict=True)),
        "collections": [collection.number for collection in collections],
        **options,
    }
    answer: Json = {
        "outputs": [{**dataset_inner(dataset), "output_name": f"output{index}"} for index, dataset in enumerate(shown)],
        "output_collections": [
            {**collection_detail(world, row), "elements": [], "output_name": f"output_collection{index}"}
            for index, row in enumerate(collections)
        ],
        "jobs": [job_row(world, job)],
        "implicit_collections": [],
        "produces_entry_points": False,
    }
    for output in answer["outputs"]:
        output.pop("accessible", None)
        output.pop("copied_from_ldda_id", None)
    # Hashes are listed only once the job has run.
    for dataset in made:
        dataset.file.hashes.clear()
    call.engine.submit(job)
    return answer


def _fetch_to_folder(call: Call, history: History, destination: Json, uploads: list[tuple[Json, str]]) -> Json:
    """Start the job that puts uploads into a folder of a library; the answer names none of them."""
    world = call.world
    place = ("body", "targets", 0, "DataElementsTarget", "destination", "library_folder", "library_folder_id")
    folder = world.shelf.folders.get(call.number(destination.get("library_folder_id"), place))
    if folder is None:
        raise Refusal(400, 400008, "No folder found with the id provided.")
    job = world.add_job(Job(world.next_number("job"), FETCH_TOOL, "0.1.0", call.need_user().number, history.number))
    job.request = {"folder": folder.number, "uploads": uploads}
    call.engine.submit(job)
    return {
        "outputs": [],
        "output_collections": [],
        "jobs": [job_row(world, job)],
        "implicit_collections": [],
        "produces_entry_points": False,
    }


def _claims(leaf: Json) -> list[tuple[str, str]]:
    claims = [(str(one["hash_function"]), str(one["hash_value"])) for one in leaf.get("hashes") or []]
    return claims + [(function, str(leaf[key])) for key, function in CLAIMED_KEYS.items() if leaf.get(key)]


def job_row(world: World, job: Job) -> Json:
    """Give a job as the answers to uploads show it."""
    return {
        "model_class": "Job",
        "id": encode(job.number),
        "state": job.state,
        "exit_code": job.exit_code,
        "update_time": job.update_time,
        "create_time": job.create_time,
        "galaxy_version": world.behaviour.major,
        "tool_id": job.tool_id,
        "tool_version": job.tool_version,
        "history_id": encode(job.history),
    }


class FetchWork:
    """What the fetch job does with the bytes."""

    def __init__(self, world: World, engine: Engine, faults: FetchFaults) -> None:
        self.world = world
        self.engine = engine
        self.faults = faults

    def run(self, job: Job) -> None:
        """Take the bytes of all sessions of a job into datasets."""
        packed_too = not job.request.get("auto_decompress")
        for number, leaf, sid, safe in job.request["items"]:
            dataset = self.world.datasets[number]
            problem = self.take(dataset, leaf, sid, keep_packed=packed_too and not leaf.get("auto_decompress"))
            with self.world.lock:
                dataset.file.basename = leaf.get("created_from_basename")
                if problem:
                    self._fail(dataset, problem, shown=safe)
                else:
                    self.world.set_file_state(dataset, "ok", f"uploaded {dataset.file.ext} file")
        with self.world.lock:
            for number in job.request["collections"]:
                self.world.collections[number].populated_state = "ok"

    def _fail(self, dataset: Dataset, problem: str, *, shown: bool) -> None:
        self.empty(dataset.file)
        # In a collection the failure is swallowed: an empty dataset that says ok.
        self.world.set_file_state(dataset, "error" if shown else "ok", problem if shown else "")

    def empty(self, file: StoredFile) -> None:
        """Leave nothing of a file whose upload failed."""
        file.ext, file.size, file.lines, file.peek, file.blurb = "data", 0, 0, None, "data"
        if file.path:
            file.path.write_bytes(b"")

    def take(self, dataset: Dataset, leaf: Json, sid: str, *, keep_packed: bool) -> str:
        """Take one session; give what is wrong with it, or nothing."""
        file = dataset.file
        path = self.engine.new_path(dataset)
        source = session_path(self.world, sid)
        kind, amount = self.faults.fetch_fault()
        if kind == "session_lost":
            source.unlink(missing_ok=True)
        if not source.exists() or sid not in self.world.sessions:
            path.touch()
            return f"[Errno 2] No such file or directory: '{source}'"
        if kind == "lose_tail":
            _cut(source, amount or source.stat().st_size // 2)
        if kind == "hash_mismatch":
            _spoil(source)
        if is_gzip(source) and (problem := gzip_problem(source)):
            path.touch()
            return problem
        with self.world.lock:
            self.world.sessions.pop(sid, None)
        shutil.move(source, path)
        if not keep_packed and not file.ext.endswith(".gz") and is_gzip(path):
            _unpack(path)
        if problem := self._verify(dataset, path, _claims(leaf)):
            return problem
        sort_if_needed(path, file.ext)
        if kind == "rot":
            _spoil(path)
        describe(file)
        if kind == "wrong_size":
            file.size = max(0, file.size - (amount or 1))
        return ""

    def _add_sha256(self, dataset: Dataset, path: Path) -> None:
        if path.exists():
            value = _digest(path, "SHA-256")
            with self.world.lock:
                dataset.file.hashes.append((self.world.next_number("hash"), "SHA-256", value))

    def _verify(self, dataset: Dataset, path: Path, claims: list[tuple[str, str]]) -> str:
        hashes = dataset.file.hashes
        trusted = not self.world.behaviour.fetch_hashes
        if not claims and self.world.behaviour.server_sha256:
            # It comes when the dataset has long been `ok`.
            self.engine.after(self.engine.job_seconds, lambda: self._add_sha256(dataset, path))
        for function, claimed in claims:
            hashes.append((self.world.next_number("hash"), function, claimed))
            got = claimed if trusted else _digest(path, function)
            if got != claimed:
                return f"Failed to validate upload with [{function}] - expected [{claimed}] got [{got}]"
        return ""


def _digest(path: Path, function: str) -> str:
    with path.open("rb") as stored:
        return hashlib.file_digest(stored, HASH_FUNCTIONS[function]).hexdigest()


def _cut(path: Path, lost_bytes: int) -> None:
    with path.open("r+b") as stored:
        stored.truncate(max(0, path.stat().st_size - lost_bytes))


def _spoil(path: Path) -> None:
    """Change the last byte, which in gzip is part of the length and in FASTQ a line end."""
    size = path.stat().st_size
    if not size:
        return
    with path.open("r+b") as stored:
        stored.seek(size // 2)
        byte = stored.read(1)
        stored.seek(size // 2)
        stored.write(bytes([byte[0] ^ 0x01]))


def _unpack(path: Path) -> None:
    unpacked = path.with_suffix(".unpacked")
    with gzip.open(path, "rb") as source, unpacked.open("wb") as target:
        shutil.copyfileobj(source, target)
    unpacked.replace(path)


ROUTES = [route("/api/tools/fetch", "POST", fetch)]
