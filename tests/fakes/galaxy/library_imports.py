"""Files that the server reads by itself: `POST /api/libraries/ID/contents` and `POST /api/libraries/datasets`.

The rows are there at once, in state `queued`; a job then finds out about each file. A linked file keeps its path and
its bytes are never touched. `LibraryWork` is what the jobs do, those of uploads into folders as well.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.fakes.galaxy.bytes_on_disk import describe
from tests.fakes.galaxy.data_answers import DATA_TYPES
from tests.fakes.galaxy.fetch import FetchWork, guessed_ext, job_row
from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.library_permissions import find_folder, may
from tests.fakes.galaxy.library_state import LibraryFolder, LibraryItem
from tests.fakes.galaxy.state import Dataset, Job, StoredFile, World
from tests.fakes.galaxy.tags import bent
from tests.fakes.galaxy.tools import Ending
from tests.fakes.galaxy.web import Call, Refusal, route

Json = dict[str, Any]
UPLOAD_TOOL = "upload1"
SOURCES = ("userdir_file", "userdir_folder", "importdir_file", "importdir_folder", "admin_path")
NOT_OFFERED = ("data",)
"""Known types that the upload tool does not offer; an upload by `fetch` takes them."""
NOT_THERE = "Uploaded temporary file ({path}) does not exist."


def _is_admin(call: Call) -> bool:
    return call.user is not None and call.user.is_admin


class _Import:
    """One request: which files, how, into which folder."""

    def __init__(self, call: Call, folder: LibraryFolder, *, ext: str, dbkey: str, link: bool) -> None:
        self.call, self.folder, self.ext, self.dbkey, self.link = call, folder, ext, dbkey, link
        self.items: list[LibraryItem] = []

    def add(self, path: Path, below: Iterable[str] = ()) -> None:
        """Make the row of a file, in folders below which are made where they are missing."""
        shelf = self.call.world.shelf
        folder = self.folder
        for name in below:
            same = [row for row in shelf.folders_in(folder) if row.name == name]
            folder = same[0] if same else shelf.add_folder(folder, name, "Automatically created by upload tool")
        # A copy loses the end of its name: Galaxy strips letters rather than the extension.
        name = path.name.rstrip(".gz") if not self.link and path.name.endswith(".gz") else path.name
        user = self.call.need_user()
        ext = guessed_ext({"name": path.name, "ext": self.ext})
        number = self.call.world.next_number("file")
        file = StoredFile(number, user.number, ext, state="queued", access=user.default_access)
        file.path = path
        if self.link and path.exists():
            file.size = path.stat().st_size
        item = shelf.add_item(folder, name, file)
        item.rights["manage"] = tuple({user.role, *item.rights.get("manage", ())})
        item.tags, item.dbkey = bent(self.call.body.get("tags")), self.dbkey
        self.items.append(item)

    def add_path(self, path: Path, *, preserve: bool) -> None:
        """Make the rows of a file, or of all files below a folder."""
        if path.is_file():
            self.add(path)
        for above, _, names in os.walk(path):
            below = Path(above).relative_to(path).parts if preserve else ()
            for name in sorted(names):
                self.add(Path(above, name), below)

    def start(self) -> Job:
        """Start the job that looks at the files."""
        world = self.call.world
        user = self.call.need_user()
        job = world.add_job(Job(world.next_number("job"), UPLOAD_TOOL, "1.1.7", user.number, 0))
        job.library_items = [item.number for item in self.items]
        job.request = {"link": self.link}
        for item in self.items:
            item.file.job = job.number
        self.call.engine.submit(job)
        return job


def _check_may_add(call: Call, folder: LibraryFolder) -> None:
    if not may(call, "add", folder.rights):
        message = f"You do not have permission to access the folder with id ({folder.number})."
        raise Refusal(403, 403002, message)


def make_contents(call: Call) -> list[Json]:
    """Import paths of the server, or a folder of its import folder; the answer names the rows."""
    folder = find_folder(call, call.body.get("folder_id"))
    _check_may_add(call, folder)
    link = call.body.get("link_data_only") == "link_to_files"
    ext, dbkey = str(call.body.get("file_type") or "auto"), str(call.body.get("dbkey") or "?")
    if not _is_known(ext):
        raise Refusal(400, 400008, f"Requested extension '{ext}' unknown, cannot upload dataset.")
    work = _Import(call, folder, ext=ext, dbkey=dbkey, link=link)
    option = call.body.get("upload_option")
    if option == "upload_paths":
        _add_pasted(call, work)
    elif option == "upload_directory":
        _add_directory(call, work)
    else:
        raise Refusal(400, 400008, f"The fake server knows no upload option {option!r}")
    work.start()
    library = call.path["library"]
    return [
        {
            "name": item.name,
            "url": f"/api/libraries/{library}/contents/{encode(item.number)}",
            "id": encode(item.number),
        }
        for item in work.items
    ]


def _add_pasted(call: Call, work: _Import) -> None:
    if not call.world.allow_path_paste:
        raise Refusal(403, 403004, '"allow_path_paste" is not set to True in the Galaxy configuration file')
    if not _is_admin(call):
        message = "Uploading files via filesystem paths can only be performed by administrators"
        raise Refusal(403, 403006, message)
    paths = [Path(line.strip()) for line in str(call.body.get("filesystem_paths") or "").splitlines() if line.strip()]
    if not paths:
        raise Refusal(400, 400008, "No paths entered in the upload form")
    if missing := [str(path) for path in paths if not path.exists()]:
        listed = '", "'.join(missing)
        raise Refusal(400, 400008, f'Invalid paths: "{listed}".')
    for path in paths:
        work.add_path(path, preserve=False)


def _add_directory(call: Call, work: _Import) -> None:
    name = str(call.body.get("server_dir") or "")
    world = call.world
    root = world.import_folder if _is_admin(call) else world.user_import_folder / call.need_user().email
    if not _is_inside(name):
        raise Refusal(400, 400008, "Invalid server_dir specified")
    folder = root / name
    if not folder.is_dir():
        problem = f"[Errno 2] No such file or directory: '{folder}'"
        setting = "library_import_dir" if _is_admin(call) else "user_library_import_dir"
        raise Refusal(500, 500001, f"Unable to get file list for configured {setting}, error: {problem}")
    for path in folder.iterdir():  # in no order
        if path.is_file():
            is_link = work.link and path.is_symlink()
            work.add(path.resolve() if is_link else path)  # called like what the link names
    if not work.items:
        raise Refusal(400, 400008, f"The directory '{folder}' contains no valid files")


def _is_known(ext: str) -> bool:
    return ext == "auto" or ext in DATA_TYPES


def _is_inside(path: str) -> bool:
    return not Path(path).is_absolute() and not os.path.normpath(path).startswith("..")


def load(call: Call) -> Json:
    """Import a file or folder; the answer is a job and names no row."""
    folder = find_folder(call, call.body.get("encoded_folder_id"))
    source, text = call.body.get("source"), str(call.body.get("path"))
    if source not in SOURCES:
        raise Refusal(400, 400007, f'You have to specify "source" parameter. Possible values are {SOURCES}')
    path = _allowed_path(call, folder, str(source), text)
    ext, dbkey = str(call.body.get("file_type") or "auto"), str(call.body.get("dbkey") or "?")
    work = _Import(call, folder, ext=ext, dbkey=dbkey, link=bool(call.body.get("link_data")))
    if str(source).endswith("_file"):
        work.add(path)  # whether it is there is found out by the job
    else:  # of a path that is not there nothing is made, and the answer is the same
        work.add_path(path, preserve=bool(call.body.get("preserve_dirs")))
    if not _is_known(ext):  # the rows stay, and no job will ever look at them
        raise Refusal(500, 0, "Uncaught exception in exposed API method:")
    return {**job_row(call.world, work.start()), "history_id": None}


def _allowed_path(call: Call, folder: LibraryFolder, source: str, text: str) -> Path:
    if source == "admin_path":
        if not call.world.allow_path_paste:
            message = (
                "The configuration of this Galaxy instance does not allow admins to import into library from path."
            )
            raise Refusal(403, 403004, message)
        if not _is_admin(call):
            raise Refusal(403, 403006, "Only admins can import from path.")
        return Path(text)
    if source.startswith("importdir"):
        if not _is_admin(call):
            raise Refusal(403, 403006, "Only admins can import from importdir.")
        if not _is_inside(text):
            raise Refusal(400, 400008, "The given path is invalid.")
        return call.world.import_folder / text
    if not _is_inside(text):
        raise Refusal(400, 400008, "The given path is invalid.")
    path = call.world.user_import_folder / call.need_user().email / text
    if not path.exists():
        raise Refusal(400, 400008, "Given path does not exist on the host.")
    if not may(call, "add", folder.rights):
        raise Refusal(403, 403005, "You do not have proper permission to add items to the given folder.")
    return path


class LibraryWork:
    """What jobs do for libraries; every other upload is left to `FetchWork`."""

    def __init__(self, world: World, fetch: FetchWork) -> None:
        self.world = world
        self.fetch = fetch

    def run(self, job: Job) -> Ending:
        """Do the job; that of an import fails with one of its files, that of an upload never does."""
        if job.tool_id == UPLOAD_TOOL:
            return self._look_at_files(job)
        if "folder" in job.request:
            self._take_uploads(job)
        else:
            self.fetch.run(job)
        return Ending()

    def _take_uploads(self, job: Job) -> None:
        folder = self.world.shelf.folders[job.request["folder"]]
        for leaf, sid in job.request["uploads"]:
            name = str(leaf.get("name") or "Uploaded file")
            # Open to all, whatever the account's default is.
            file = StoredFile(self.world.next_number("file"), job.user, guessed_ext(leaf))
            # A dataset of no history: only its file outlives the upload.
            problem = self.fetch.take(Dataset(0, file, 0, 0, name), leaf, sid, keep_packed=True)
            with self.world.lock:
                file.basename, file.job = leaf.get("created_from_basename"), job.number
                file.state, file.misc_info = "ok", f"uploaded {file.ext} file"
                if problem:
                    self.fetch.empty(file)
                    file.state, file.misc_info = "error", problem
                self.world.shelf.add_item(folder, name, file).rights = {}  # none of the folder's

    def _look_at_files(self, job: Job) -> Ending:
        problems = []
        if any(self.world.shelf.items[number].file.ext in NOT_OFFERED for number in job.library_items):
            return Ending(
                1, stderr="Parameter 'file_type': an invalid option ('data') was selected (valid options: ...)"
            )
        for number in job.library_items:
            item = self.world.shelf.items[number]
            source = item.file.path
            assert source is not None
            if not source.is_file() and not self.world.behaviour.missing_import_is_error:
                item.file.state = "ok"
                continue
            if not source.is_file():
                problems.append(NOT_THERE.format(path=source))
                continue
            if not job.request["link"]:
                item.file.path = self.world.folder / "files" / f"dataset_{item.file.uuid}.dat"
                shutil.copyfile(source, item.file.path)
            with self.world.lock:
                describe(item.file)
                item.file.state, item.file.misc_info = "ok", f"\nuploaded {item.file.ext} file"
        return Ending(1 if problems else 0, stderr="\n".join(problems))


ROUTES = [
    route("/api/libraries/{library}/contents", "POST", make_contents),
    route("/api/libraries/datasets", "POST", load),
]
